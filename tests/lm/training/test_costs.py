"""Parameters by part, and the operations of a step against those that torch counts."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from videolm.lm.batch import Batch
from videolm.lm.model import heads
from videolm.lm.training.costs import Parameters, training_flops, visible_pairs
from videolm.lm.training.loss import loss_of


def test_parts_add_up(make_model):
    model = make_model()
    parts = Parameters.of(model)
    assert parts.total == sum(parameter.numel() for parameter in model.parameters())
    assert parts.heads == sum(parameter.numel() for parameter in model.heads.parameters())


def test_visible_pairs_are_those_of_the_mask(make_batch):
    batch = make_batch(3, 0, 2)
    position = torch.arange(batch.ids.shape[1])
    count = 0
    for prefix, length in zip(batch.prefix_length, batch.length, strict=True):
        seen = (position <= position[:, None]) | ((position < prefix) & (position[:, None] < prefix))
        count += int(seen[:length, :length].sum())
    assert visible_pairs(batch) == count


def test_products_are_those_that_torch_counts(make_model, make_example, monkeypatch):
    """Of one example without padding, all but those of attention."""
    # The counter does not know products that are added in place.
    monkeypatch.setattr(heads, "_add_product", lambda total, left, right: total.add_(left @ right))
    model = make_model()
    batch = Batch.collate([make_example(3)])
    with FlopCounterMode(display=False) as counter:
        loss = loss_of(model, batch)
        loss.total.backward()
    counted = {str(name): each for name, each in counter.get_flop_counts()["Global"].items()}
    scores = 3 * 2 * model.config.layers * 2 * model.config.dim * int(visible_pairs(batch))
    products = int(training_flops(model, batch, loss.block)) - scores
    places = 2 * 2 * model.places.next_place.weight.numel() * batch.ids.shape[1]  # too little to count
    # The input of the first layers' tables has no gradient.
    assert counted["aten.mm"] - places == products
