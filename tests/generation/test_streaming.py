"""Frames leave while the rest of the clip is generated, and are those of the whole clip."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.generation.streaming import positions_needed, write_preview
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.layout import Layout
from videolm.tasks.spans import Lengths
from videolm.tasks.task import load_task


@pytest.mark.parametrize("decoding", ["sequential", "jacobi"])
@pytest.mark.parametrize("task", ["text_to_video", "image_to_video", "frame_prediction", "inpainting"])
def test_parts_are_the_clip_and_the_whole_is_as_generated(model: VideoLM, clip: Clip, task, decoding) -> None:
    prompt = {
        "text_to_video": Prompt(text=clip.caption),
        "image_to_video": Prompt(image=clip.window(0, 1)),
        "frame_prediction": Prompt(video=clip.window(0, 5)),
        "inpainting": Prompt(video=clip, mask="box"),
    }[task]
    stream = model.stream(task, prompt, seed=3, sampling=Sampling(decoding=decoding))
    parts = list(stream)
    whole = model.generate(task, prompt, seed=3)
    assert torch.equal(stream.finished.frames, whole.frames)
    difference = torch.cat([part.frames for part in parts]).int() - whole.frames.int()
    assert difference.abs().max() <= 1  # a byte may be rounded the other way
    assert len(parts) > 1 and all(part.fps == whole.fps for part in parts)


def test_guidance_and_sound_come_with_a_stream(model: VideoLM, clip: Clip) -> None:
    how = Sampling(guidance_scale=2.0)
    stream = model.stream("text_to_video", Prompt(text=clip.caption), sampling=how)
    list(stream)
    whole = model.generate("text_to_video", text=clip.caption, sampling=how)
    assert torch.equal(stream.finished.frames, whole.frames) and stream.finished.caption == clip.caption
    sounding = model.stream("audio_to_video", Prompt(audio=clip))
    assert all(part.waveform is None for part in sounding)
    sound = sounding.finished.waveform
    assert sound is not None and clip.waveform is not None and torch.equal(sound, clip.waveform)


def test_each_part_leaves_before_the_next_codes_are_sampled(model: VideoLM, clip: Clip) -> None:
    stream = model.stream("text_to_video", Prompt(text=clip.caption))
    decoder, reads = stream.generation.decoder, []
    original = decoder.read

    def counted(stop: int, wanted: int = 1) -> torch.Tensor:
        reads.append(stop)
        return original(stop, wanted)

    decoder.read = counted  # pyright: ignore[reportAttributeAccessIssue] - watched for this test
    sampled = [(len(reads), part.num_frames) for part in stream]
    assert sampled == [(16, 1), (32, 4), (48, 4)]


def test_the_first_of_17_frames_needs_a_fifth_of_the_positions(model: VideoLM) -> None:
    lengths = Lengths(t=5, h=16, w=16, text=4)
    layout = Layout.of(load_task("text_to_video"), model.vocabulary, lengths)
    assert positions_needed(layout) == [256, 512, 768, 1024, 1280]
    animated = Layout.of(load_task("image_to_video"), model.vocabulary, lengths)
    assert positions_needed(animated) == [0, 256, 512, 768, 1024]
    continued = Layout.of(load_task("frame_prediction"), model.vocabulary, replace(lengths, given=2))
    assert positions_needed(continued) == [0, 0, 256, 512, 768]


def test_a_preview_grows(model: VideoLM, clip: Clip, tmp_path: Path) -> None:
    lengths: list[int] = []
    stream = model.stream("text_to_video", Prompt(text=clip.caption))
    path = tmp_path / "preview.mp4"
    write_preview(stream, path, lambda share: lengths.append(read_clip(path).num_frames))
    assert lengths == [1, 5, 9]


def test_the_command_shows_a_preview_and_decodes_in_parallel(model_folder, clip, tmp_path, capsys) -> None:
    write_clip(clip, tmp_path / "clip.mp4")
    command = ["generate", "--model", str(model_folder), "--task", "frame_prediction"]
    command += ["--video", str(tmp_path / "clip.mp4"), "--seed", "4"]
    fast = ["--decoding", "jacobi", "--preview", str(tmp_path / "preview.gif")]
    assert main([*command, "--out", str(tmp_path / "plain.mp4")]) == 0
    assert main([*command, *fast, "--out", str(tmp_path / "fast.mp4")]) == 0
    assert (tmp_path / "plain.mp4").read_bytes() == (tmp_path / "fast.mp4").read_bytes()
    assert (tmp_path / "preview.gif").is_file()
    assert main([*command, "--quantize", "int8", "--out", str(tmp_path / "int8.mp4")]) == 0
    capsys.readouterr()
    for wrong, message in (
        (["--quantize", "int3"], "quantize is 'int3'; expected int8"),
        (["--decoding", "magic"], "decoding is 'magic'"),
        (["--preview", str(tmp_path / "x.doc")], "names no format"),
        ([*fast, "--num-samples", "2"], "leave out num_samples"),
    ):
        assert main([*command, *wrong, "--out", str(tmp_path / "x.mp4")]) == 2
        assert message in capsys.readouterr().err


def test_a_task_without_frames_is_refused(model: VideoLM, clip: Clip) -> None:
    with pytest.raises(ValueError, match="makes no frames"):
        model.stream("video_to_audio", Prompt(video=clip))


def test_a_batch_shows_the_frames_of_each_clip_while_it_is_generated(model: VideoLM, clip: Clip) -> None:
    shown: dict[int, list[torch.Tensor]] = {0: [], 1: []}
    prompts = [Prompt(text=clip.caption), Prompt(text="a red square")]
    show = lambda number, part: shown[number].append(part.frames)  # noqa: E731
    made = model.generate_batch("text_to_video", prompts, seed=3, show=show)
    for number, whole in enumerate(made):
        assert len(shown[number]) > 1
        assert (torch.cat(shown[number]).int() - whole.frames.int()).abs().max() <= 1
    model.generate_batch("video_to_audio", [Prompt(video=clip)], show=show)  # it has no frames to show
    assert sum(map(len, shown[0])) == made[0].num_frames
