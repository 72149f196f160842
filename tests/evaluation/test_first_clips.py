"""Clips enlarged for the first page: of a model with a stage for its size, and of none without."""

import shutil

import pytest
from tiny_stage import add_stage, tiny_stage

from videolm.data.media.reading import read_clip
from videolm.evaluation.first_clips import write_enlarged_clips
from videolm.generation.pipeline import VideoLM


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
