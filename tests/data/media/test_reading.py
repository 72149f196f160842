"""Clips in and out of files."""

import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from PIL import Image

from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.probe import probe, probe_header
from videolm.data.media.reading import read_clip, read_waveform
from videolm.data.media.sound import resample
from videolm.data.media.streams import Limits, MediaError
from videolm.data.media.timing import audio_samples

COLOURS = torch.tensor(
    [[230, 40, 40], [40, 200, 60], [50, 70, 230], [240, 220, 40], [30, 30, 30], [240, 240, 240]],
    dtype=torch.uint8,
)


def plain_frames(num_frames, height=32, width=48):
    """Frame k is filled with colour k, so a frame tells its number."""
    colours = COLOURS[torch.arange(num_frames) % len(COLOURS)]
    return colours[:, None, None].expand(-1, height, width, 3).contiguous()


def numbers(frames):
    """Which colour each frame has in its middle."""
    middle = frames[:, frames.shape[1] // 2, frames.shape[2] // 2].float()
    return torch.cdist(middle, COLOURS.float()).argmin(dim=1).tolist()


def four_corners(height=32, width=48):
    """Red, green, blue and yellow quarters, row by row."""
    picture = torch.zeros(height, width, 3, dtype=torch.uint8)
    for index in range(4):
        rows = slice(height // 2, None) if index >= 2 else slice(height // 2)
        columns = slice(width // 2, None) if index % 2 else slice(width // 2)
        picture[rows, columns] = COLOURS[index]
    return picture


def corners(frame):
    """The colours' numbers around the four quarters, row by row."""
    height, width = frame.shape[:2]
    points = [frame[y, x] for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]
    return numbers(torch.stack(points)[:, None, None])


def clicks(num_samples, *positions, channels=1, length=32):
    waveform = torch.zeros(channels, num_samples)
    for position in positions:
        waveform[:, position : position + length] = 0.8
    return waveform


def first_click(waveform, sample_rate):
    return int((waveform[0].abs() > 0.3).nonzero()[0]) / sample_rate


def encode_by_hand(path, pictures, times, *, prepare=lambda stream: None, clock=Fraction(1, 1000)):
    """A video (lossless but for its colours) whose frames are shown at the given times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv444p"
        stream.codec_context.time_base = clock
        prepare(stream)
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture.numpy(), "rgb24")
            frame.pts, frame.time_base = round(time / clock), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def encode_sound(container, stream, waveform, start=0):
    frame = av.AudioFrame.from_ndarray(waveform.numpy(), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = stream.rate, start, Fraction(1, stream.rate)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.fixture
def clip():
    waveform = clicks(18000, 4800)
    return Clip(plain_frames(9), 8.0, waveform, 16000, "colours")


def test_an_mkv_gives_back_every_pixel_and_the_sound_in_16_bits(tmp_path):
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (7, 15, 17, 3), dtype=torch.uint8, generator=generator)
    waveform = torch.rand((1, 7 * 2048), generator=generator) * 1.9 - 0.95
    write_clip(Clip(frames, 15.0, waveform, 30720), tmp_path / "a.mkv")
    read = read_clip(tmp_path / "a.mkv")
    assert read.frames.equal(frames)
    assert (read.fps, read.sample_rate) == (15.0, 30720)
    assert read.waveform.shape == waveform.shape
    assert (read.waveform - waveform).abs().max() <= 1 / 2**15


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_films_come_back_in_number_rate_colour_and_length(tmp_path, clip, suffix):
    write_clip(clip, tmp_path / f"a{suffix}")
    again = read_clip(tmp_path / f"a{suffix}", sample_rate=16000, caption="colours")
    assert (again.fps, again.caption) == (8.0, "colours")
    assert again.frames.shape == clip.frames.shape
    assert (again.frames.int() - clip.frames.int()).abs().max() <= 6
    assert again.waveform.shape == clip.waveform.shape


@pytest.mark.parametrize("fps", [0.5, 7.5, 23.976, 30000 / 1001, 60.0])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_any_frame_rate_comes_back(tmp_path, suffix, fps):
    write_clip(Clip(plain_frames(5), fps), tmp_path / f"a{suffix}")
    again = read_clip(tmp_path / f"a{suffix}")
    assert again.fps == pytest.approx(fps, rel=1e-4)
    assert numbers(again.frames) == [0, 1, 2, 3, 4]
    assert again.waveform is None


@pytest.mark.parametrize("sample_rate", [8000, 12345, 16000, 44100])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_stays_aligned_with_the_picture(tmp_path, suffix, sample_rate):
    """Codecs put samples before the first; a click must not move by 10 ms."""
    samples = audio_samples(9, 8.0, sample_rate)
    for seconds in (0.0, 0.3, 1.0):
        waveform = clicks(samples, int(seconds * sample_rate), channels=2, length=sample_rate // 500)
        write_clip(Clip(plain_frames(9), 8.0, waveform, sample_rate), tmp_path / f"a{suffix}")
        again = read_clip(tmp_path / f"a{suffix}", sample_rate=sample_rate)
        assert again.waveform.shape == waveform.shape
        assert first_click(again.waveform, sample_rate) == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_part_has_its_own_frames_and_sound(tmp_path, suffix):
    sound = clicks(48000, 16000 + 4800)
    write_clip(Clip(plain_frames(24), 8.0, sound, 16000), tmp_path / f"a{suffix}")
    part = read_clip(tmp_path / f"a{suffix}", start=1.0, end=2.0, sample_rate=16000)
    assert numbers(part.frames) == [index % 6 for index in range(8, 16)]
    assert part.waveform.shape == (1, 16000)
    assert first_click(part.waveform, 16000) == pytest.approx(0.3, abs=0.01)
    short = read_clip(tmp_path / f"a{suffix}", start=1.0, num_frames=3)
    assert numbers(short.frames) == [2, 3, 4]


def test_another_rate_shows_the_latest_frame_at_each_instant(tmp_path, clip):
    write_clip(clip, tmp_path / "a.mp4")
    for fps in (4.0, 10.0, 16.0):
        again = read_clip(tmp_path / "a.mp4", fps=fps)
        assert numbers(again.frames) == numbers(clip.at_fps(fps).frames)
        assert again.waveform.shape[1] == audio_samples(again.num_frames, fps, again.sample_rate)


def test_variable_rates_are_read_by_time(tmp_path):
    times = [0.0, 0.1, 0.5, 0.6, 1.5]
    path = encode_by_hand(tmp_path / "a.mkv", plain_frames(5), times)
    again = read_clip(path, fps=10.0, end=1.6)
    assert numbers(again.frames) == [0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]
    assert read_clip(path, start=0.5, end=0.7, fps=10.0).frames.shape[0] == 2


def test_a_file_that_does_not_begin_at_zero_begins_with_its_first_frame(tmp_path):
    path = encode_by_hand(tmp_path / "a.mkv", plain_frames(5), [10.0 + index / 5 for index in range(5)])
    assert numbers(read_clip(path, fps=5.0).frames) == [0, 1, 2, 3, 4]
    assert numbers(read_clip(path, fps=5.0, start=0.4).frames) == [2, 3, 4]


def test_a_transport_stream_is_read_from_anywhere(tmp_path):
    """MPEG-TS has no index; this one has its only key frame at its beginning."""
    path = encode_by_hand(tmp_path / "a.ts", plain_frames(24), [index / 8 for index in range(24)])
    assert numbers(read_clip(path, fps=8.0, start=1.0, num_frames=4).frames) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("rotation", "flips", "expected"),
    [
        (0, {}, [0, 1, 2, 3]),
        (-90, {}, [2, 0, 3, 1]),
        (90, {}, [1, 3, 0, 2]),
        (180, {}, [3, 2, 1, 0]),
        (0, {"hflip": True}, [1, 0, 3, 2]),
        (0, {"vflip": True}, [2, 3, 0, 1]),
    ],
)
def test_pictures_stand_upright(tmp_path, rotation, flips, expected):
    turn = lambda stream: stream.set_display_rotation(rotation, **flips)  # noqa: E731
    path = encode_by_hand(tmp_path / "a.mp4", four_corners()[None], [0.0], prepare=turn)
    whole = read_clip(path)
    assert (whole.height, whole.width) == ((48, 32) if abs(rotation) == 90 else (32, 48))
    assert corners(whole.frames[0]) == expected
    assert corners(read_clip(path, height=20, width=20).frames[0]) == expected


def test_photos_are_turned_by_their_exif(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(four_corners().numpy()).save(tmp_path / "a.jpg", exif=turned, quality=95)
    photo = read_clip(tmp_path / "a.jpg")
    assert (photo.height, photo.width) == (48, 32)
    assert corners(photo.frames[0]) == [2, 0, 3, 1]


def test_pixels_become_square(tmp_path):
    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    path = encode_by_hand(tmp_path / "a.mp4", four_corners()[None], [0.0], prepare=wide)
    assert read_clip(path).frames.shape == (1, 32, 96, 3)


def test_scaling_covers_then_cuts_the_middle(tmp_path):
    frames = torch.zeros(1, 32, 96, 3, dtype=torch.uint8)
    frames[:, :, 32:64] = 200
    write_clip(Clip(frames, 8.0), tmp_path / "a.png")
    small = read_clip(tmp_path / "a.png", height=16, width=16)
    assert small.frames.shape == (1, 16, 16, 3)
    assert (small.frames[:, :, 2:-2].int() - 200).abs().max() <= 2


def test_reading_with_a_size_agrees_with_resizing_afterwards(tmp_path):
    smooth = torch.linspace(0, 255, 90).expand(60, 90)
    frames = torch.stack([smooth, smooth.flip(1), smooth * 0 + 90], dim=-1).to(torch.uint8)[None]
    write_clip(Clip(frames, 8.0), tmp_path / "a.png")
    whole, small = read_clip(tmp_path / "a.png"), read_clip(tmp_path / "a.png", height=20, width=24)
    assert torch.equal(whole.frames, frames)
    assert (whole.resized(20, 24).frames.int() - small.frames.int()).abs().max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".gif", ".jpg"])
def test_an_image_is_one_frame_at_any_rate(tmp_path, suffix):
    Image.fromarray(four_corners().numpy()).save(tmp_path / f"a{suffix}")
    for fps in (None, 8.0, 60.0):
        image = read_clip(tmp_path / f"a{suffix}", fps=fps)
        assert image.num_frames == 1
        assert corners(image.frames[0]) == [0, 1, 2, 3]


@pytest.mark.parametrize("frames", [plain_frames(9), plain_frames(1).expand(9, -1, -1, -1)])
def test_a_gif_keeps_every_frame_and_its_time(tmp_path, frames):
    write_clip(Clip(frames, 8.0), tmp_path / "a.gif")
    again = read_clip(tmp_path / "a.gif", fps=8.0)
    assert (again.frames.int() - frames.int()).abs().max() <= 2
    assert read_clip(tmp_path / "a.gif").fps == pytest.approx(8, rel=0.01)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        image.seek(image.n_frames - 1)
        assert image.info["duration"] in (120, 130)


def test_an_animated_webp_is_a_film(tmp_path):
    pictures = [Image.fromarray(frame.numpy()) for frame in plain_frames(3)]
    times = {"duration": [100, 400, 100], "lossless": True}
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], **times)
    assert numbers(read_clip(tmp_path / "a.webp", fps=10.0).frames) == [0, 1, 1, 1, 1, 2]
    assert read_clip(tmp_path / "a.webp").fps == 5.0
    info = probe_header(tmp_path / "a.webp")
    assert (info.kind, info.num_frames, info.seconds) == ("video", 3, pytest.approx(0.6))


def test_odd_sizes_are_padded_for_h264_only(tmp_path):
    frames = plain_frames(2, 15, 17)
    write_clip(Clip(frames, 8.0), tmp_path / "a.mp4")
    write_clip(Clip(frames, 8.0), tmp_path / "a.webm")
    assert read_clip(tmp_path / "a.mp4").frames.shape == (2, 16, 18, 3)
    assert read_clip(tmp_path / "a.webm").frames.shape == (2, 15, 17, 3)


def test_mp4_starts_with_its_index(tmp_path, clip):
    """So that a browser can play before it has everything."""
    write_clip(clip, tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_wav_keeps_samples_to_16_bits(tmp_path):
    waveform = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    write_clip(Clip(plain_frames(1), 8.0, waveform, 12345), tmp_path / "a.wav")
    again, sample_rate = read_waveform(tmp_path / "a.wav")
    assert sample_rate == 12345
    assert (again - waveform).abs().max() <= 2**-15
    loud = Clip(plain_frames(1), 8.0, waveform * 9, 12345)
    write_clip(loud, tmp_path / "a.wav")
    assert (read_waveform(tmp_path / "a.wav")[0] - (waveform * 9).clamp(-1, 1)).abs().max() <= 2**-15


@pytest.mark.parametrize("channels", [6, 8, 12])
def test_sound_around_keeps_its_channels(tmp_path, channels):
    waveform = torch.linspace(-0.9, 0.9, channels)[:, None].repeat(1, 1000)
    write_clip(Clip(plain_frames(1), 8.0, waveform, 8000), tmp_path / "a.wav")
    again, _ = read_waveform(tmp_path / "a.wav")
    assert (again - waveform).abs().max() <= 2**-15
    assert probe(tmp_path / "a.wav")[0].channels == channels


def test_read_waveform_takes_the_sound_of_a_film(tmp_path, clip):
    write_clip(clip, tmp_path / "a.mp4")
    waveform, sample_rate = read_waveform(tmp_path / "a.mp4", sample_rate=8000, channels=2)
    assert sample_rate == 8000
    assert waveform.shape == (2, 9000)
    assert first_click(waveform, 8000) == pytest.approx(0.3, abs=0.01)


def test_sound_that_sets_in_late_leaves_silence(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video = container.add_stream("libx264", 8, options={"crf": "18"})
        video.height, video.width, video.pix_fmt = 32, 48, "yuv420p"
        audio = container.add_stream("flac", 16000, layout="mono")
        for index, picture in enumerate(plain_frames(8)):
            frame = av.VideoFrame.from_ndarray(picture.numpy(), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 8)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        encode_sound(container, audio, torch.full((1, 4000), 0.5), start=8000)
    waveform = read_clip(tmp_path / "a.mkv").waveform[0]
    assert len(waveform) == 16000
    assert waveform[:7984].abs().max() == 0
    assert (waveform[8016:11984] - 0.5).abs().max() < 1e-3
    assert waveform[12016:].abs().max() == 0


def test_cover_art_is_the_picture_only_of_a_song(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        audio = container.add_stream("aac", 16000, layout="mono")
        cover = container.add_stream("png", 25)
        cover.height, cover.width, cover.pix_fmt = 32, 48, "rgb24"
        cover.disposition = Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(four_corners().numpy(), "rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(cover.encode(frame))
        encode_sound(container, audio, torch.zeros(1, 16000))
    assert corners(read_clip(tmp_path / "a.m4a").frames[0]) == [0, 1, 2, 3]


@pytest.mark.parametrize("rates", [(16000, 44100), (44100, 16000), (48000, 8000)])
def test_resampling_keeps_a_tone_and_its_time(rates):
    old, new = rates
    tone = [torch.sin(2 * torch.pi * 440 * torch.arange(rate) / rate)[None] for rate in rates]
    again = resample(tone[0], old, new)
    assert again.shape == tone[1].shape
    assert (again - tone[1])[:, new // 50 : -new // 50].abs().max() < 1e-3


def test_mixing_is_the_mean_and_one_channel_is_repeated():
    both = torch.stack([torch.ones(100), torch.ones(100) * 0.5])
    assert torch.allclose(resample(both, 8000, 8000, 1), torch.full((1, 100), 0.75))
    assert torch.equal(resample(both[:1], 8000, 8000, 2), torch.ones(2, 100))
    assert resample(torch.ones(6, 100), 8000, 8000, 2).abs().max() <= 1
    assert resample(both[:, :0], 8000, 16000, 1).shape == (1, 0)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 20])
def test_what_is_no_film_is_a_media_error_in_one_line(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    for read in (read_clip, read_waveform):
        with pytest.raises(MediaError, match=r"a\.mp4: ") as raised:
            read(path)
        assert "\n" not in str(raised.value)


def test_what_cannot_be_read_is_said(tmp_path, clip):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4 is not there"):
        read_clip(tmp_path / "nowhere.mp4")
    with pytest.raises(MediaError, match="is a folder"):
        read_clip(tmp_path)
    write_clip(clip, tmp_path / "a.wav")
    with pytest.raises(MediaError, match="sound only"):
        read_clip(tmp_path / "a.wav")
    write_clip(clip, tmp_path / "a.gif")
    with pytest.raises(MediaError, match="no sound"):
        read_waveform(tmp_path / "a.gif")
    with pytest.raises(MediaError, match="no pictures after 9 s"):
        read_clip(tmp_path / "a.gif", start=9.0)


def test_a_damaged_film_is_refused(tmp_path):
    noise = torch.randint(
        0, 256, (9, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    write_clip(Clip(noise, 8.0), tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        read_clip(tmp_path / "cut.mp4")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_pixels=32 * 48 - 1), "its frames are 32x48"),
        (Limits(max_frames=8), "more than 8 frames"),
        (Limits(max_bytes=9 * 32 * 48 * 3 - 1), "frames take more than"),
        (Limits(max_seconds=1.0), "at most 1 s"),
    ],
)
def test_limits_hold(tmp_path, clip, limits, message):
    write_clip(clip, tmp_path / "a.mp4")
    with pytest.raises(MediaError, match=message):
        read_clip(tmp_path / "a.mp4", limits=limits)
    assert read_clip(tmp_path / "a.mp4", limits=Limits(32 * 48, 9, 9 * 32 * 48 * 3, 1.2)).num_frames == 9


def test_a_long_film_can_be_read_in_parts(tmp_path, clip):
    write_clip(clip, tmp_path / "a.mp4")
    short = Limits(max_seconds=0.5)
    assert read_clip(tmp_path / "a.mp4", end=0.5, limits=short).num_frames == 4
    assert read_clip(tmp_path / "a.mp4", num_frames=4, limits=short).num_frames == 4
    with pytest.raises(MediaError, match=r"at most 0\.5 s"):
        read_waveform(tmp_path / "a.mp4", limits=short)
    for limits in (short, Limits(max_frames=8)):
        info, _ = probe(tmp_path / "a.mp4", limits=limits)
        assert (info.num_frames, info.seconds, info.loudness) == (9, 1.125, None)


@pytest.mark.parametrize(
    "request_", [{"start": -1.0}, {"start": 2.0, "end": 2.0}, {"fps": 0.0}, {"num_frames": 0}, {"height": 8}]
)
def test_senseless_requests_are_refused(tmp_path, clip, request_):
    write_clip(clip, tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="expected"):
        read_clip(tmp_path / "a.mp4", **request_)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.mov", ValueError, r"suffix '\.mov'; expected one of \.mp4, \.webm, \.mkv, \.gif, \.png, \.wav$"),
        ("nowhere/a.mp4", FileNotFoundError, "output folder .*nowhere is not there"),
        ("a.png", ValueError, "9 frames; a .png holds one"),
        ("folder.mp4", ValueError, "is a folder"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, clip, name, error, message):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(error, match=message):
        write_clip(clip, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_clips_that_do_not_fit_their_format_are_refused(tmp_path, clip):
    with pytest.raises(ValueError, match="no sound to write"):
        write_clip(Clip(clip.frames, 8.0), tmp_path / "a.wav")
    with pytest.raises(ValueError, match="no frames"):
        write_clip(Clip(clip.frames[:0], 8.0), tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="at most 50 frames per second"):
        write_clip(Clip(clip.frames, 60.0), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_former_file(tmp_path, clip):
    path = tmp_path / "a.png"
    write_clip(clip.window(0, 1), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="holds one"):
        write_clip(clip, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_names_are_files_not_addresses_or_patterns(tmp_path, clip, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(clip, "a:b.mp4")
    assert read_clip("a:b.mp4").num_frames == 9
    playlist = Path("list.m3u8")
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        read_clip(playlist)


def test_only_the_frames_asked_for_are_held(tmp_path):
    """Every frame is scaled before the next is decoded: few large frames live at a time."""
    frames = plain_frames(40, 240, 320)
    write_clip(Clip(frames, 8.0), tmp_path / "a.mp4")
    small = read_clip(tmp_path / "a.mp4", height=8, width=8, limits=Limits(max_bytes=40 * 8 * 8 * 3))
    assert np.array_equal(numbers(small.frames), [index % 6 for index in range(40)])


def break_sound(path, how):
    """The same file with a sound track of noise, or of a codec that nobody knows."""
    data = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        spans = [(packet.pos, packet.size) for packet in packets]
    noise = np.random.default_rng(0)
    data = bytearray(data)
    if how == "noise":
        for position, size in spans:
            data[position : position + size] = noise.bytes(size)
    else:
        data = data.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz")
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["noise", "unknown"])
def test_broken_sound_costs_the_sound_and_not_the_clip(tmp_path, clip, how):
    write_clip(clip, tmp_path / "a.mp4")
    break_sound(tmp_path / "a.mp4", how)
    with pytest.warns(UserWarning, match=r"a\.mp4: .*without its sound") as said:
        again = read_clip(tmp_path / "a.mp4", fps=8.0)
    assert len(said) == 1
    assert again.waveform is None
    assert numbers(again.frames) == numbers(clip.frames)
    info = probe_header(tmp_path / "a.mp4")
    assert (info.kind, info.num_frames, info.seconds) == ("video", 9, 1.125)


def test_without_sound_no_audio_is_decoded(tmp_path, clip):
    write_clip(clip, tmp_path / "a.mp4")
    break_sound(tmp_path / "a.mp4", "noise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = read_clip(tmp_path / "a.mp4", sound=False)
    assert (again.waveform, again.sample_rate) == (None, None)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_header_tells_size_rate_length_and_sound(tmp_path, clip, suffix):
    write_clip(clip, tmp_path / f"a{suffix}")
    info, (whole, _) = probe_header(tmp_path / f"a{suffix}"), probe(tmp_path / f"a{suffix}")
    assert (info.kind, info.height, info.width, info.num_frames) == ("video", 32, 48, 9)
    assert info.fps == pytest.approx(8, rel=0.01)
    assert info.seconds == pytest.approx(1.125, abs=0.02)
    assert (info.sample_rate, info.channels) == (whole.sample_rate, whole.channels)


def test_a_header_has_the_size_as_displayed(tmp_path):
    turn = lambda stream: stream.set_display_rotation(-90)  # noqa: E731
    times = [index / 8 for index in range(9)]
    info = probe_header(encode_by_hand(tmp_path / "a.mp4", plain_frames(9), times, prepare=turn))
    assert (info.height, info.width) == (48, 32)
    write_clip(Clip(four_corners()[None], 8.0), tmp_path / "a.png")
    assert (probe_header(tmp_path / "a.png").kind, probe_header(tmp_path / "a.png").fps) == ("image", 0.0)
