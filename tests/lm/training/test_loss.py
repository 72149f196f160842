import math

import pytest
import torch

from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.loss import loss_of, nats_by_block, nats_by_task


def slow_nats(model, batch):
    """Nats of every position but the first, one by one; the weights are left out."""
    hidden = model(batch)
    nats = torch.zeros_like(batch.weight)
    for row, column in (batch.weight > 0).nonzero().tolist():
        block = model.blocks[int(batch.block[row, column])]
        known = []
        for digit in block.split(batch.ids[row, column : column + 1] - block.start):
            logits = model.heads[block.name].logits(hidden[row, column - 1 : column], known)
            nats[row, column] -= logits.log_softmax(-1)[0, int(digit)]
            known.append(digit)
    return nats


@pytest.mark.parametrize("head", ["factorized", "full"])
def test_loss_is_the_weighted_mean_of_the_targets_nats(make_model, make_batch, head):
    model, batch = make_model(head), make_batch(3, 0, 5, given=4)
    batch.weight = batch.weight * torch.rand(batch.weight.shape, generator=torch.Generator().manual_seed(0))
    nats = slow_nats(model, batch)
    loss = loss_of(model, batch)
    torch.testing.assert_close(loss.weight, batch.weight.sum())
    torch.testing.assert_close(loss.mean, (batch.weight * nats).sum() / batch.weight.sum())


def test_parts_are_the_means_over_their_own_targets(make_model, make_batch):
    model, batch = make_model(), make_batch(3, 0)
    nats, loss = slow_nats(model, batch), loss_of(model, batch)
    names = tuple(block.name for block in model.blocks)
    by_block = nats_by_block(loss, names)
    assert set(by_block) == {"visual", "audio_0", "audio_1"}
    for name, (mean, count) in by_block.items():
        here = (batch.weight > 0) & (batch.block == names.index(name))
        assert count == here.sum() and mean == pytest.approx(nats[here].mean().item(), rel=1e-4)
    by_task = nats_by_task(loss, batch.tasks)
    assert set(by_task) == {"text_to_video", "unconditional"}
    assert by_task["unconditional"][0] == pytest.approx(nats[1][batch.weight[1] > 0].mean().item(), rel=1e-4)


def test_untrained_model_guesses(vocabulary, make_batch):
    model = PrefixLM(LMConfig(dim=32, layers=1, heads=1, kv_heads=1, rotary_dims=(8, 12, 12)), vocabulary)
    loss = loss_of(model, make_batch(3, 1))
    guess = {block.name: math.log(block.size) for block in vocabulary.blocks}
    for name, (mean, _) in nats_by_block(loss, tuple(guess)).items():
        assert mean == pytest.approx(guess[name], rel=1e-5)


def test_prefix_forced_positions_and_padding_carry_no_loss(make_model, make_batch):
    model, batch = make_model(), make_batch(3, 1, given=4)
    before = loss_of(model, batch).nats
    last = batch.length[1] - 1
    batch.ids[1, last:] = 1
    batch.ids[:, -1] = 2
    torch.testing.assert_close(loss_of(model, batch).nats, before)


def test_every_weight_has_a_gradient_whatever_the_batch_holds(make_model, make_batch):
    model = make_model()
    loss_of(model, make_batch(0, audio=0)).mean.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not model.heads["audio_0"].digits[0].weight.grad.any()


def test_batches_without_targets_are_refused(make_model, make_batch):
    batch = make_batch(3)
    batch.weight.zero_()
    with pytest.raises(ValueError, match="nothing to learn"):
        loss_of(make_model(), batch)


def test_targets_without_a_head_are_refused(make_model, make_batch):
    batch = make_batch(3)
    batch.weight[0, -1] = 1
    with pytest.raises(ValueError, match="'special', which has no head"):
        loss_of(make_model(), batch)


def test_packed_rows_have_the_losses_and_gradients_of_single_ones(make_model, make_example):
    model = make_model().double()
    examples = [
        make_example(text, given=given, seed=text) for text, given in ((3, 0), (1, 2), (5, 0), (2, 1))
    ]
    for example in examples:
        object.__setattr__(example, "weight", example.weight.double())
    single = loss_of(model, Batch.collate(examples))
    packed = loss_of(model, Batch.of_rows([examples[:2], examples[2:]]))
    assert torch.equal(single.block, packed.block)
    torch.testing.assert_close(packed.total, single.total)
    order = [loss.example.argsort(stable=True) for loss in (packed, single)]
    torch.testing.assert_close(packed.nats[order[0]], single.nats[order[1]])
    gradients = [torch.autograd.grad(loss.total, list(model.parameters())) for loss in (packed, single)]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected)
