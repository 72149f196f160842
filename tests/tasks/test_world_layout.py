"""Actions, latents and outcomes side by side: their order, against a slow version, and what reaches what."""

from dataclasses import replace

import pytest
import torch

from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.layout import Layout
from videolm.tasks.spans import Lengths
from videolm.tasks.task import ACTIONS, OUTCOME, ROLES, VIDEO_OUTPUT, Task, load_task

BLOCKS = {"action_0": (3,), "action_1": (4,), "outcome": (6,)}
VOCABULARY = Vocabulary.of_sizes(visual=(4, 4), audio=()).extended(BLOCKS)
TASK = load_task("world")
LENGTHS = Lengths(t=4, h=2, w=1, given=2, action_dims=2)
each_stride = pytest.mark.parametrize("stride", [1, 4])


def layout_of(stride=1, given=2, **lengths):
    return Layout.of(TASK, VOCABULARY, replace(LENGTHS, temporal_stride=stride, given=given, **lengths))


def parts_of(layout):
    generator = torch.Generator().manual_seed(0)
    sizes = {"visual": torch.tensor(16), "actions": torch.tensor([[3], [4]]), "outcome": torch.tensor(6)}
    sizes["text"] = torch.tensor(8)
    return {
        name: (torch.rand(shape, generator=generator) * sizes[name]).long()
        for name, shape in layout.shapes.items()
    }


@each_stride
def test_the_sequence_is_that_of_a_loop_over_frames(stride):
    """Frame k (k >= 1) is the picture after action k - 1, whose outcome is known with it."""
    layout = layout_of(stride)
    parts = parts_of(layout)
    ids = [VOCABULARY.special("bos"), VOCABULARY.special("WORLD"), VOCABULARY.special("bov_o")]
    times, rows, forced = [-2.0, -1.0, -0.5], [0.0] * 3, [True] * 3

    def put(block, code, time, row, is_given):
        ids.append(VOCABULARY.block(block).start + int(code))
        times.append(time)
        rows.append(float(row))
        forced.append(is_given)

    def put_latent(latent):
        for row in range(2):
            put("visual", parts["visual"][latent, row, 0], float(latent), row, latent < 2)

    put_latent(0)
    for latent in range(1, 4):
        last_frame = latent * stride
        frames = range(last_frame - stride + 1, last_frame + 1)
        for frame in frames:
            for dimension in range(2):
                code = parts["actions"][dimension, frame - 1]
                put(f"action_{dimension}", code, (frame - 0.5) / stride, dimension, True)
        put_latent(latent)
        for frame in frames:
            put("outcome", parts["outcome"][frame - 1], frame / stride, 0, latent < 2)

    packed = layout.pack(parts)
    assert packed.ids.tolist() == ids
    assert torch.allclose(packed.coordinates[:, 0], torch.tensor(times))
    assert packed.coordinates[:, 1].tolist() == rows
    assert packed.forced.tolist() == forced
    assert packed.prefix_length == 2
    assert layout.shapes["actions"] == (2, 3 * stride)
    assert layout.given_shapes == {"visual": (2, 2, 1), "actions": (2, 3 * stride), "outcome": (stride,)}


@each_stride
def test_the_number_of_given_latents_changes_nothing_but_what_is_given(stride):
    one, three = layout_of(stride, given=1), layout_of(stride, given=3)
    parts = parts_of(one)
    for name in ("ids", "block", "segment", "coordinates"):
        assert torch.equal(getattr(one.pack(parts), name), getattr(three.pack(parts), name))
    more = three.forced & ~one.forced
    roles = {ROLES[role] for role in one.segment[more].tolist()}
    assert roles == {"video_output", "outcome"} and int(more.sum()) == 2 * (2 + stride)
    assert not (one.forced & ~three.forced).any()


@pytest.mark.parametrize(("stride", "text"), [(1, 0), (4, 0), (1, 3)])
def test_an_action_reaches_its_own_latent_and_later_ones_never_an_earlier_one(stride, text):
    vocabulary = Vocabulary.of_sizes(visual=(4, 4), audio=(), text=8).extended(BLOCKS)
    torch.manual_seed(0)
    model = PrefixLM(
        LMConfig(dim=16, layers=2, heads=2, kv_heads=1, hidden=32, rotary_dims=(4, 2, 2)), vocabulary
    )
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    layout = Layout.of(TASK, vocabulary, replace(LENGTHS, temporal_stride=stride, text=text))
    batch = Batch.collate([layout.pack(parts_of(layout))])
    embedded = model.tokens(batch.ids, batch.block).detach().requires_grad_()
    model.tokens.forward = lambda ids, block: embedded
    hidden = model(batch)[0]
    latent = torch.where(batch.block[0] == vocabulary.index("visual"), batch.coordinates[0, :, 0], -1)
    outcome = batch.block[0] == vocabulary.index("outcome")
    for step in range(3 * stride):
        action = batch.segment[0] == ROLES.index("action")
        action &= torch.isclose(batch.coordinates[0, :, 0], torch.tensor((step + 0.5) / stride))
        assert int(action.sum()) == 2
        own = step // stride + 1
        for number in range(1, 4):
            # The logits of a position come from the hidden state before it.
            before = (latent == number).nonzero().flatten() - 1
            (gradient,) = torch.autograd.grad(hidden[before].square().sum(), embedded, retain_graph=True)
            reached = gradient[0, action].abs().sum(-1) > 0
            assert reached.tolist() == [number >= own] * 2
        before = (outcome & (batch.coordinates[0, :, 0] <= own - 1)).nonzero().flatten() - 1
        if len(before):
            (gradient,) = torch.autograd.grad(hidden[before].square().sum(), embedded, retain_graph=True)
            assert gradient[0, action].abs().max() == 0


def test_clips_without_actions_are_refused_by_name():
    with pytest.raises(ValueError, match="task world needs actions; these clips have none"):
        Layout.of(TASK, VOCABULARY, replace(LENGTHS, action_dims=0))


def test_actions_stand_only_in_interleaved_outputs():
    with pytest.raises(ValueError, match="stand in the outputs of an interleaved task"):
        Task("odd", "WORLD", (ACTIONS, VIDEO_OUTPUT))
    with pytest.raises(ValueError, match="stand in the outputs of an interleaved task"):
        Task("odd", "WORLD", (OUTCOME, VIDEO_OUTPUT), is_interleaved=True)
    with pytest.raises(ValueError, match="stand in the outputs of an interleaved task"):
        Task("odd", "WORLD", (VIDEO_OUTPUT,), inputs=(ACTIONS,))
    assert TASK.needs == ("video", "actions") and TASK.takes == ("text", "video", "actions")
