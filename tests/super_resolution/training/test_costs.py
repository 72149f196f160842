"""Operations are those that PyTorch counts, and windows save what they are to save."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from videolm.super_resolution.training.costs import StageParameters, full_pairs, pass_flops, window_pairs
from videolm.super_resolution.training.lightning_module import SuperResolutionTraining
from videolm.super_resolution.training.loss import loss_of


@pytest.mark.parametrize("text", [True, False])
def test_operations_are_those_of_the_products_that_are_made(text, make_stage, make_pairs):
    stage = make_stage(text=text, blocks=2, temporal=(2, 6, 4))  # windows without padding
    batch = make_pairs(batch=1, text=text)
    pieces = 0 if batch.condition.text is None else batch.condition.text.shape[1]
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        hidden = stage(batch.codes, batch.masked, batch.condition).flatten(0, 1)
        stage.head.logits(hidden)
        stage.head.logits(hidden, [batch.codes.flatten() % 8])
    besides = 2 * (96 + 24) * 16 * 32 + 2 * 8 * 32  # places of both grids, and the noise
    assert counter.get_total_flops() - besides == pass_flops(stage, pieces).total


def test_the_pairs_of_the_papers_windows(make_config):
    """Windows of 224, 256 and 320 codes in place of 8,960, and a quarter as many of low resolution."""
    config = make_config(vertical=(1, 56, 4), horizontal=(1, 8, 32), temporal=(5, 8, 8))
    large = replace(config.clips.large, grid=(5, 56, 32), height=448, width=256)
    low = replace(config.clips.low, grid=(5, 28, 16), height=224, width=128)
    config = replace(config, clips=replace(config.clips, large=large, low=low))
    assert window_pairs(config) == [8960 * (size + size // 4) for size in (224, 256, 320)]
    assert 3 * full_pairs(config) / sum(window_pairs(config)) == pytest.approx(33.6, abs=0.1)


def test_parameters_are_counted_once(make_stage):
    stage = make_stage()
    assert StageParameters.of(stage).total == sum(weight.numel() for weight in stage.parameters())


def test_activations_are_within_a_tenth_of_those_kept(make_config, make_pairs):
    from videolm.lm.training.memory import Plan, kept_bytes
    from videolm.super_resolution.training.memory import stage_memory

    config, batch = make_config(blocks=2, dim=64, hidden=176), make_pairs(batch=4)
    training = SuperResolutionTraining(config.model, config.clips)
    kept = kept_bytes(lambda: loss_of(training.model, batch), training.model.parameters())
    with torch.device("meta"):
        planned = SuperResolutionTraining(config.model, config.clips)
    held = stage_memory(planned, Plan(4, 0, {}))
    assert held["activations"] == pytest.approx(kept, rel=0.1)
