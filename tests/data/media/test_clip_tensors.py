"""A clip that was taken apart comes back exactly."""

import json
from dataclasses import fields

import pytest
import torch

from videolm.data.media.clip import Clip
from videolm.data.media.clip_tensors import put_together, take_apart

FRAMES = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).reshape(2, 3, 4, 3)
CLIPS = {
    "whole": Clip(FRAMES, 30000 / 1001, torch.linspace(-1, 1, 77).reshape(1, 77), 8000, "a red star"),
    "silent": Clip(FRAMES, 8.0),
    "strided": Clip(FRAMES.flip(2).transpose(1, 2), 8.0, torch.rand(5, 2).T, 16000),
    "no frames": Clip(FRAMES[:0], 1.0, torch.rand(2, 5), 24000),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_comes_back_to_the_last_bit_with_values_through_json(name):
    clip = CLIPS[name]
    tensors, values = take_apart(clip)
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    again = put_together(tensors, json.loads(json.dumps(values)))
    for field in fields(Clip):
        one, other = getattr(clip, field.name), getattr(again, field.name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_frames_without_a_rate_are_no_clip():
    with pytest.raises(KeyError, match="fps"):
        put_together({"frames": FRAMES}, {})
