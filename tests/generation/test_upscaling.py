"""Clips enlarged by tiny stages of random weights: sizes, chains, sound, seeds, folders."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub_server import TOKEN
from tiny_stage import add_stage, tiny_stage

from videolm.data.runtime.checksums import check_files
from videolm.generation.model_files import push_model
from videolm.generation.pipeline import VideoLM
from videolm.generation.upscaling import path_of, read_stages
from videolm.super_resolution.decoding import DecodeSettings
from videolm.super_resolution.transformer import SuperResolution
from videolm.tasks.model_config import PARTS, check_model, model_fingerprint, parts_of

FAST = DecodeSettings(steps=2, temperature=1.0)
TEXT = "a red square moves right"


@pytest.fixture(scope="module")
def other_tokenizer(make_model):
    return make_model(1).video_tokenizer


@pytest.fixture(scope="module")
def folder(model, model_folder, other_tokenizer, tmp_path_factory) -> Path:
    """The tiny model with two stages: 32 to 64 with text by a tokenizer of its own, 64 to 128 without."""
    folder = tmp_path_factory.mktemp("stages") / "model"
    shutil.copytree(model_folder, folder)
    first = tiny_stage(model.video_tokenizer, other_tokenizer, 32, model.text_tokenizer)
    add_stage(folder, first, other_tokenizer)
    add_stage(folder, tiny_stage(other_tokenizer, other_tokenizer, 64))
    return folder


@pytest.fixture(scope="module")
def large(folder) -> VideoLM:
    return VideoLM.from_pretrained(folder, "cpu")


def longer(clip, num_frames: int):
    times = -(-num_frames // clip.num_frames)
    return replace(clip, frames=clip.frames.repeat(times, 1, 1, 1)[:num_frames])


def test_a_clip_grows_and_keeps_its_sound_rate_and_words(large, clip):
    made = large.upscale(clip, text=TEXT, settings=FAST)
    assert made.frames.shape == (9, 64, 64, 3)
    assert made.waveform is clip.waveform and (made.fps, made.caption) == (clip.fps, clip.caption)
    assert large.upscale(clip, factor=4, settings=FAST).frames.shape == (9, 128, 128, 3)


def test_the_same_seed_gives_the_same_clip_and_texts_and_seeds_count(large, clip):
    made = [
        large.upscale(clip, text=text, seed=seed, settings=FAST).frames
        for text, seed in ((TEXT, 1), (TEXT, 1), (TEXT, 2), ("a blue star spins", 1), (None, 1))
    ]
    assert torch.equal(made[0], made[1])
    assert not any(torch.equal(made[0], other) for other in made[2:])


def test_codes_become_what_the_clip_of_them_becomes(large, clip):
    codes = large.encode(clip)
    made = large.upscale(codes, seed=3, settings=FAST)
    assert torch.equal(made.frames, large.upscale(clip, seed=3, settings=FAST).frames)
    assert torch.equal(made.waveform, large.decode(codes).waveform)


@pytest.mark.parametrize("num_frames", [1, 4, 22])
def test_a_clip_of_any_length_is_enlarged(large, clip, num_frames: int):
    made = large.upscale(longer(clip, num_frames), settings=FAST)
    assert made.frames.shape == (num_frames, 64, 64, 3)


def test_frames_do_not_change_when_the_clip_goes_on(large, clip):
    """What follows the first window changes nothing in it, and the decoder runs on: there is no seam."""
    short, long = (large.upscale(longer(clip, count), settings=FAST).frames for count in (9, 17))
    assert torch.equal(long[:9], short)


def test_what_the_stages_do_not_make_is_refused_before_a_stage_is_loaded(large, clip, monkeypatch):
    monkeypatch.setattr(SuperResolution, "from_model", None)
    with pytest.raises(ValueError, match=r"24x24 cannot be made 2 times as large: .* 64x64 from 32x32"):
        large.upscale(clip.resized(24, 24))
    with pytest.raises(ValueError, match="8 times as large"):
        large.upscale(clip, factor=8)
    with pytest.raises(ValueError, match="stage 9x128x128 was trained without text; leave the text out"):
        large.upscale(clip.resized(64, 64), text=TEXT)


def test_a_model_without_stages_says_so(model, clip):
    with pytest.raises(ValueError, match="the model has no stages of super-resolution"):
        model.upscale(clip)


def test_a_stage_of_another_low_resolution_tokenizer_is_refused(
    model_folder, other_tokenizer, clip, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    add_stage(folder, tiny_stage(other_tokenizer, other_tokenizer), other_tokenizer)
    shutil.rmtree(folder / "super_resolution/9x64x64/video_tokenizer")
    with pytest.raises(ValueError, match=r"low-resolution tokenizer .* is not the one that the stage"):
        VideoLM.from_pretrained(folder, "cpu").upscale(clip)


def test_of_two_stages_of_one_size_the_longer_one_works_and_chains_share_tokenizers(
    model, other_tokenizer
):
    own = model.video_tokenizer
    clips = [
        tiny_stage(own, own, num_frames=5).config.clips,
        tiny_stage(own, own).config.clips,
        tiny_stage(other_tokenizer, other_tokenizer, 64).config.clips,
    ]
    assert path_of(clips, 32, 32, 2) == [clips[1]]
    with pytest.raises(ValueError, match="4 times"):
        path_of(clips, 32, 32, 4)


def test_stages_are_parts_of_a_folder_and_of_its_fingerprint(folder, model_folder, large, tmp_path):
    stages = ("super_resolution/9x128x128", "super_resolution/9x64x64")
    assert parts_of(folder) == (*PARTS, *stages, "super_resolution/9x64x64/video_tokenizer")
    assert parts_of(model_folder) == PARTS
    assert large.fingerprint == model_fingerprint(folder) != model_fingerprint(model_folder)
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "super_resolution")
    assert model_fingerprint(copy) == model_fingerprint(model_folder)
    shutil.copytree(folder / "super_resolution", copy / "super_resolution")
    weights = copy / "super_resolution/9x64x64/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ValueError, match="damaged or was changed"):
        check_model(copy, verify=True)


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_stages_are_saved_with_the_model_and_fit_its_tokenizers(large, clip, weights, tmp_path):
    large.save_pretrained(tmp_path / "model", weights=weights)
    check_files(tmp_path / "model/super_resolution/9x64x64/video_tokenizer")
    again = VideoLM.from_pretrained(tmp_path / "model", "cpu", verify=True)
    made = again.upscale(clip, factor=4, settings=FAST)
    assert made.frames.shape == (9, 128, 128, 3)
    if weights == "float32":
        assert read_stages(tmp_path / "model") == large.upscaler.stages
        assert torch.equal(made.frames, large.upscale(clip, factor=4, settings=FAST).frames)


def test_stages_go_to_the_hub_and_come_back(folder, clip, hub, large):
    push_model(folder, "me/mine", token=TOKEN)
    loaded = VideoLM.from_pretrained("me/mine", "cpu", token=TOKEN)
    assert loaded.fingerprint == large.fingerprint
    assert torch.equal(
        loaded.upscale(clip, settings=FAST).frames, large.upscale(clip, settings=FAST).frames
    )
