"""The rule by which learning rates carry over to other widths (see `LMConfig`)."""

import pytest
import torch
from torch import nn

from videolm.lm.batch import Batch, Example
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.loss import loss_of
from videolm.lm.vocabulary import Vocabulary
from videolm.training.muon import Muon, parameter_groups

VOCABULARY = Vocabulary.of_sizes(visual=(16, 16), audio=())
WIDTHS = (64, 256)


def halves_repeated(seed: int) -> Batch:
    """Rows whose second half repeats the first."""
    half = torch.randint(256, 512, (8, 8), generator=torch.Generator().manual_seed(seed))
    length = 16
    return Batch.collate(
        [
            Example(
                ids=row.repeat(2),
                block=torch.ones(length, dtype=torch.long),
                segment=torch.zeros(length, dtype=torch.long),
                coordinates=torch.nn.functional.pad(torch.arange(length)[:, None].float(), (0, 2)),
                forced=torch.zeros(length, dtype=torch.bool),
                weight=torch.ones(length),
                prefix_length=1,
                task="repeat",
            )
            for row in half
        ]
    )


def scales_after_training(dim: int, adam_learning_rate: float) -> tuple[float, float]:
    """Root mean square of the last hidden state before the norm, and of the logits, after ten steps."""
    torch.manual_seed(0)
    config = LMConfig(
        dim=dim, layers=2, heads=dim // 32, kv_heads=dim // 64, hidden=dim * 11 // 4, rotary_dims=(8, 12, 12)
    )
    model = PrefixLM(config, VOCABULARY)
    matrices = [module for module in model.layers.modules() if isinstance(module, nn.Linear)]
    optimizer = Muon(parameter_groups(matrices, model), 0.02, adam_learning_rate)
    for step in range(10):
        optimizer.zero_grad()
        loss_of(model, halves_repeated(step)).mean.backward()
        optimizer.step()
    seen = []
    model.norm.register_forward_hook(lambda module, inputs, output: seen.extend((inputs[0], output)))
    with torch.no_grad():
        model(halves_repeated(0))
        logits = model.heads["visual"].logits(seen[1].flatten(0, 1))
    return tuple(each.square().mean().sqrt().item() for each in (seen[0], logits))


def test_activations_and_logits_grow_alike_at_every_width():
    narrow, wide = (scales_after_training(dim, 0.003 * 256 / dim) for dim in WIDTHS)
    assert wide == pytest.approx(narrow, rel=0.25)


def test_one_rate_for_all_widths_would_let_logits_grow_with_the_width():
    narrow, wide = (scales_after_training(dim, 0.003) for dim in WIDTHS)
    assert wide[1] > 1.6 * narrow[1]
