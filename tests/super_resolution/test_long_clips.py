"""Clips longer and shorter than a stage's: windows in time that go on from each other."""

import pytest
import torch

from videolm.super_resolution.batch import Condition
from videolm.super_resolution.decoding import UNKNOWN, DecodeSettings, decode
from videolm.super_resolution.long_clips import decode_long, window_borders, window_starts

SETTINGS = DecodeSettings(steps=3)


def low_codes(layers: int) -> torch.Tensor:
    return torch.randint(64, (layers, 3, 4), generator=torch.Generator().manual_seed(1))


def decoded(stage, low: torch.Tensor, seed: int = 0) -> torch.Tensor:
    text = torch.tensor([3, 5])
    return decode_long(stage, low, text, SETTINGS, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("layers", "length"), [(5, 5), (6, 5), (13, 5), (4, 1), (7, 2)])
def test_windows_cover_every_layer_once_and_each_is_given_a_part_of_the_one_before(layers, length):
    starts, made = window_starts(layers, length), 0
    for start in starts:
        assert start <= made - length // 2 or start == 0
        assert start + length > made
        made = start + length
    assert made == layers and starts[0] == 0
    assert window_borders(layers, length) == [start + length for start in starts[:-1]]


def test_a_clip_of_one_window_is_decoded_as_such(make_stage):
    stage, low = make_stage(), low_codes(2)
    condition = Condition.of(low[None], [torch.tensor([3, 5])])
    whole = decode(stage, condition, SETTINGS, [torch.Generator().manual_seed(0)])
    assert torch.equal(decoded(stage, low), whole[0])


def test_layers_that_are_made_stay_when_the_clip_goes_on(make_stage):
    stage, low = make_stage(), low_codes(5)
    whole = decoded(stage, low)
    assert whole.shape == (5, 6, 8) and int(whole.min()) >= 0 and int(whole.max()) < 64
    for layers in (2, 3, 4):
        assert torch.equal(decoded(stage, low[:layers]), whole[:layers])
    assert not torch.equal(decoded(stage, low, seed=1), whole)


def test_a_window_is_given_what_the_one_before_has_made(make_stage, monkeypatch):
    stage, given = make_stage(), []

    def watched(model, condition, settings, generators, codes):
        given.append(codes[0].clone())
        return decode(model, condition, settings, generators, codes)

    monkeypatch.setattr("videolm.super_resolution.long_clips.decode", watched)
    made = decoded(stage, low_codes(3))
    assert bool((given[0] == UNKNOWN).all()) and bool((given[1][1] == UNKNOWN).all())
    assert torch.equal(given[1][0], made[1])


def test_a_clip_shorter_than_a_window_is_cut_again(make_stage):
    stage, low = make_stage(), low_codes(1)
    assert torch.equal(decoded(stage, low), decoded(stage, low.expand(2, -1, -1))[:1])
