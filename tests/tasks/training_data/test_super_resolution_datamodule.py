"""Pairs of codes for super-resolution: encoded, drawn as functions of a number, and refused where they do not
fit."""

from dataclasses import replace

import pytest
import torch

from videolm.cli.main import main
from videolm.data.codes.shards import ShardReader
from videolm.data.media.pixels import pixels_from_frames
from videolm.super_resolution.low_resolution import reduced
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.low_codes import LOW, stage_clips
from videolm.tasks.training_data.pairs import Drops, PairMaker, TrainingPairs, ValidationPairs
from videolm.tasks.training_data.super_resolution_datamodule import SuperResolutionDataModule
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

LARGE = {"height": 64, "width": 64, "num_frames": 9, "fps": 8.0}


@pytest.fixture(scope="module")
def pairs(model_folder, tmp_path_factory):
    """Shards of six clips with the tiny model's tokenizer for both sizes."""
    out = tmp_path_factory.mktemp("pairs") / "shards"
    size = [word for name in ("height", "width", "num_frames") for word in (f"--{name}", str(LARGE[name]))]
    command = ["encode", "synthetic-plain", "--model", str(model_folder), "--out", str(out), *size]
    assert main([*command, "--clips", "6", "--super-resolution", "2"]) == 0
    return out


@pytest.fixture
def make_data(model_folder, pairs):
    def make(**settings) -> SuperResolutionDataModule:
        given = {"shards": str(pairs), "batch_size": 2, "validation_share": 0.2} | settings
        return SuperResolutionDataModule(str(model_folder), **given)

    return make


def test_shards_hold_the_codes_of_both_sizes_of_a_clip(model_folder, pairs):
    encoder = ClipEncoder.from_pretrained(model_folder, **LARGE)
    reader = ShardReader(pairs)
    stage = stage_clips(reader.clips)
    assert stage.large.grid == (3, 8, 8) and stage.low.grid == (3, 4, 4) and stage.scale == 2
    small = encoder.of_size(num_frames=9, height=32, width=32)
    assert stage.low == replace(small.clips, **_silent()) and reader[0].codes[LOW].shape == (3, 4, 4)


def _silent() -> dict:
    return {"codebook_sizes": (), "audio_frames": 0, "sample_rate": 0, "hop_length": 0, "audio_tokenizer": ""}


def test_low_resolution_codes_are_those_of_the_reduced_frames(model_folder, corpus):
    encoder = ClipEncoder.from_pretrained(
        model_folder, height=32, width=32, num_frames=9, fps=8.0, super_resolution=2
    )
    clip = corpus[0]
    (codes,) = encoder.encode([clip])
    small = encoder.video.encode(pixels_from_frames(reduced(clip.frames, 2))[None])
    assert torch.equal(codes[LOW], small[0])


@pytest.mark.long
def test_two_tokenizers_code_a_size_each(model_folder, tmp_path, pairs):
    torch.manual_seed(1)
    config = VideoTokenizerConfig(bits=8, channels=8, multipliers=(1, 1, 1), patch=4, spatial_strides=(2, 1))
    VideoTokenizer(config).save_pretrained(tmp_path / "large/video_tokenizer")
    command = ["encode", "synthetic-plain", "--model", str(model_folder), "--clips", "2"]
    more = ["--super-resolution", "2", "--large-model", str(tmp_path / "large"), "--num-frames", "9"]
    assert main([*command, *more, "--out", str(tmp_path / "shards"), "--height", "64", "--width", "64"]) == 0
    stage = stage_clips(ShardReader(tmp_path / "shards").clips)
    assert stage.large.factors == (16, 16) and stage.low.factors == (8, 8)
    assert stage.large.video_tokenizer != stage.low.video_tokenizer
    with pytest.raises(ValueError, match="codes of large clips by another tokenizer"):
        SuperResolutionDataModule(str(model_folder), shards=str(tmp_path / "shards"))
    data = SuperResolutionDataModule(
        str(model_folder),
        shards=str(tmp_path / "shards"),
        large_model=str(tmp_path / "large"),
        validation_share=0.5,
    )
    data.export(tmp_path / "model")
    stored = VideoTokenizer.from_pretrained(tmp_path / "model/super_resolution/9x64x64/video_tokenizer")
    assert stored.fingerprint == stage.large.video_tokenizer


def same(one, other) -> bool:
    parts = [(one.codes, other.codes), (one.masked, other.masked)]
    for name in ("low", "has_low", "noise", "text", "text_length"):
        parts.append((getattr(one.condition, name), getattr(other.condition, name)))
    return all(torch.equal(*pair) for pair in parts)


def test_a_batch_follows_from_its_number(make_data):
    batches = [make_data()._training_pairs() for _ in range(2)]
    assert same(batches[0][3], batches[1][3]) and not same(batches[0][3], batches[0][4])
    assert not same(batches[0][3], make_data(seed=1)._training_pairs()[3])


def test_processes_take_turns_at_the_clips(make_data):
    data = make_data()
    whole = TrainingPairs(data.maker, data.clips, data.training, 4, data.drops, 0)
    given = (data.maker, data.clips, data.training, 2, data.drops, 0)
    halves = [TrainingPairs(*given, rank, 2) for rank in (0, 1)]
    assert torch.equal(whole[2].codes, torch.cat([half[2].codes for half in halves]))


def test_conditions_are_left_out_apart_and_as_often_as_is_said(make_data):
    data = make_data()
    pairs = TrainingPairs(data.maker, data.clips, data.training, 400, Drops(low=0.3, text=0.1, noise=0.5), 0)
    batch = pairs[0].condition
    no_low, no_text = ~batch.has_low, batch.text_length == 0
    assert no_low.float().mean().item() == pytest.approx(0.3, abs=0.08)
    assert no_text.float().mean().item() == pytest.approx(0.1, abs=0.05)
    assert (no_low & no_text).float().mean().item() == pytest.approx(0.03, abs=0.03)
    assert not batch.noise[no_low].any() and 0.2 < (batch.noise > 0).float().mean() < 0.5


def test_noise_is_in_the_low_resolution_codes_alone(make_data):
    data = make_data()
    clip = data.clips[0]
    maker: PairMaker = data.maker
    batch = maker.batch([clip] * 50, [None] * 50, Drops(low=0.0, noise=1.0), [_seeded(n) for n in range(50)])
    assert torch.equal(batch.codes, clip.codes["visual"].expand(50, -1, -1, -1))
    replaced = (batch.condition.low != clip.codes[LOW]).float().mean((1, 2, 3))
    assert not replaced[batch.condition.noise == 0].any()
    assert torch.corrcoef(torch.stack([replaced, batch.condition.noise]))[0, 1] > 0.9


def _seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_validation_hides_always_the_same_codes(make_data):
    data = make_data()
    two = [ValidationPairs(data.maker, data.clips, data.validation, 2) for _ in range(2)]
    assert same(two[0][0], two[1][0]) and two[0][0].condition.has_low.all()
    assert not two[0][0].condition.noise.any() and two[0][0].condition.text_length.all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 96}, "the stage is to make height 96"),
        ({"source": "synthetic"}, "give one of the two"),
        ({"drops": Drops(), "batch_size": 0}, "batch_size is 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message, make_data):
    with pytest.raises(ValueError, match=message):
        make_data(**settings)


def test_codes_without_low_resolution_ones_are_refused(coded_run, model_folder, make_data, capsys):
    with pytest.raises(ValueError, match="there are no low-resolution codes"):
        make_data(shards=str(coded_run / "shards"))
    command = ["encode", "synthetic", "--model", str(model_folder), "--out", "x", "--super-resolution"]
    for more, said in (
        (["2", "--buckets", "9x64x64"], "makes one size"),
        (["1"], "super_resolution is 1; expected 2 or more"),
        (["2", "--height", "65", "--width", "64"], "expected multiples of"),
    ):
        assert main([*command, *more]) == 2
        assert said in capsys.readouterr().err


def test_drops_are_shares():
    with pytest.raises(ValueError, match="noise is 2"):
        Drops(noise=2.0)
