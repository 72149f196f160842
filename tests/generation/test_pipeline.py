import copy
import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videolm.cli.main import main
from videolm.data.analysis.geometry import SceneGeometry
from videolm.data.media.clip import Clip
from videolm.data.synthetic.corpus import Corpus
from videolm.generation.best_of import paint_best
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt, fitted_video, given_frames
from videolm.lm.batch import Batch
from videolm.lm.decoding.generate import generate as generate_ids
from videolm.lm.decoding.sampling import DrawSettings, Sampling
from videolm.lm.model.heads import Head
from videolm.tasks.layout import Layout
from videolm.tasks.masks import draw_mask
from videolm.tasks.model_config import save_model_files
from videolm.tasks.recommended_sampling import RecommendedSampling
from videolm.tasks.task import ROLES, film_task_names

GEOMETRY = SceneGeometry(
    Corpus(height=32, width=32, num_frames=9), Corpus(height=32, width=32, num_frames=9).scene(0)
)


def inputs(task: str, clip: Clip) -> Prompt:
    """What each task is given in these tests."""
    given: dict[str, dict[str, Any]] = {
        "text_to_video": {"text": clip.caption},
        "text_to_image": {"text": clip.caption},
        "image_to_video": {"image": clip.window(0, 1)},
        "frame_prediction": {"video": clip.window(0, 5)},
        "video_to_audio": {"video": clip},
        "audio_to_video": {"audio": clip},
        "unconditional": {},
        "inpainting": {"video": clip},
        "outpainting": {"video": clip, "text": clip.caption},
        "stylization": {"video": clip, "text": clip.caption, "geometry": GEOMETRY},
        "stylization_with_image": {
            "video": clip,
            "text": clip.caption,
            "geometry": GEOMETRY,
            "image": clip.window(0, 1),
        },
        "audio_video_continuation": {"video": clip.window(0, 1)},
    }
    return Prompt(**given[task])


@pytest.mark.parametrize("task", film_task_names())
def test_every_task_gives_a_clip_of_the_models_size(model: VideoLM, clip: Clip, task: str) -> None:
    made = model.generate(task, inputs(task, clip), seed=1)
    frames = 1 if task == "text_to_image" else 9
    assert made.frames.shape == (frames, 32, 32, 3)
    assert made.fps == 8.0
    has_sound = "audio" in task or "painting" in task  # painting keeps the sound of what is painted
    assert (made.waveform is not None) == has_sound
    assert made.waveform is None or made.waveform.shape == (1, 18000)


@pytest.mark.parametrize("task", ["text_to_video", "frame_prediction", "video_to_audio"])
def test_the_same_seed_gives_the_same_clip_and_another_seed_another(model, clip, task: str) -> None:
    first, again, other = (model.generate(task, inputs(task, clip), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(_content(first), _content(again))
    assert not torch.equal(_content(first), _content(other))


@pytest.mark.parametrize("composite", [False, True])
def test_the_best_painting_is_the_one_that_shows_best_what_is_known(model, corpus, composite: bool) -> None:
    videos = [corpus[index] for index in range(2)]
    prompts = [Prompt(video=video, mask="box") for video in videos]
    mask = draw_mask("box", 9, 32, 32)
    best = paint_best(model, "inpainting", prompts, 3, seed=[20, 10], composite=composite)
    for video, seed, clip in zip(videos, (20, 10), best, strict=True):
        given = video.frames
        tries = model.generate_many(
            "inpainting", num_samples=3, video=video, mask="box", seed=seed, composite=False
        )
        errors = [((given - each.frames.float()) ** 2 * mask[..., None]).sum((1, 2, 3)) for each in tries]
        nearest = tries[int(torch.stack(errors).log().mean(1).argmin())].frames
        expected = torch.where(mask[..., None], given, nearest) if composite else nearest
        assert (clip.frames.int() - expected.int()).abs().max() <= 1
    with pytest.raises(ValueError, match="task text_to_video paints nothing"):
        paint_best(model, "text_to_video", [Prompt(text="a red star spins")], 2, seed=[0])


def test_a_clip_of_a_batch_is_the_clip_generated_alone(model: VideoLM, corpus) -> None:
    prompts = [Prompt(text=corpus[index].caption) for index in range(5)]
    batched = model.generate_batch("text_to_video", prompts, seed=7, batch_size=2)
    for index in (0, 3, 4):
        alone = model.generate("text_to_video", text=prompts[index].text, seed=7 + index)
        difference = batched[index].frames.int() - alone.frames.int()
        assert difference.abs().max() <= 1  # the same codes; a byte may be rounded the other way
        assert batched[index].caption == prompts[index].text


def test_several_samples_are_those_of_consecutive_seeds(model: VideoLM) -> None:
    samples = model.generate_many("unconditional", seed=5, num_samples=3)
    assert len(samples) == 3
    assert torch.equal(samples[2].frames, model.generate("unconditional", seed=7).frames)


def test_given_frames_and_sound_come_back_as_they_were(model: VideoLM, clip: Clip) -> None:
    continued = model.generate("frame_prediction", video=clip.window(0, 5))
    assert torch.equal(continued.frames[:5], clip.frames[:5])
    assert not torch.equal(continued.frames[5:], clip.frames[5:])
    animated = model.generate("image_to_video", image=clip.window(0, 1), text=clip.caption)
    assert torch.equal(animated.frames[:1], clip.frames[:1])
    assert torch.equal(model.generate("video_to_audio", video=clip).frames, clip.frames)
    sound = model.generate("audio_to_video", audio=clip).waveform
    assert sound is not None and clip.waveform is not None and torch.equal(sound, clip.waveform)


def test_guidance_and_a_negative_text_change_the_clip(model: VideoLM) -> None:
    prompt, strong = Prompt(text="a red square moves left"), Sampling(guidance_scale=4.0)
    plain = model.generate("text_to_video", prompt)
    guided = model.generate("text_to_video", prompt, sampling=strong)
    away = model.generate("text_to_video", prompt, sampling=strong, negative="a blue circle grows")
    assert not torch.equal(plain.frames, guided.frames)
    assert not torch.equal(guided.frames, away.frames)


def test_decode_of_encode_keeps_shape_sound_and_codes_shape(model: VideoLM, clip: Clip) -> None:
    codes = model.encode(clip)
    assert codes["visual"].shape == (3, 4, 4)
    assert codes["audio"].shape == (2, 56)
    again = model.decode(codes)
    assert again.frames.shape == clip.frames.shape
    assert again.waveform is not None and again.waveform.shape == (1, 18000)
    assert "audio" not in model.encode(replace(clip, waveform=None, sample_rate=None))


def test_encode_refuses_another_size(model: VideoLM, clip: Clip) -> None:
    with pytest.raises(ValueError, match="clip is 16x16 at 8 fps; expected 32x32"):
        model.encode(clip.resized(16, 16))
    with pytest.raises(ValueError, match="8 frames; expected 1"):
        model.encode(clip.window(0, 8))


def test_a_saved_model_generates_the_same(model: VideoLM, model_folder: Path, clip: Clip) -> None:
    loaded = VideoLM.from_pretrained(model_folder)
    for task in ("text_to_video", "video_to_audio"):
        made, again = (each.generate(task, inputs(task, clip), seed=2) for each in (model, loaded))
        assert torch.equal(_content(made), _content(again))


@pytest.mark.parametrize("order", ["level", "time"])
def test_generated_sound_is_what_one_pass_over_its_codes_chooses(model: VideoLM, clip: Clip, order) -> None:
    other = replace(model.config, audio_order=order)
    layout = Layout.of(other.task("video_to_audio"), model.vocabulary, other.lengths)
    prompt = layout.prompt(model.encode(clip))
    likeliest = DrawSettings(top_k=1)
    ids = generate_ids(model.lm, Batch.collate([prompt]), likeliest, [torch.Generator()])[0]
    codes = layout.unpack(ids)
    with torch.no_grad():
        hidden = model.lm(Batch.collate([layout.pack(codes)]))[0]
    (first,) = (layout.segment == ROLES.index("audio_output")).nonzero()[0].tolist()
    for level, frame in ((0, 0), (1, 0), (0, 7), (1, 55)):
        position = first + (level * 56 + frame if order == "level" else frame * 2 + level)
        head = model.lm.heads[f"audio_{level}"]
        assert isinstance(head, Head)
        logits = head.logits(hidden[position - 1 : position])
        assert logits.argmax() == codes["audio"][level, frame]


def test_the_order_of_the_sound_is_stored_with_the_model(model: VideoLM, model_folder: Path, tmp_path, clip):
    shutil.copytree(model_folder, tmp_path / "model")
    save_model_files(tmp_path / "model", replace(model.config, audio_order="time"), model.vocabulary)
    other = VideoLM.from_pretrained(tmp_path / "model")
    assert other.config.audio_order == "time"
    made, made_other = (each.generate("video_to_audio", video=clip, seed=4) for each in (model, other))
    assert not torch.equal(_content(made), _content(made_other))


def test_an_unknown_order_of_the_sound_is_refused(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.with_name("checksums.json").unlink()
    path.write_text(path.read_text().replace('"audio_order": "level"', '"audio_order": "sideways"'))
    with pytest.raises(ValueError, match="audio_order 'sideways'; expected one of"):
        VideoLM.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(
    "command",
    [
        "tasks --model {model}",
        "generate --model {model} --task unconditional --out {out}.mp4",
        "long-video --model {model} --text x --seconds 2 --out {out}",
        "evaluate --model {model} --protocol shapes-all --clips 1 --out {out}",
    ],
)
def test_a_file_of_a_task_that_a_model_names_is_not_run(model_folder, tmp_path, command, capsys) -> None:
    """Opening somebody else's model runs no code of theirs."""
    folder, marker, task = tmp_path / "model", tmp_path / "marker", tmp_path / "theirs.py"
    shutil.copytree(model_folder, folder)
    task.write_text(f"open({str(marker)!r}, 'w')\n")
    config = folder / "config.json"
    config.with_name("checksums.json").unlink()
    stored = json.loads(config.read_text())
    config.write_text(json.dumps(stored | {"tasks": [str(task), *stored["tasks"]]}))
    assert main(command.format(model=folder, out=tmp_path / "out").split()) == 2
    assert not marker.exists()
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and f"names task {str(task)!r}" in lines[0]


@pytest.mark.parametrize("part", ["video_tokenizer", "audio_tokenizer", "text_tokenizer"])
def test_a_tokenizer_of_another_training_is_refused(make_model, model_folder: Path, tmp_path, part) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    shutil.rmtree(folder / part)
    getattr(make_model(1), part).save_pretrained(folder / part)
    with pytest.raises(ValueError, match=f"the {part.split('_')[0]} tokenizer .* is not the one"):
        VideoLM.from_pretrained(folder)


@pytest.mark.parametrize("part", ["lm", "video_tokenizer", "audio_tokenizer", "text_tokenizer"])
def test_a_missing_part_is_named(model_folder: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    shutil.rmtree(folder / part)
    with pytest.raises(FileNotFoundError, match=part):
        VideoLM.from_pretrained(folder)


@pytest.mark.parametrize(
    ("task", "prompt", "scale", "message"),
    [
        ("text_to_video", Prompt(), None, "text_to_video takes a text; text is missing"),
        ("frame_prediction", Prompt(text="x"), None, "video is missing"),
        ("video_to_audio", Prompt(text="x", video="y.mp4"), None, "takes a video; it has no use for text"),
        ("unconditional", Prompt(image="y.png"), None, "takes nothing; it has no use for image"),
        ("unconditional", Prompt(), 3.0, "task unconditional takes none"),
        ("image_to_video", Prompt(image="y.png"), 3.0, "none is given"),
        ("text_to_video", Prompt(text=" "), None, "is empty"),
        ("text_to_video", Prompt(text="x", negative="y"), None, "acts through guidance"),
        ("no_such_task", Prompt(), None, "unknown task 'no_such_task'; there are"),
    ],
)
def test_inputs_that_a_task_cannot_use_are_refused(model: VideoLM, task, prompt, scale, message) -> None:
    with pytest.raises(ValueError, match=message):
        model.generate(task, prompt, sampling=Sampling(guidance_scale=scale))


def test_a_task_that_was_not_trained_is_refused(model: VideoLM, clip: Clip) -> None:
    config = replace(model.config, tasks=("unconditional",))
    small = VideoLM(
        config, model.vocabulary, model.lm, model.video_tokenizer, model.audio_tokenizer, model.text_tokenizer
    )
    with pytest.raises(ValueError, match="not trained on task text_to_video; it has unconditional"):
        small.generate("text_to_video", text="a red square")


def test_media_of_another_size_are_fitted_and_a_warning_says_so(model: VideoLM, clip: Clip) -> None:
    large = clip.resized(64, 64)
    with pytest.warns(UserWarning, match="64x64 are resized and cut to 32x32"):
        assert fitted_video(large, model.clips, 9).frames.shape == (9, 32, 32, 3)
    with pytest.warns(UserWarning, match="its last is held up to 9"):
        held = fitted_video(clip.window(0, 6), model.clips, 9)
    assert torch.equal(held.frames[6:], clip.frames[5:6].expand(3, -1, -1, -1))
    with pytest.warns(UserWarning, match="the last 0.6 s of 1.1 s are used .5 of 9 frames"):
        assert torch.equal(given_frames(clip, model.clips).frames, clip.frames[4:])
    with pytest.warns(UserWarning, match="the last 0.1 s of 0.4 s are used .1 of 3 frames"):
        assert torch.equal(given_frames(clip.window(0, 3), model.clips).frames, clip.frames[2:3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given_frames(clip.window(0, 5), model.clips)


def test_prompts_with_different_numbers_of_given_frames_are_one_batch(model: VideoLM, clip: Clip) -> None:
    prompts = [Prompt(video=clip.window(0, count)) for count in (5, 1, 5)]
    made = model.generate_batch("frame_prediction", prompts, seed=0, sampling=Sampling())
    for one, count in zip(made, (5, 1, 5), strict=True):
        assert one.num_frames == 9
        assert torch.equal(one.frames[:count], clip.frames[:count])


def _content(clip: Clip) -> torch.Tensor:
    return clip.frames if clip.waveform is None else clip.waveform


def test_a_model_samples_as_it_recommends_unless_told_otherwise(model: VideoLM, tmp_path: Path) -> None:
    """Alone, in a batch of prompts with a text and without, and after a trip through a folder."""
    text, image = "a red square moves left", Clip(torch.zeros(1, 32, 32, 3, dtype=torch.uint8), 8.0)
    recommending = copy.copy(model)
    recommending.recommended = RecommendedSampling({"image_to_video": Sampling(0.5, guidance_scale=3.0)})
    recommending.save_pretrained(tmp_path / "model")
    recommending = VideoLM.from_pretrained(tmp_path / "model")
    free, led = Prompt(image=image), Prompt(text=text, image=image)
    made_free, made_led = recommending.generate_batch("image_to_video", [free, led])
    unled = model.generate("image_to_video", free, sampling=Sampling(0.5))
    assert torch.equal(made_free.frames, unled.frames)
    asked = Sampling(0.5, guidance_scale=3.0)
    same = model.generate("image_to_video", led, seed=1, sampling=asked)
    assert torch.equal(made_led.frames, same.frames)
    plain = recommending.generate("image_to_video", led, seed=1, sampling=Sampling(recommended=False))
    assert torch.equal(plain.frames, model.generate("image_to_video", led, seed=1).frames)
    assert not torch.equal(plain.frames, made_led.frames)
