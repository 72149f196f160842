"""Chains of tasks on a tiny model: what goes from step to step, what is kept, what is made again."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.analysis.geometry import SceneGeometry
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.synthetic.corpus import Corpus
from videolm.generation.chain import chain as chain_module
from videolm.generation.chain.chain import Step, run_chain
from videolm.generation.chain.chain_file import read_chain
from videolm.generation.clip_cache import cached_clip
from videolm.generation.pipeline import VideoLM
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.recommended_sampling import RecommendedSampling

TEXT = "a red square moves left"
STEPS = [
    Step("picture", "text_to_image", text=TEXT, seed=1),
    Step("film", "image_to_video", text=TEXT, image="picture", seed=2),
    Step("wider", "outpainting", video="film", mask="centre", raw=True),
    Step("other", "stylization", text="a blue square moves left", video="wider", depth="none"),
    Step("sound", "video_to_audio", video="other", seed=5),
]
YAML = f"""
seed: 4
sampling: {{temperature: 0.9, guidance_scale: 1.5}}
steps:
  - {{name: picture, task: text_to_image, text: {TEXT}}}
  - {{task: image_to_video, text: {TEXT}, seed: 3, sampling: {{top_k: 5}}}}
  - {{task: video_to_audio}}
"""


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The tasks that the model is asked for."""
    calls = []
    generate_batch = VideoLM.generate_batch

    def watched(self, task, prompts, **settings):
        calls.append(task)
        return generate_batch(self, task, prompts, **settings)

    monkeypatch.setattr(VideoLM, "generate_batch", watched)
    return calls


@pytest.fixture(autouse=True)
def geometry(monkeypatch):
    """Flow and depth of some scene: finding that of a clip takes OpenCV."""
    corpus = Corpus(height=32, width=32, num_frames=9)
    known = SceneGeometry(corpus, corpus.scene(0))
    monkeypatch.setattr(chain_module, "geometry_for", lambda variants, depth: known if variants else None)


def test_every_step_is_what_the_model_makes_of_the_results_before_it(model):
    clips = run_chain(model, STEPS)
    assert list(clips) == ["picture", "film", "wider", "other", "sound"]
    film = model.generate("image_to_video", text=TEXT, image=clips["picture"], seed=2)
    assert torch.equal(clips["film"].frames, film.frames)
    assert torch.equal(film.frames[:1], clips["picture"].frames)
    wider = model.generate("outpainting", video=film, mask="centre", composite=False)
    assert torch.equal(clips["wider"].frames, wider.frames)
    assert torch.equal(clips["sound"].frames, clips["other"].frames)
    assert clips["sound"].waveform is not None


@pytest.mark.long
def test_what_is_not_named_comes_from_the_step_before(model):
    short = [STEPS[0], Step("film", "image_to_video", seed=2), Step("sound", "video_to_audio", seed=3)]
    full = [STEPS[0], Step("film", "image_to_video", image="picture", seed=2)]
    clips = run_chain(model, short)
    assert torch.equal(clips["film"].frames, run_chain(model, full)["film"].frames)
    assert torch.equal(clips["sound"].frames, clips["film"].frames)


@pytest.mark.long
def test_a_step_made_again_from_what_is_kept_gives_the_same_bytes(model, tmp_path, asked):
    clips = run_chain(model, STEPS, keep=tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(kept)[:3] == ["01-picture.json", "01-picture.png", "01-picture.safetensors"]
    assert len(kept) == 15
    for step in STEPS:
        for path in tmp_path.glob(f"*-{step.name}.*"):
            path.unlink()
        asked.clear()
        again = run_chain(model, STEPS, keep=tmp_path)
        assert asked == [step.task]
        assert torch.equal(again[step.name].frames, clips[step.name].frames)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept


@pytest.mark.long
def test_a_changed_step_is_made_again_with_those_that_follow_from_it(model, tmp_path, asked):
    steps = [*STEPS[:2], Step("aside", "unconditional"), STEPS[2]]
    run_chain(model, steps, keep=tmp_path)
    asked.clear()
    steps[1] = Step("film", "image_to_video", text=TEXT, image="picture", seed=3)
    run_chain(model, steps, keep=tmp_path)
    assert asked == ["image_to_video", "outpainting"]


@pytest.mark.long
def test_steps_of_another_model_and_foreign_results_are_made_again(model, make_model, tmp_path, asked):
    steps = STEPS[:2]
    run_chain(model, steps, keep=tmp_path)
    asked.clear()
    run_chain(make_model(1), steps, keep=tmp_path)
    assert asked == [step.task for step in steps]
    first, second = sorted(tmp_path.glob("*.safetensors"))
    first.write_bytes(second.read_bytes())  # somebody copies the result of another step to its name
    asked.clear()
    run_chain(make_model(1), steps, keep=tmp_path)
    assert asked == [steps[0].task]


def test_a_stopped_chain_goes_on(model, tmp_path, monkeypatch):
    generate_batch = VideoLM.generate_batch

    def stopping(self, task, *arguments, **settings):
        if task == "outpainting":
            raise KeyboardInterrupt
        return generate_batch(self, task, *arguments, **settings)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(VideoLM, "generate_batch", stopping)
        run_chain(model, STEPS, keep=tmp_path)
    assert not list(tmp_path.glob("03-*"))
    again, whole = (run_chain(model, STEPS, keep=keep)["sound"].waveform for keep in (tmp_path, None))
    assert again is not None and whole is not None and torch.equal(again, whole)


def test_a_chain_stopped_between_a_result_and_its_picture_shows_the_new_result(model, tmp_path, monkeypatch):
    def stopping(clip, path):
        raise KeyboardInterrupt

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run_chain(model, [STEPS[0]], keep=stopped)
    other = [Step("picture", "text_to_image", text=TEXT, seed=7)]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(chain_module, "write_clip", stopping)
        run_chain(model, other, keep=stopped)
    for keep in (stopped, whole):
        run_chain(model, other, keep=keep)
    files = [{path.name: path.read_bytes() for path in keep.iterdir()} for keep in (stopped, whole)]
    assert files[0].keys() == files[1].keys() and files[0]["01-picture.png"] == files[1]["01-picture.png"]
    assert files[0]["01-picture.json"] == files[1]["01-picture.json"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "the chain has no steps"),
        ([STEPS[0], STEPS[0]], "two steps are named picture"),
        ([Step("x", "text_to_vido", text=TEXT)], "step x: unknown task 'text_to_vido'"),
        ([Step("x", "text_to_video")], "step x: task text_to_video takes a text; text is missing"),
        ([Step("x", "video_to_audio")], "step x: .*video is missing"),
        ([Step("x", "unconditional", text=TEXT)], "step x: .*no use for text"),
        ([Step("x", "text_to_image", text="猫")], "step x: training never showed any word of the text '猫'"),
        ([Step("x", "image_to_video", image="y"), Step("y", "unconditional")], "x: its image is of step y"),
        ([STEPS[0], Step("x", "video_to_audio", video="none.mp4")], "step x: .*none.mp4"),
        ([STEPS[0], Step("x", "audio_to_video", audio="picture")], "step x: the clip has no sound"),
    ],
)
def test_mistakes_name_the_step(model, steps, message):
    with pytest.raises(ValueError, match=message):
        run_chain(model, steps)


def test_a_step_is_made_again_where_another_sampling_is_recommended_for_its_task(model, asked, tmp_path):
    recommending = copy.copy(model)
    run_chain(recommending, STEPS[:2], keep=tmp_path)
    recommending.recommended = RecommendedSampling({"image_to_video": Sampling(0.5, guidance_scale=2.0)})
    asked.clear()
    clips = run_chain(recommending, STEPS[:2], keep=tmp_path)
    assert asked == ["image_to_video"]
    step = replace(STEPS[1], sampling=Sampling(0.5, guidance_scale=2.0))
    assert torch.equal(clips["film"].frames, run_chain(model, [STEPS[0], step])["film"].frames)


def test_a_chain_is_read_from_a_file(tmp_path):
    (tmp_path / "chain.yaml").write_text(YAML)
    picture, film, sound = read_chain(tmp_path / "chain.yaml")
    assert (picture.name, picture.seed, picture.sampling.guidance_scale) == ("picture", 4, 1.5)
    assert (film.name, film.image, film.seed, film.sampling.top_k) == ("image_to_video", "picture", 3, 5)
    assert (sound.video, sound.seed, sound.sampling.temperature) == ("image_to_video", 4, 0.9)
    assert sound.sampling.settings().guidance_scale == 1  # it has no text to be led to
    (tmp_path / "chain.yaml").write_text("steps: [{task: outpainting, video: a.mp4, mask: centre}]")
    (step,) = read_chain(tmp_path / "chain.yaml")
    assert (step.video, step.mask) == (tmp_path / "a.mp4", "centre")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("steps: [", "is not YAML"),
        ("- task: unconditional", "is no chain; expected seed, sampling, aspect, steps"),
        ("steps: []", "has no steps"),
        ("steps: [unconditional]", "step 1: it says unconditional; expected some of name, task"),
        ("steps: [{task: unconditional, sed: 3}]", "step 1: it says task, sed"),
        ("steps: [{task: unconditional, seed: many}]", "step 1: seed is 'many'; expected int"),
        ("steps: [{task: own.py}]", "step 1: task is 'own.py'; expected one of"),
        ("steps: [{text: a star}]", "step 1: task is None; expected one of"),
        ("steps: [{task: unconditional, name: ../x}]", "step 1: a step is named '../x'"),
        ("{sampling: {temperatur: 1}, steps: [{task: unconditional}]}", "sampling says temperatur; expected"),
        ("steps: [{task: unconditional, sampling: {top_p: 2.0}}]", "step 1: top_p is 2.0"),
        ("steps: [{task: unconditional}, {task: unconditional}]", "two steps are named unconditional"),
    ],
)
def test_files_that_are_no_chains_are_refused(tmp_path, content, message):
    (tmp_path / "chain.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_chain(tmp_path / "chain.yaml")


def test_the_command_keeps_every_result(model_folder: Path, clip: Clip, tmp_path, capsys):
    write_clip(clip, tmp_path / "clip.mp4")
    chain = YAML.replace("{task: video_to_audio}", "{task: video_to_audio, video: clip.mp4}")
    (tmp_path / "chain.yaml").write_text(chain)
    command = ["chain", str(tmp_path / "chain.yaml"), "--out", str(tmp_path / "out")]
    assert main([*command, "--model", str(model_folder)]) == 0
    written = [tmp_path / "out" / f"{name}" for name in ("01-picture.png", "02-image_to_video.mp4")]
    output = capsys.readouterr().out
    assert all(f"wrote {path}" in output and path.is_file() for path in written)
    assert read_clip(written[1]).num_frames == 9
    assert cached_clip(tmp_path / "out" / "03-video_to_audio.safetensors").waveform is not None
    assert main([*command, "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
