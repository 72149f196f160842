"""Decoding: seeds, guidance, what is given, and both orders."""

from dataclasses import replace

import pytest
import torch

from videolm.super_resolution.batch import Condition
from videolm.super_resolution.decoding import UNKNOWN, DecodeSettings, decode, guidance_weights


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def row_of(condition: Condition, row: int) -> Condition:
    names = ("low", "has_low", "noise", "text", "text_length")
    return Condition(**{name: getattr(condition, name)[row : row + 1] for name in names})


@pytest.mark.parametrize("order", ["confidence", "halton"])
@pytest.mark.parametrize("head", ["tied", "conditional"])
def test_the_same_seed_gives_the_same_clip_in_any_batch(order, head, make_stage, make_pairs):
    stage, condition = make_stage(head=head), make_pairs(batch=3).condition
    settings = DecodeSettings(steps=6, temperature=1.0, order=order, low_scale=1.5, text_scale=3.0)
    together = decode(stage, condition, settings, seeds(1, 2, 3))
    assert together.min() >= 0 and together.max() < 64
    for row, seed in enumerate((1, 2, 3)):
        alone = decode(stage, row_of(condition, row), settings, seeds(seed))
        assert torch.equal(alone[0], together[row])
    assert not torch.equal(decode(stage, condition, settings, seeds(4, 5, 6)), together)


def test_one_step_without_temperature_takes_the_likeliest_codes(make_stage, make_pairs):
    stage, condition = make_stage(), make_pairs().condition
    codes = decode(stage, condition, DecodeSettings(steps=1, temperature=0.0), seeds(0, 1))
    everything = torch.ones_like(codes, dtype=torch.bool)
    hidden = stage(torch.zeros_like(codes), everything, condition)
    first = stage.head.logits(hidden.flatten(0, 1)).argmax(-1)
    digits = [first, stage.head.logits(hidden.flatten(0, 1), [first]).argmax(-1)]
    assert torch.equal(stage.block.join(digits).view_as(codes), codes)


def test_given_codes_stay(make_stage, make_pairs):
    stage, batch = make_stage(), make_pairs()
    given = batch.codes.clone()
    given[:, 1:] = UNKNOWN
    settings = DecodeSettings(steps=4, temperature=0.0, order_temperature=0.0)
    codes = decode(stage, batch.condition, settings, seeds(0, 1), given)
    assert torch.equal(codes[:, 0], batch.codes[:, 0]) and (codes >= 0).all()
    given[0] = UNKNOWN
    with pytest.raises(ValueError, match="expected as many in each clip"):
        decode(stage, batch.condition, settings, seeds(0, 1), given)


@pytest.mark.parametrize(("low", "text"), [(1.0, 1.0), (1.0, 4.0), (2.0, 8.0), (2.0, 1.0), (1.5, 0.0)])
def test_guidance_has_the_form_of_instructpix2pix(low, text):
    """On three numbers in the place of logits."""
    numbers = {(False, False): 1.0, (True, False): 10.0, (True, True): 100.0}
    found = guidance_weights(DecodeSettings(low_scale=low, text_scale=text), has_text=True)
    expected = 1.0 + low * (10.0 - 1.0) + text * (100.0 - 10.0)
    assert sum(each[0] * numbers[each[1:]] for each in found) == pytest.approx(expected)
    without = guidance_weights(DecodeSettings(low_scale=low, text_scale=text), has_text=False)
    assert sum(each[0] * numbers[each[1:]] for each in without) == pytest.approx(1.0 + low * 9.0)


def test_scales_of_one_and_no_text_need_one_pass():
    assert guidance_weights(DecodeSettings(), has_text=False) == [(1.0, True, False)]
    assert guidance_weights(DecodeSettings(), has_text=True) == [(1.0, True, True)]


def test_a_stage_told_of_noise_decodes_otherwise(make_stage, make_pairs):
    stage, condition = make_stage(), make_pairs().condition
    settings = DecodeSettings(steps=4, temperature=0.0, order_temperature=0.0)
    clean = decode(stage, condition, settings, seeds(0, 1))
    assert torch.equal(decode(stage, condition, settings, seeds(5, 6)), clean)
    assert not torch.equal(decode(stage, condition, replace(settings, noise=0.5), seeds(0, 1)), clean)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"temperature": -1.0}, {"noise": 1.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DecodeSettings(**wrong)


def test_there_must_be_a_generator_for_each_clip(make_stage, make_pairs):
    with pytest.raises(ValueError, match="expected one for each of 2 clips"):
        decode(make_stage(), make_pairs().condition, DecodeSettings(), seeds(0))
