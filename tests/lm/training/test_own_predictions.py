"""Sequences that begin with what the model itself predicts."""

import pytest
import torch

from videolm.lm.batch import Batch
from videolm.lm.training.loss import loss_of
from videolm.lm.training.own_predictions import is_drawn, with_own_predictions


@pytest.fixture
def batch(make_example) -> Batch:
    """Two examples in the first row, one in the second; the visual codes of time 0 are given."""
    examples = [make_example(3, grid=(4, 2, 1), audio=0, given=2, seed=seed) for seed in range(3)]
    return Batch.of_rows([examples[:2], examples[2:]])


def test_targets_up_to_a_time_are_the_models_and_the_later_ones_the_true_ones(make_model, batch):
    model = make_model()
    cuts = set()
    for number in range(60):
        own = with_own_predictions(model, batch, 0, number)
        drawn = (batch.weight > 0) & (own.weight == 0)
        assert torch.equal(own.ids[~drawn], batch.ids[~drawn])
        for example in range(3):
            inside = batch.example == example
            times = batch.coordinates[..., 0]
            left = inside & (own.weight > 0)
            until = times[inside & drawn].max()
            assert times[left].min() == until + 1
            cuts.add(int(until))
        for index, block in enumerate(model.blocks):
            ids = own.ids[batch.block == index]
            assert ((ids >= block.start) & (ids < block.stop)).all()
        assert loss_of(model, own).mean.isfinite()
    assert cuts == {1, 2}


def test_what_is_drawn_is_what_the_model_predicts_from_true_ids(make_model, batch):
    """A model that is sure of one id of the block draws it everywhere."""
    model = make_model()
    head = model.heads["visual"]
    head.logits = lambda hidden, known: 1e6 * torch.nn.functional.one_hot(
        torch.full((len(hidden),), 3 if known else 1), 8 if known else 4
    )
    own = with_own_predictions(model, batch, 0, 1)
    drawn = (batch.weight > 0) & (own.weight == 0)
    visual = model.blocks[1]
    assert drawn.any()
    assert (own.ids[drawn] == visual.start + 1 + 3 * 4).all()


def test_the_draws_follow_from_seed_and_number(make_model, batch):
    model = make_model()
    one, again, other = (with_own_predictions(model, batch, 0, number) for number in (5, 5, 6))
    assert torch.equal(one.ids, again.ids) and torch.equal(one.weight, again.weight)
    assert not torch.equal(one.ids, other.ids)


def test_steps_are_drawn_by_their_share():
    for share in (0.0, 0.25):
        drawn = sum(is_drawn(share, 0, step) for step in range(2000)) / 2000
        assert drawn == pytest.approx(share, abs=0.03)
