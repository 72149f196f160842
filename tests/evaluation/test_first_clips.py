"""The clips of a first page: one of each task, as sequential decoding would draw them, and some enlarged."""

import shutil
from pathlib import Path

import pytest
import torch
from tiny_stage import add_stage, tiny_stage

from videolm.data.media.reading import read_clip
from videolm.data.synthetic.corpus import Corpus, corpus_scenes
from videolm.evaluation.first_clips import write_enlarged_clips, write_first_clips
from videolm.generation.pipeline import VideoLM
from videolm.tasks.task import film_task_names


def test_every_task_has_one_clip_from_a_held_out_clip_of_its_own(model: VideoLM, tmp_path: Path) -> None:
    examples = write_first_clips(model, tmp_path / "clips", source="synthetic-plain", seed=5)
    assert sorted(example["task"] for example in examples) == sorted(film_task_names())
    clips = model.clips
    sizes = {"height": clips.height, "width": clips.width, "num_frames": clips.num_frames, "fps": clips.fps}
    corpus = Corpus(**sizes, split="triples", seed=5, scenes=corpus_scenes("synthetic-plain"))
    for number, example in enumerate(examples):
        kinds = [clip["caption"] for clip in example["clips"]]
        assert kinds[-1] == "generated" and ("real" in kinds) == (example["task"] != "unconditional")
        if example["task"] == "text_to_video":
            assert example["text"] == corpus[number].caption
    by_task = {example["task"]: example for example in examples}
    made = model.generate("text_to_image", text=by_task["text_to_image"]["text"], seed=5)
    shown = read_clip(tmp_path / by_task["text_to_image"]["clips"][-1]["path"])
    assert torch.equal(made.frames, shown.frames)
    texts = [example["text"] for example in examples if example["task"] != "unconditional"]
    assert len(set(texts)) > len(texts) // 2


@pytest.mark.parametrize("text", [True, False])
def test_a_held_out_clip_is_shown_given_enlarged_both_ways_and_true(text, model, model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    words = model.text_tokenizer if text else None
    add_stage(folder, tiny_stage(model.video_tokenizer, model.video_tokenizer, 32, words))
    large = VideoLM.from_pretrained(folder, "cpu")
    (row,) = write_enlarged_clips(large, tmp_path / "clips", source="synthetic-plain", seed=0, clips=1)
    assert row["task"] == "upscale" and row["text"]
    sizes = {each["caption"]: read_clip(tmp_path / each["path"]).frames.shape[1:3] for each in row["clips"]}
    assert sizes == {"given": (32, 32), "bicubic": (64, 64), "made": (64, 64), "real": (64, 64)}


def test_a_model_without_stages_shows_none(model, tmp_path):
    assert write_enlarged_clips(model, tmp_path / "clips", source="synthetic-plain", seed=0) == []
