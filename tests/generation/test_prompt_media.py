"""Pictures, videos and sound of every kind as prompts, with the values that they must have."""

import warnings
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from videolm.cli.main import main
from videolm.data.media.clip import Clip
from videolm.data.media.probe import probe_header
from videolm.generation import prompt_medium
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import (
    Prompt,
    fitted_image,
    fitted_mask,
    fitted_sound,
    fitted_video,
    given_frames,
    whole_video,
)
from videolm.generation.prompt_arrays import clip_of, waveform_of

RED = (200, 40, 90)
PICTURE = np.tile(np.array(RED, np.uint8), (32, 32, 1))
PICTURE[:16] = (10, 250, 130)  # the upper half


HALF = np.zeros((32, 32), np.uint8)  # a mask: white on the left
HALF[:, :16] = 255


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.copy())


def channels_first(values: np.ndarray) -> torch.Tensor:
    return tensor(np.moveaxis(values, -1, -3))


RGBA = np.dstack([PICTURE, np.full((32, 32, 1), 255, np.uint8)])


@pytest.mark.parametrize(
    "given",
    [
        PICTURE,
        PICTURE[None],
        PICTURE[None, None],
        np.flip(np.flip(PICTURE, 0).copy(), 0),
        PICTURE.astype(np.uint16) * 257,
        PICTURE.astype(">u2") * 257,
        PICTURE / 255.0,
        (PICTURE / 255.0).astype(np.float16),
        RGBA,
        channels_first(PICTURE),
        channels_first(PICTURE)[None],
        channels_first(PICTURE)[None, None],
        channels_first(PICTURE) / 255,
        (channels_first(PICTURE) / 255).bfloat16(),
        (channels_first(PICTURE) / 255).requires_grad_(),
        channels_first(RGBA),
        Image.fromarray(PICTURE),
        Image.fromarray(RGBA),
        [Image.fromarray(PICTURE)],
        [PICTURE],
        (channels_first(PICTURE),),
    ],
)
def test_a_picture_is_the_same_in_every_form(model: VideoLM, given) -> None:
    clip = fitted_image(given, model.clips)
    assert clip.num_frames == 1 and clip.frames.dtype == torch.uint8
    # bfloat16 has 8 bits of a number
    assert (clip.frames[0].int() - torch.from_numpy(PICTURE.astype(int))).abs().max() <= 1


@pytest.mark.parametrize(
    ("grey", "expected"), [(np.full((32, 32), 77, np.uint8), 77), (np.full((32, 32), 0.5), 128)]
)
def test_grey_is_grey(model: VideoLM, grey, expected) -> None:
    for given in (grey, grey[..., None], tensor(grey), tensor(grey)[None]):
        assert (fitted_image(given, model.clips).frames == expected).all()


def test_images_of_pil_are_read_as_their_files(model: VideoLM, tmp_path: Path) -> None:
    image = Image.fromarray(PICTURE)
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn: the left of the file is above
    Image.fromarray(np.rot90(PICTURE).copy()).save(turned, exif=exif)
    with Image.open(turned) as opened:
        for given in (opened, turned):
            assert torch.equal(fitted_image(given, model.clips).frames[0], torch.from_numpy(PICTURE))
    half = Image.fromarray(np.dstack([PICTURE, np.full((32, 32, 1), 128, np.uint8)]))
    for given in (half, np.asarray(half)):  # on black
        assert fitted_image(given, model.clips).frames[0, 0, 0].tolist() == pytest.approx([5, 125, 65], abs=1)
    deep = Image.fromarray(np.full((32, 32), 40_000, np.uint16))
    assert (fitted_image(deep, model.clips).frames == round(40_000 / 257)).all()
    paletted = image.convert("P", palette=Image.Palette.ADAPTIVE)
    assert (fitted_image(paletted, model.clips).frames[0] - torch.from_numpy(PICTURE).int()).abs().max() < 8
    assert fitted_image(image.convert("CMYK"), model.clips).frames.shape == (1, 32, 32, 3)
    assert (fitted_image(Image.new("1", (32, 32), 1), model.clips).frames == 255).all()


VIDEO = np.stack([np.full((32, 32, 3), 20 * number, np.uint8) for number in range(9)])


@pytest.mark.parametrize(
    "given",
    [
        VIDEO,
        VIDEO[None],
        VIDEO / 255.0,
        channels_first(VIDEO),
        channels_first(VIDEO)[None].float() / 255,
        list(VIDEO),
        list(channels_first(VIDEO)),
        [Image.fromarray(frame) for frame in VIDEO],
        tuple(VIDEO / 255.0),
        Clip(torch.from_numpy(VIDEO), 8.0),
    ],
)
def test_a_video_is_the_same_in_every_form(model: VideoLM, given) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of it is changed
        clip = fitted_video(given, model.clips, 9)
    assert torch.equal(clip.frames, torch.from_numpy(VIDEO)) and clip.fps == 8.0


def test_files_and_images_are_frames_too(model: VideoLM, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    for path, frame in zip(paths, VIDEO, strict=True):
        Image.fromarray(frame).save(path)
    assert torch.equal(fitted_video(paths, model.clips, 9).frames, torch.from_numpy(VIDEO))
    frames = [Image.fromarray(frame) for frame in VIDEO]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=125)
    with Image.open(tmp_path / "a.gif") as opened:
        assert torch.equal(fitted_video(opened, model.clips, 9).frames, torch.from_numpy(VIDEO))
        assert opened.tell() == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PICTURE.astype(float), r"floats from 10 to 250; expected 0 to 1 \(divide bytes by 255"),
        (PICTURE / 127.5 - 1, r"floats from -0.9.* expected 0 to 1 \(x / 2 \+ 0.5"),
        (PICTURE.astype(np.int64), "have int64 values; expected uint8"),
        (PICTURE > 100, "have bool values"),
        (np.where(PICTURE > 100, np.nan, 0.5), "not numbers"),
        (tensor(PICTURE), "a 32x32x3 tensor is neither a picture .channels, height, width. nor a video"),
        (np.moveaxis(PICTURE, -1, 0), "3x32x32 array is neither a picture .height, width, channels"),
        (np.zeros((2, 9, 32, 32, 3), np.uint8), "is neither a picture"),
        (np.zeros((0, 32, 32, 3), np.uint8), "holds no pictures"),
        (np.array(["a"]), "holds <U1 values"),
        ([], "a list of pictures is empty"),
        ([PICTURE, PICTURE[:16]], "some of 32x32 and some of 16x32"),
        ([PICTURE, VIDEO], "item 1 of a list of pictures has 9 frames"),
    ],
)
def test_what_is_not_clear_is_refused_in_one_line(given, message) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        clip_of(given, 8.0)
    assert "\n" not in str(refused.value)


def test_masks_are_pictures_or_the_known_pixels(model: VideoLM) -> None:
    video = Clip(torch.from_numpy(VIDEO), 8.0)
    known = np.broadcast_to(HALF == 0, (9, 32, 32))
    pictures = (HALF, HALF / 255, tensor(HALF), Image.fromarray(HALF), [Image.fromarray(HALF)])
    for given in (*pictures, known, tensor(known)):
        assert torch.equal(fitted_mask(given, video), tensor(known))
    with pytest.raises(ValueError, match="the known pixels are 9x32x16; expected 9x32x32"):
        fitted_mask(known[:, :, :16], video)


def tone(rate: int, seconds: float, pitch: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)


def pitch_of(clip: Clip) -> float:
    assert clip.waveform is not None and clip.sample_rate is not None
    spectrum = np.abs(np.fft.rfft(clip.waveform[0].numpy()))
    return float(np.argmax(spectrum) * clip.sample_rate / clip.waveform.shape[1])


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_of_any_rate_and_channels_is_heard(model: VideoLM, rate, channels) -> None:
    samples = np.stack([tone(rate, 1.125)] * channels)
    for given in (samples, samples.T, torch.from_numpy(samples), (samples * 32767).astype(np.int16)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clip = fitted_sound((given, rate), model.clips)
        assert bool(caught) == (channels > 2) and all("mixed down" in str(each.message) for each in caught)
        assert clip.waveform is not None and clip.waveform.shape == (1, 18000)
        assert pitch_of(clip) == pytest.approx(440, abs=1)
        assert float(clip.waveform.abs().max()) > 0.3


def test_pairs_in_either_order_and_numbers_of_numpy_are_a_sound() -> None:
    samples = tone(8000, 0.1)
    for pair in ((samples, 8000), (8000, samples), (samples, np.int64(8000)), (samples.astype("f4"), 8000.0)):
        waveform, rate = waveform_of(pair)
        assert waveform.shape == (1, 800) and rate == 8000 and type(rate) is int
    assert float(waveform_of((np.array([0, 128, 255], np.uint8), 8000))[0][0, 1]) == 0.0
    assert waveform_of((np.array([[2**31 - 1, 0]] * 20, np.int32), 8000))[0].max() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((tone(8000, 0.1) * 32767, 8000), "reach 16.*; floats are from -1 to 1"),
        ((np.array([0.0, np.nan, np.inf, 0.1]), 8000), "2 of 4 samples of the sound are not numbers"),
        ((np.zeros(0), 8000), "has no samples"),
        ((np.zeros((4, 4)), 8000), "not clear which"),
        ((np.zeros((20, 20)), 8000), "the sound is 20x20"),
        ((np.zeros((1, 2, 800)), 8000), "the sound is 1x2x800"),
        ((np.zeros(9, np.int64), 8000), "are int64"),
        ((np.zeros(9), 0), "the sample rate is 0"),
        ((np.zeros(9), 0.5), "the sample rate is 0.5"),
        ((np.zeros(9), "cd"), "the sample rate is 'cd'"),
        ((8000, 9), "a sound is int"),
        ((np.zeros(9), 8000, 1), "has 3 parts"),
    ],
)
def test_what_is_no_sound_is_refused(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        waveform_of(given)


@pytest.mark.parametrize(
    ("seconds", "note"),
    [
        (24.0, "audio: the first 1.1 s of 24.0 s are used"),
        (0.3, "audio: it lasts 0.3 s; silence follows up to 1.1 s"),
        (1.125, None),
    ],
)
def test_what_is_cut_of_a_sound_or_filled_up_is_said(model: VideoLM, tmp_path: Path, seconds, note) -> None:
    samples = tone(16000, seconds)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    for given in ((samples, 16000), tmp_path / "a.wav"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clip = fitted_sound(given, model.clips)
        assert [str(each.message) for each in caught] == ([note] if note else [])
        assert clip.waveform is not None
        whole = min(round(16000 * seconds), 18000)
        assert torch.allclose(clip.waveform[0, :whole], torch.tensor(samples[:whole]).float(), atol=1e-3)
        assert not clip.waveform[0, whole:].any()


def write_video(path: Path, seconds: float, fps: int = 25, size: tuple[int, int] = (180, 320)) -> None:
    """A film whose frames are as bright as their time: 8 a second."""
    frames = round(seconds * fps)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": "50", "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            value = brightness(number / fps)
            picture = np.full((*size, 3), value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def brightness(time: float) -> int:
    return int(20 + 8 * time)


def shown(clip: Clip) -> list[float]:
    return clip.frames.float().mean((1, 2, 3)).tolist()


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(path, 24.0)
    return path


def decoded_frames(monkeypatch) -> list[int]:
    """Counts the frames that are turned into pixels."""
    from videolm.data.media import pictures

    counted, scale = [0], pictures.Scaler.__call__

    def watched(self, frame):
        counted[0] += 1
        return scale(self, frame)

    monkeypatch.setattr(pictures.Scaler, "__call__", watched)
    return counted


def test_a_long_film_is_read_where_it_is_used_and_one_note_says_so(model: VideoLM, film, monkeypatch) -> None:
    counted = decoded_frames(monkeypatch)
    with pytest.warns(UserWarning) as caught:
        clip = fitted_video(film, model.clips, 9)
    assert [str(each.message) for each in caught] == [
        "video: the first 1.1 s of 24.0 s are used (9 of 192 frames at 8 fps); "
        "25 fps are shown at 8 fps; frames of 180x320 are resized and cut to 32x32"
    ]
    assert clip.frames.shape == (9, 32, 32, 3) and counted[0] == 9
    assert shown(clip) == pytest.approx([brightness(number / 8) for number in range(9)], abs=3)


def test_a_film_is_gone_on_from_at_its_end(model: VideoLM, film, monkeypatch) -> None:
    counted = decoded_frames(monkeypatch)
    with pytest.warns(
        UserWarning, match=r"the last 0.6 s of 24.0 s are used \(5 of 192 frames at 8 fps\); 25 fps"
    ):
        clip = given_frames(film, model.clips)
    assert clip.num_frames == 5 and counted[0] <= 6
    assert shown(clip) == pytest.approx([brightness(23.375 + number / 8) for number in range(5)], abs=3)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.02, 2.0])
def test_a_film_is_gone_on_from_at_its_real_end_whatever_its_header_says(
    model: VideoLM, film, monkeypatch, share
) -> None:
    info = probe_header(film)
    lie = replace(info, seconds=info.seconds * share, num_frames=round(info.num_frames * share))
    monkeypatch.setattr(prompt_medium, "probe_header", lambda path: lie)
    with pytest.warns(UserWarning, match="the last 0.6 s"):
        clip = given_frames(film, model.clips)
    assert clip.num_frames == 5
    assert shown(clip) == pytest.approx([brightness(23.375 + number / 8) for number in range(5)], abs=3)


@pytest.mark.parametrize("fps", [5, 12, 24, 25, 30, 60])
def test_a_clip_and_its_file_are_the_same_prompt(model: VideoLM, tmp_path: Path, fps) -> None:
    write_video(tmp_path / "film.mp4", 3.0, fps, (64, 64))
    frames = np.stack([np.full((64, 64, 3), brightness(number / fps), np.uint8) for number in range(3 * fps)])
    clip = Clip(torch.from_numpy(frames), float(fps))
    for read in (
        lambda given: fitted_video(given, model.clips, 9),
        lambda given: given_frames(given, model.clips),
    ):
        with pytest.warns(UserWarning, match=f"{fps} fps are shown at 8 fps"):
            of_file, of_clip = read(tmp_path / "film.mp4"), read(clip)
        assert of_file.num_frames == of_clip.num_frames
        assert shown(of_file) == pytest.approx(shown(of_clip), abs=3)


def test_a_whole_film_is_shown_in_a_wider_frame(model: VideoLM, film) -> None:
    with pytest.warns(UserWarning, match="the first 1.1 s of 24.0 s"):
        clip, inside = whole_video(film, model.clips)
    assert inside is not None and clip.frames.shape == (9, 32, 32, 3)
    assert inside[0].any(1).sum() == 18 and shown(clip)[0] < brightness(0)


def test_a_model_generates_from_what_is_in_memory(model: VideoLM) -> None:
    video = model.generate("frame_prediction", video=VIDEO[:5])
    assert torch.equal(video.frames[:5], torch.from_numpy(VIDEO[:5]))
    animated = model.generate("image_to_video", image=Image.fromarray(PICTURE), text="a red square spins")
    assert torch.equal(animated.frames[0], torch.from_numpy(PICTURE))
    heard = model.generate("audio_to_video", audio=(tone(44100, 2.0), 44100))
    assert heard.waveform is not None and heard.waveform.shape == (1, 18000)
    painted = model.generate("inpainting", Prompt(video=channels_first(VIDEO), mask=Image.fromarray(HALF)))
    assert painted.frames.shape == (9, 32, 32, 3)


def test_songs_with_cover_art_and_films_without_sound(model_folder, tmp_path: Path, film, capsys) -> None:
    samples = (tone(44100, 2.0) * 32767).astype(np.int16)
    with av.open(str(tmp_path / "plain.mp3"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    command = [
        "generate",
        "--model",
        str(model_folder),
        "--task",
        "audio_to_video",
        "--out",
        str(tmp_path / "o.mp4"),
    ]
    assert main([*command, "--audio", str(tmp_path / "plain.mp3")]) == 0
    assert "note: audio: the first 1.1 s of 2.0 s are used" in capsys.readouterr().out
    assert main([*command, "--audio", str(film)]) == 2
    assert capsys.readouterr().err.strip().endswith("film.mp4 has no sound")
    command[4] = "image_to_video"
    assert main([*command, "--image", str(tmp_path / "plain.mp3")]) == 2
    assert "has sound and no pictures" in capsys.readouterr().err
