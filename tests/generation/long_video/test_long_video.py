"""Long videos of a tiny model: windows, scripts, sound, resuming, files."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.generation.clip_cache import cache_clip, cached_clip
from videolm.generation.long_video.long_video import LongPrompt, generate_long, write_long
from videolm.generation.long_video.script import Line
from videolm.generation.pipeline import VideoLM
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.recommended_sampling import RecommendedSampling

TEXT = "a red square moves left"


def with_tasks(model: VideoLM, *tasks: str) -> VideoLM:
    """The same model, as if it had been trained on these tasks only."""
    config = replace(model.config, tasks=tasks)
    parts = (model.vocabulary, model.lm, model.video_tokenizer, model.audio_tokenizer, model.text_tokenizer)
    return VideoLM(config, *parts)


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, str | None, int]]:
    """What the model is asked for: task, text and seed."""
    calls = []
    generate_batch = VideoLM.generate_batch

    def watched(self, task, prompts, **settings):
        calls.append((task, prompts[0].text, settings["seed"]))
        return generate_batch(self, task, prompts, **settings)

    monkeypatch.setattr(VideoLM, "generate_batch", watched)
    return calls


def test_every_window_begins_with_the_frames_before_it(model, tmp_path):
    clip, report = generate_long(model, LongPrompt([Line(TEXT)], seconds=2.5), seed=3, keep=tmp_path)
    assert clip.frames.shape == (20, 32, 32, 3)
    assert clip.waveform is not None and clip.waveform.shape == (1, 40000)
    starts = [0, 9, 13, 17]
    assert [row["first_frame"] for row in report["segments"]] == starts
    for number, first in enumerate(starts):
        window = cached_clip(tmp_path / f"{number:04d}.safetensors")
        begin = max(first - 5, 0)
        shown = clip.frames[begin : begin + 9]
        assert torch.equal(window.frames[: len(shown)], shown)
    assert all(row["picture"]["change"] > 0 for row in report["segments"][1:])


def test_each_segment_has_its_task_its_text_and_its_seed(model, asked):
    silent = LongPrompt([Line("a red star spins"), Line("a blue cross grows")], silent=True)
    generate_long(model, silent, seed=7)
    assert asked == [
        ("text_to_video", "a red star spins", 7),
        ("frame_prediction", "a blue cross grows", 8),
    ]


def test_the_best_of_several_tries_is_gone_on_from(model, asked):
    def brightness(clip: Clip, text: str) -> float:
        assert text == TEXT
        return float(clip.frames.float().mean())

    prompt = LongPrompt([Line(TEXT)], seconds=1.5, silent=True)
    clip, report = generate_long(model, prompt, seed=10, best_of=3, fit=brightness)
    assert asked == [("text_to_video", TEXT, 10), ("frame_prediction", TEXT, 13)]
    assert [row["seed"] for row in report["segments"]] == [10, 13] and report["best_of"] == 3
    firsts = [model.generate("text_to_video", text=TEXT, seed=seed) for seed in (10, 11, 12)]
    first = max(firsts, key=lambda each: brightness(each, TEXT))
    assert torch.equal(clip.frames[:9], first.frames)
    tail = first.window(4, 5)
    nexts = [model.generate("frame_prediction", text=TEXT, video=tail, seed=seed) for seed in (13, 14, 15)]
    second = max(nexts, key=lambda each: brightness(each, TEXT))
    assert torch.equal(clip.frames[9:12], second.frames[5:8])
    with pytest.raises(ValueError, match="best_of compares clips with their text; give one"):
        generate_long(model, LongPrompt(seconds=1.5), best_of=2, fit=brightness)
    with pytest.raises(ValueError, match="best_of is 2; expected 1 or more, and who judges several"):
        generate_long(model, prompt, best_of=2)


@pytest.mark.long
def test_sound_goes_on_with_the_sound_or_is_made_for_each_window_or_not_at_all(model, asked):
    prompt = LongPrompt([Line(TEXT)], seconds=1.5)
    visual = ("text_to_video", "frame_prediction")
    ways = {
        ("audio_video_continuation", "video_to_audio"): "continued",
        ("video_to_audio",): "of each window",
        ("audio_video_continuation",): "none",
    }
    sounds = {}
    for tasks, way in ways.items():
        clip, report = generate_long(with_tasks(model, *visual, *tasks), prompt)
        assert report["sound"] == way
        sounds[way] = clip.waveform
        assert ("sound" in report["segments"][1]) == (way != "none")
    assert sounds["none"] is None
    assert sounds["continued"].shape == sounds["of each window"].shape == (1, 24000)
    tasks = [task for task, _, _ in asked]
    assert tasks[:2] == ["text_to_video", "video_to_audio"] and tasks[2] == "audio_video_continuation"
    assert tasks.count("video_to_audio") == 1 + 2


def test_no_silence_is_left_between_windows(model):
    """A codec gives whole hops, which end before the frames do; the gap must not be heard."""
    clip, _ = generate_long(model, LongPrompt([Line(TEXT)], seconds=2.5), seed=1)
    assert clip.waveform is not None
    is_silent = (clip.waveform[0] == 0).float()
    assert is_silent[:39000].unfold(0, 20, 1).sum(1).max() < 20


def test_a_given_video_is_kept_and_its_end_continued(model, clip, asked):
    long, report = generate_long(model, LongPrompt(video=clip, seconds=2.0), seed=2)
    assert torch.equal(long.frames[:9], clip.frames)
    assert torch.equal(long.sound(17000), clip.sound(17000)) and long.sound(17000).any()
    assert [task for task, _, _ in asked] == ["audio_video_continuation"] * 2
    assert report["segments"][0]["given_frames"] == 5
    tail = replace(clip.window(4, 5), waveform=clip.waveform[:, 8000:])
    next_frames = model.generate("audio_video_continuation", video=tail, seed=2).frames[5:]
    assert torch.equal(long.frames[9:13], next_frames)


def test_a_video_whose_sound_cannot_go_on_makes_a_silent_one(model, clip):
    with pytest.warns(UserWarning, match="cannot go on with the video's sound"):
        long, _ = generate_long(with_tasks(model, "frame_prediction"), LongPrompt(video=clip, seconds=2.0))
    assert long.waveform is None


def test_an_image_is_the_first_frame(model, clip, asked):
    still = clip.window(0, 1)
    long, _ = generate_long(model, LongPrompt(image=still, seconds=1.5, silent=True))
    assert torch.equal(long.frames[0], still.frames[0])
    assert [task for task, _, _ in asked] == ["image_to_video", "frame_prediction"]


def test_a_stopped_run_goes_on_to_the_same_video(model, tmp_path, monkeypatch):
    prompt = LongPrompt([Line(TEXT)], seconds=2.5)
    whole, report = generate_long(model, prompt, seed=5)
    following, runs = VideoLM.generate_batch, []

    def stopping(self, *arguments, **settings):
        runs.append(settings["seed"])
        if len(runs) == 4:
            raise KeyboardInterrupt
        return following(self, *arguments, **settings)

    monkeypatch.setattr(VideoLM, "generate_batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        generate_long(model, prompt, seed=5, keep=tmp_path)
    again, report_again = generate_long(model, prompt, seed=5, keep=tmp_path)
    assert torch.equal(again.frames, whole.frames)
    assert again.waveform is not None and whole.waveform is not None
    assert torch.equal(again.waveform, whole.waveform)
    assert report_again == report
    assert runs == [5, 5, 6, 7, 7, 8]


@pytest.mark.long
def test_windows_of_another_model_or_prompt_are_made_again(model, make_model, tmp_path, capsys):
    prompt, keep = LongPrompt([Line(TEXT)], seconds=1.5), tmp_path / "segments"
    generate_long(model, prompt, seed=5, keep=keep)
    other = make_model(1)
    again, _ = generate_long(other, prompt, seed=5, keep=keep)
    assert "was made of something else, and is made again" in capsys.readouterr().out
    fresh, _ = generate_long(other, prompt, seed=5)
    assert torch.equal(again.frames, fresh.frames)
    generate_long(other, prompt, seed=5, keep=keep)
    assert "made again" not in capsys.readouterr().out


def test_the_command_refuses_windows_of_a_model_that_was_trained_anew(model_folder, make_model, tmp_path):
    shutil.copytree(model_folder, tmp_path / "model")
    arguments = (tmp_path / "model", LongPrompt([Line(TEXT)], seconds=1.0), tmp_path / "out")
    write_long(*arguments)
    make_model(1).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="holds a long video made with model_fingerprint"):
        write_long(*arguments)


def test_windows_are_drawn_as_recommended_for_their_tasks_and_the_record_says_so(model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path / "model")
    arguments = (tmp_path / "model", LongPrompt([Line(TEXT)], seconds=1.5, silent=True), tmp_path / "out")
    write_long(*arguments)
    plain = (tmp_path / "out" / "video.mp4").read_bytes()
    RecommendedSampling({"frame_prediction": Sampling(0.01)}).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"made with .*sampling.frame_prediction.temperature None, now 0.01"):
        write_long(*arguments)
    write_long(*arguments[:2], tmp_path / "other")
    report = json.loads((tmp_path / "other" / "report.json").read_text())
    temperatures = {task: each["temperature"] for task, each in report["sampling"].items()}
    assert temperatures == {"text_to_video": 1.0, "frame_prediction": 0.01}
    assert (tmp_path / "other" / "video.mp4").read_bytes() != plain


def test_a_kept_window_is_made_again_where_another_sampling_is_recommended(model, tmp_path, capsys):
    prompt, recommending = LongPrompt([Line(TEXT)], seconds=1.5, silent=True), copy.copy(model)
    generate_long(recommending, prompt, keep=tmp_path)
    recommending.recommended = RecommendedSampling({"frame_prediction": Sampling(0.01)})
    again, _ = generate_long(recommending, prompt, keep=tmp_path)
    assert "0001.safetensors was made of something else, and is made again" in capsys.readouterr().out
    assert torch.equal(again.frames, generate_long(recommending, prompt)[0].frames)


def test_more_given_frames_leave_fewer_new_ones(model):
    _, report = generate_long(model, LongPrompt([Line(TEXT)], seconds=3.0, given=1, silent=True))
    assert [row["first_frame"] for row in report["segments"]] == [0, 9, 17]
    for given in (0, 4, 9, -3):
        with pytest.raises(ValueError, match=r"given frames|clip has 4 frames"):
            generate_long(model, LongPrompt([Line(TEXT)], seconds=3.0, given=given))


@pytest.mark.parametrize(
    ("prompt", "sampling", "message"),
    [
        (LongPrompt([Line(TEXT), Line("猫")]), {}, "training never showed any word of the text '猫'"),
        (LongPrompt(seconds=3.0), {"guidance_scale": 2.0}, "need a text"),
        (LongPrompt([Line(TEXT)], negative="a star"), {}, "a negative text acts through guidance"),
    ],
)
def test_what_the_model_cannot_use_is_refused(model, prompt, sampling, message):
    with pytest.raises(ValueError, match=message):
        generate_long(model, prompt, sampling=Sampling(**sampling))


def test_cached_clips_come_back_exactly(clip, tmp_path):
    for kept in (clip, replace(clip, waveform=None, sample_rate=None, caption=None, fps=29.97)):
        cache_clip(kept, tmp_path / "x.safetensors")
        again = cached_clip(tmp_path / "x.safetensors")
        assert torch.equal(again.frames, kept.frames)
        assert (again.fps, again.sample_rate, again.caption) == (kept.fps, kept.sample_rate, kept.caption)
        assert (again.waveform is None) == (kept.waveform is None)
        if kept.waveform is not None and again.waveform is not None:
            assert torch.equal(again.waveform, kept.waveform)
    for content in (b"", b"\x08\0\0\0\0\0\0\0{}      "):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="holds no clip; remove it"):
            cached_clip(tmp_path / "x.safetensors")


def test_the_command_writes_video_report_and_segments(model_folder: Path, clip: Clip, tmp_path, capsys):
    write_clip(clip, tmp_path / "clip.mp4")
    script = tmp_path / "script.jsonl"
    script.write_text(json.dumps({"text": TEXT, "seconds": 1.0}) + "\n")
    command = ["long-video", "--model", str(model_folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--script", str(script), "--seconds", "1.5"]) == 0
    assert read_clip(tmp_path / "out" / "video.mp4").num_frames == 12
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["seconds"] == 1.5 and len(report["segments"]) == 2
    assert len(list((tmp_path / "out" / "segments").iterdir())) == 2
    assert "wrote " in capsys.readouterr().out
    assert main([*command, "--script", str(script), "--seconds", "2"]) == 2
    assert "holds a long video made with prompt.seconds 1.5, now 2.0: choose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing says how long"),
        (("--text", "a", "--script", "s.txt"), "give either --text or --script"),
        (("--script", "none.txt"), "there is no file none.txt for the script"),
        (("--image", __file__, "--video", __file__, "--seconds", "3"), "either an image or a video"),
        (("--seconds", "3", "--video", "none.mp4"), "none.mp4"),
        (("--seconds", "3", "--out", "x.mp4"), "expected a folder"),
        (("--seconds", "3", "--best-of", "2"), "best_of compares clips with their text"),
        (("--text", "a", "--best-of", "2", "--judge", "clip"), "there is no folder clip with a CLIP model"),
    ],
)
def test_mistakes_are_one_line(model_folder, tmp_path, capsys, words, message):
    out = () if "--out" in words else ("--out", str(tmp_path / "out"))
    assert main(["long-video", "--model", str(model_folder), *out, *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
