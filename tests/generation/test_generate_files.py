"""`videolm generate` on a tiny model: files, resuming, several samples, tasks of one's own."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.runtime.files import write_json
from videolm.data.synthetic.caption_grammar import (
    CAMERA_PHRASES,
    MOTION_PHRASES,
    NUM_PHRASINGS,
    caption_of,
    written_caption,
)
from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.scene_sampling import SceneDistribution
from videolm.generation import best_of
from videolm.generation.best_of import ClipFit, DescribedFit, best, nearest_known, words_in
from videolm.generation.generate_files import generate_files
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt_file import read_prompts
from videolm.generation.run_request import PromptOptions, Request, Results, Runtime, claim_folder
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.clip_size import SizeChoice
from videolm.tasks.recommended_sampling import RecommendedSampling

OWN_TASK = '''"""The first frame painted anew."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from videolm.tasks.conditions import Variant
from videolm.tasks.task import VIDEO_OUTPUT, Portion, Task


@dataclass(frozen=True)
class Blanked:
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, material, generator):
        frames = material.clip.frames.clone()
        frames[:1] = 0
        return {"blanked": Variant(frames)}


TASK = Task(
    name="own_task",
    token="INPAINT",
    inputs=(Portion("visual", "masked_video", source="blanked"),),
    outputs=(VIDEO_OUTPUT,),
    conditions=Blanked(),
)
'''


@pytest.fixture
def files(model_folder: Path, clip: Clip, tmp_path: Path) -> dict:
    write_clip(clip, tmp_path / "clip.mp4")
    (tmp_path / "out").mkdir()
    return {"model": model_folder, "clip": tmp_path / "clip.mp4", "tmp": tmp_path}


def test_prompts_of_a_file_become_clips_of_their_names(files):
    lines = [{"text": "a red square moves left", "name": "left"}, {"video": "clip.mp4", "mask": "centre"}]
    (files["tmp"] / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    request = Request(files["model"], "outpainting", PromptOptions(video=files["clip"]), seed=4)
    written = generate_files(request, files["tmp"] / "out", files["tmp"] / "prompts.jsonl")
    assert [path.name for path in written] == ["left.mp4", "001.mp4"]
    assert all(read_clip(path).num_frames == 9 for path in written)


def texts_asked(monkeypatch) -> list[str | None]:
    """The texts that a model is asked for from now on."""
    asked, generate_batch = [], VideoLM.generate_batch

    def watched(self, task, prompts, **settings):
        asked.extend(prompt.text for prompt in prompts)
        return generate_batch(self, task, prompts, **settings)

    monkeypatch.setattr(VideoLM, "generate_batch", watched)
    return asked


def test_a_stopped_run_makes_the_clips_that_are_missing_and_only_those(files, monkeypatch):
    (files["tmp"] / "prompts.txt").write_text("a red square moves left\n\na blue star spins\n")
    request = Request(files["model"], "text_to_image", seed=1)
    arguments = (request, files["tmp"] / "out", files["tmp"] / "prompts.txt")
    _, second = generate_files(*arguments)
    whole = second.read_bytes()
    second.unlink()
    asked = texts_asked(monkeypatch)
    generate_files(*arguments)
    assert asked == ["a blue star spins"]
    assert second.read_bytes() == whole
    with pytest.raises(ValueError, match="holds clips made with seed 1, now 2: choose another place"):
        generate_files(Request(files["model"], "text_to_image", seed=2), *arguments[1:])


def test_a_stopped_run_of_few_bits_takes_the_same_batches(files, monkeypatch):
    (files["tmp"] / "prompts.txt").write_text("a red square moves left\n\na blue star spins\n")
    request = Request(files["model"], "text_to_image", seed=1, runtime=Runtime(quantize="int8"))
    arguments = (request, files["tmp"] / "out", files["tmp"] / "prompts.txt")
    first, second = generate_files(*arguments)
    whole = [first.read_bytes(), second.read_bytes()]
    second.unlink()
    kept = first.stat().st_mtime_ns
    asked = texts_asked(monkeypatch)
    generate_files(*arguments)
    assert asked == ["a red square moves left", "a blue star spins"]
    assert [first.read_bytes(), second.read_bytes()] == whole and first.stat().st_mtime_ns == kept


@pytest.fixture
def two_pictures(files, tmp_path):
    """The arguments of a run that has made two pictures with a model of its own."""
    shutil.copytree(files["model"], tmp_path / "model")
    (tmp_path / "prompts.txt").write_text("a red square moves left\na blue star spins\n")
    request = Request(tmp_path / "model", "text_to_image", seed=1)
    arguments = (request, tmp_path / "out", tmp_path / "prompts.txt")
    generate_files(*arguments)
    return arguments


def test_a_model_that_was_trained_anew_at_its_path_does_not_keep_the_old_clips(
    two_pictures, make_model, tmp_path
):
    make_model(1).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=r"holds clips made with model_fingerprint \w{16}, now \w{16}"):
        generate_files(*two_pictures)


def test_a_changed_recommendation_is_named_and_one_that_changes_nothing_is_not_seen(
    two_pictures, monkeypatch
):
    request, *places = two_pictures
    RecommendedSampling({"text_to_video": Sampling(0.5), "text_to_image": Sampling(1.0)}).save(request.model)
    with monkeypatch.context() as patch:
        patch.setattr(VideoLM, "generate_batch", None)
        generate_files(*two_pictures)  # its codes are drawn as before
    RecommendedSampling({"text_to_image": Sampling(0.5)}).save(request.model)
    with pytest.raises(ValueError, match=r"holds clips made with sampling .*'temperature': 0.5"):
        generate_files(*two_pictures)
    generate_files(replace(request, sampling=Sampling(recommended=False)), *places)  # as it was begun


def test_a_relative_path_of_the_model_is_the_absolute_one(two_pictures, monkeypatch, capsys):
    request, *places = two_pictures
    monkeypatch.chdir(request.model.parent)
    monkeypatch.setattr(VideoLM, "generate_batch", None)
    generate_files(replace(request, model=Path("model")), *places)
    assert "made again" not in capsys.readouterr().out


def test_a_prompt_file_whose_picture_was_replaced_is_refused(files, tmp_path, clip):
    write_clip(clip.window(0, 1), tmp_path / "a.png")
    (tmp_path / "prompts.jsonl").write_text('{"text": "a red square spins", "image": "a.png"}')
    arguments = (Request(files["model"], "image_to_video"), tmp_path / "out", tmp_path / "prompts.jsonl")
    generate_files(*arguments)
    write_clip(clip.window(5, 1), tmp_path / "a.png")
    with pytest.raises(ValueError, match="holds clips made with files"):
        generate_files(*arguments)


def test_a_foreign_clip_under_a_name_that_is_to_be_written_is_refused_and_stays(files, tmp_path):
    foreign = tmp_path / "out" / "000.mp4"
    foreign.write_bytes(b"somebody's film")
    (tmp_path / "prompts.txt").write_text("a red square moves left\n")
    request = Request(files["model"], "text_to_image", seed=1)
    with pytest.raises(ValueError, match=r"holds 000\.mp4 and no request\.json"):
        generate_files(request, tmp_path / "out", tmp_path / "prompts.txt")
    assert foreign.read_bytes() == b"somebody's film"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["000.mp4"]


@pytest.mark.parametrize("harm", ["another's clip", "cut off", "not on the list"])
def test_a_clip_that_is_not_as_it_was_written_is_made_again_and_counted(two_pictures, capsys, harm):
    _, out, _ = two_pictures
    first, second, listed = out / "000.mp4", out / "001.mp4", out / "clips.jsonl"
    whole = first.read_bytes()
    if harm == "another's clip":
        first.write_bytes(second.read_bytes())
    elif harm == "cut off":
        first.write_bytes(whole[:-20])
    else:  # a run that was killed in the middle of a line
        listed.write_text(listed.read_text().rpartition("\n")[2][:-10] + "\n" + listed.read_text()[5:40])
    generate_files(*two_pictures)
    assert "are not as this run wrote them" in capsys.readouterr().out
    assert first.read_bytes() == whole
    generate_files(*two_pictures)
    assert "made again" not in capsys.readouterr().out


def test_several_samples_come_with_a_sheet_of_all(files):
    request = Request(files["model"], "unconditional", results=Results(num_samples=3))
    names = [path.name for path in generate_files(request, files["tmp"] / "x.gif")]
    assert names == ["x-0.gif", "x-1.gif", "x-2.gif", "x-sheet.png"]
    assert all((files["tmp"] / name).is_file() for name in names)


def test_the_best_is_the_one_that_shows_what_the_text_says():
    corpus = Corpus(height=64, width=64, num_frames=9, scenes=SceneDistribution(textured=0.0, camera=0.0))
    clips = [corpus[index] for index in range(6)]
    for index, clip in enumerate(clips):
        assert best(clips, caption_of(corpus.scene(index), 0), DescribedFit()).caption == clip.caption
    with pytest.raises(ValueError, match="best_of compares clips with their text"):
        best(clips, None, DescribedFit())
    with pytest.raises(ValueError, match="names no colour, shape or motion"):
        DescribedFit()(clips[0], "a dog barks")


def test_frames_of_which_nothing_is_known_do_not_count_in_a_choice(clip):
    known = torch.ones(clip.frames.shape[:3], dtype=torch.bool)
    known[0] = False
    darker = [replace(clip, frames=clip.frames // divisor) for divisor in (4, 2, 3)]
    assert nearest_known(darker, clip, known) is darker[1]


def test_paintings_without_a_text_are_compared_by_what_is_known(files, monkeypatch):
    given = PromptOptions(video=files["clip"], mask="box")
    asked = []
    paint_best = best_of.paint_best

    def watched(model, task, prompts, tries, **settings):
        asked.append((task, len(prompts), tries, settings["seed"]))
        return paint_best(model, task, prompts, tries, **settings)

    monkeypatch.setattr("videolm.generation.generate_files.paint_best", watched)
    results = Results(best_of=3, judge="known")
    request = Request(files["model"], "inpainting", given, seed=5, results=results)
    (written,) = generate_files(request, files["tmp"] / "x.mp4")
    assert asked == [("inpainting", 1, 3, [5])] and read_clip(written).num_frames == 9
    request = Request(files["model"], "text_to_video", PromptOptions(text="a"), results=results)
    with pytest.raises(ValueError, match="task text_to_video paints nothing; --judge known"):
        generate_files(request, files["tmp"] / "x.mp4")


@pytest.mark.parametrize(
    ("task", "message"),
    [("inpainting", "; give one, or choose with --judge known$"), ("unconditional", "; give one$")],
)
def test_a_choice_by_text_without_one_is_refused_before_any_work(files, monkeypatch, task, message):
    monkeypatch.setattr(VideoLM, "from_pretrained", None)
    given = PromptOptions(video=files["clip"] if task == "inpainting" else None)
    request = Request(files["model"], task, given, results=Results(best_of=2))
    with pytest.raises(ValueError, match=message):
        generate_files(request, files["tmp"] / "x.mp4")


def test_words_of_every_caption_are_found_in_it():
    scenes = SceneDistribution(1.0, 0.5, two_objects=0.5)
    corpus = Corpus(height=16, width=16, num_frames=2, scenes=scenes, split="all")
    for index in range(60):
        scene = corpus.scene(index)
        camera = {} if scene.camera == "still" else {"camera": scene.camera}
        expected = {"colour": scene.colour, "shape": scene.shape, "motion": scene.motion} | camera
        told = [caption_of(scene, phrasing) for phrasing in range(NUM_PHRASINGS)]
        for caption in told + [written_caption(scene, 30 * index + form) for form in range(30)]:
            assert words_in(caption) == expected, caption
    for words, label in ((MOTION_PHRASES, "motion"), (CAMERA_PHRASES, "camera")):
        for name, phrases in words.items():
            before = "a red star spins while the" if label == "camera" else "a red star"
            assert all(words_in(f"{before} {phrase}")[label] == name for phrase in phrases)


def test_a_clip_model_of_a_folder_judges(tmp_path):
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    characters = [chr(number) for number in range(97, 123)]
    words = [*characters, *(f"{each}</w>" for each in characters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(vocabulary) - 2, "eos_token_id": len(vocabulary) - 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config=small | ends | {"vocab_size": len(vocabulary), "max_position_embeddings": 77},
        vision_config=small | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(tmp_path / "clip")
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(tmp_path / "clip")
    fit = ClipFit(tmp_path / "clip")
    values = [fit(Corpus(height=48, width=48, num_frames=9)[index], "a red star") for index in range(2)]
    assert all(-1 <= value <= 1 for value in values) and values[0] != values[1]
    with pytest.raises(ValueError, match="holds no CLIP model"):
        ClipFit(tmp_path)
    with pytest.raises(FileNotFoundError, match="with a CLIP model"):
        ClipFit(tmp_path / "none")


def test_a_task_of_ones_own_file_is_listed_and_used_only_when_named(files, capsys, make_model, clip):
    path = files["tmp"] / "own_task.py"
    path.write_text(OWN_TASK)
    assert main(["tasks", "--task-file", str(path)]) == 0
    assert "own_task" in capsys.readouterr().out
    assert main(["tasks"]) == 0
    assert "own_task" not in capsys.readouterr().out
    model = make_model(0)
    object.__setattr__(model.config, "tasks", (*model.config.tasks, "own_task"))
    model.save_pretrained(files["tmp"] / "own")
    loaded = VideoLM.from_pretrained(files["tmp"] / "own")
    assert loaded.generate(str(path), video=clip).frames.shape == clip.frames.shape
    with pytest.raises(ValueError, match="unknown task 'own_task'"):
        loaded.generate("own_task", video=clip)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", ":1 is not valid JSON"),
        ('{"txt": "a"}', ":1 says txt; expected an object with some of name, text"),
        ('{"text": 3}', ":1 has text 3; expected a string"),
        ('{"text": "a", "name": "x"}\n{"text": "b", "name": "x"}', "names two clips alike"),
        ('{"text": "a", "name": "../x"}', "or one with a folder"),
        ("\n", "holds no prompts"),
    ],
)
def test_files_that_are_no_prompts_are_refused(files, content, message):
    (files["tmp"] / "p.jsonl").write_text(content)
    request = Request(files["model"], "text_to_video")
    with pytest.raises(ValueError, match=message):
        generate_files(request, files["tmp"] / "out", files["tmp"] / "p.jsonl")


def test_a_model_lists_its_tasks_with_their_numbers_of_codes(files, capsys):
    assert main(["tasks", "--model", str(files["model"])]) == 0
    text = capsys.readouterr().out
    assert "48 codes given" in text and "48 generated" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 0}, "expected 1 or more"),
        ({"num_samples": 2, "best_of": 2}, "give either num_samples"),
    ],
)
def test_results_that_exclude_each_other_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Results(**change)


def test_the_size_of_a_line_replaces_the_common_one_and_its_aspect_alone_keeps_the_common_length(tmp_path):
    lines = [{"text": "a"}, {"text": "b", "seconds": 1.5}, {"text": "c", "aspect": "1:1"}]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    named = read_prompts(tmp_path / "p.jsonl", PromptOptions(aspect="16:9", frames=5))
    sizes = [each.options.prompt.size for each in named]
    assert sizes == [SizeChoice("16:9", 5), SizeChoice("16:9", None, 1.5), SizeChoice("1:1", 5)]
    (tmp_path / "p.jsonl").write_text('{"text": "a", "aspect": "wide"}\n')
    with pytest.raises(ValueError, match=r"p.jsonl:1: aspect is 'wide'"):
        read_prompts(tmp_path / "p.jsonl", PromptOptions())


def test_a_folder_that_an_earlier_version_began_is_gone_on_with(tmp_path):
    """The words of request.json, once written by hand: a change of them loses the work of a stopped run."""
    prompt = PromptOptions(image=Path("a.png"), aspect="16:9")
    request = Request(Path("model"), "image_to_video", prompt, sampling=Sampling(0.7, guidance_scale=2.0))
    stored = {
        "model": "model",
        "task": "image_to_video",
        "given": "{'text': None, 'negative': None, 'image': PosixPath('a.png'), 'video': None, "
        "'audio': None, 'mask': None, 'size': SizeChoice(aspect='16:9', num_frames=None, seconds=None)}",
        "sampling": "{'temperature': 0.7, 'top_k': None, 'top_p': None, 'guidance_scale': 2.0, "
        "'guidance_schedule': 'constant', 'repetition_penalty': 0.0, 'joint': None, "
        "'decoding': 'sequential', 'window': 16}",
        "seed": "0",
        "num_samples": "1",
        "best_of": "1",
        "judge": "describe",
        "depth": "None",
        "composite": "True",
        "expand": "None",
        "expand_model": "None",
        "quantize": "None",
        "preview": "None",
        "device": "auto",
        "dtype": "float32",
    }
    asked = request.settings(request.sampling.settings())
    assert asked == stored
    write_json(tmp_path / "request.json", stored)
    (tmp_path / "000.mp4").touch()
    claim_folder(tmp_path, asked, "clips")
    with pytest.raises(ValueError, match="holds clips made with task image_to_video, now unconditional"):
        claim_folder(tmp_path, stored | {"task": "unconditional"}, "clips")
    (tmp_path / "000.mp4").unlink()
    claim_folder(tmp_path, stored | {"task": "unconditional"}, "clips")  # it holds no results


def test_clips_without_sound_need_no_audio_tokenizer(model_folder, tmp_path, clip):
    shutil.copytree(model_folder, tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "audio_tokenizer")
    out = tmp_path / "x.mp4"
    assert generate_files(Request(tmp_path / "model", "unconditional"), out) == [out]
    clip.save(tmp_path / "clip.mp4")
    request = Request(tmp_path / "model", "video_to_audio", PromptOptions(video=tmp_path / "clip.mp4"))
    with pytest.raises(FileNotFoundError, match="audio_tokenizer"):
        generate_files(request, out)
    silent = VideoLM.from_pretrained(tmp_path / "model", tasks=["unconditional"])
    with pytest.raises(ValueError, match="no audio tokenizer, or was loaded for tasks without sound"):
        silent.generate("video_to_audio", video=clip)
    with pytest.raises(ValueError, match="no audio tokenizer"):
        silent.save_pretrained(tmp_path / "again")


def test_stylization_says_what_it_lacks(files, capsys):
    words = ["generate", "--model", str(files["model"]), "--out", str(files["tmp"] / "x.mp4")]
    assert main([*words, "--task", "stylization", "--text", "a red star", "--video", str(files["clip"])]) == 0
    assert "note: depth is taken to be the same everywhere" in capsys.readouterr().out
    assert main(words) == 2
    assert "give the name of a task (--task) or a file" in capsys.readouterr().err
