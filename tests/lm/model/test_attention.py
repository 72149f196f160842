import math

import pytest
import torch

from videolm.lm.model.attention import (
    Attention,
    masked_attention,
    rotary_angles,
    rotate,
    rotation_of,
)

AXES = (4, 2, 2)
WAVES = ((0.5, 512.0), (4.0, 256.0), (4.0, 256.0))


def test_without_a_mask_everything_is_seen():
    generator = torch.Generator().manual_seed(0)
    queries, keys, values = (torch.randn(3, heads, 5, 8, generator=generator) for heads in (4, 2, 2))
    everything = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    torch.testing.assert_close(
        masked_attention(queries, keys, values, None), masked_attention(queries, keys, values, everything)
    )


def test_pairs_of_features_turn_by_their_angle():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 2, 6, 8, generator=generator)
    angles = torch.randn(1, 1, 6, 4, generator=generator)
    pairs = torch.complex(features[..., :4], features[..., 4:]) * torch.polar(torch.ones(()), angles)
    turned = rotate(features, rotation_of(angles))
    torch.testing.assert_close(turned, torch.cat((pairs.real, pairs.imag), dim=-1))


def test_scores_depend_on_differences_of_coordinates_only():
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(1, 2, 6, 8, generator=generator) for _ in range(2))
    coordinates = torch.rand(1, 6, 3, generator=generator) * 8

    def scores(shift):
        angles = rotary_angles(coordinates + torch.tensor(shift), AXES, WAVES)[:, None]
        rotation = rotation_of(angles)
        return rotate(queries, rotation) @ rotate(keys, rotation).transpose(2, 3)

    torch.testing.assert_close(scores([3.0, 5.0, 7.0]), scores([0.0, 0.0, 0.0]), atol=1e-4, rtol=1e-4)
    assert (scores([0.0, 0.0, 0.0]) - queries @ keys.transpose(2, 3)).abs().max() > 0.1


@pytest.mark.parametrize("axis", range(3))
def test_each_axis_turns_its_own_share_of_the_features(axis):
    coordinates = torch.zeros(1, 1, 3)
    coordinates[..., axis] = 1
    turned = rotary_angles(coordinates, AXES, WAVES)[0, 0] != 0
    expected = torch.tensor([0, 0, 1, 2]) == axis
    assert torch.equal(turned, expected)


def test_wavelengths_run_from_shortest_to_longest():
    angles = rotary_angles(torch.ones(1, 1, 3), (8, 12, 12), WAVES)[0, 0]
    assert angles[0].item() == pytest.approx(2 * math.pi / 0.5) and angles[3].item() == pytest.approx(
        2 * math.pi / 512
    )
    assert angles[4].item() == pytest.approx(2 * math.pi / 4) and angles[9].item() == pytest.approx(
        2 * math.pi / 256
    )


def test_scale_of_the_input_does_not_change_what_is_attended_to():
    torch.manual_seed(0)
    attention = Attention(layer=5, dim=32, heads=4, kv_heads=2)
    rotation = rotation_of(torch.zeros(1, 1, 6, 4))
    seen = []

    def attend(layer, queries, keys, values):
        assert layer == 5
        seen.append((queries, keys))
        return queries

    hidden = torch.randn(1, 6, 32)
    attention(hidden, rotation, attend)
    attention(hidden * 1000, rotation, attend)
    torch.testing.assert_close(seen[0], seen[1], atol=1e-4, rtol=1e-4)
