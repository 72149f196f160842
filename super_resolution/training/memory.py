"""An estimate of the memory that each device of a stage's training needs (as lm/training/memory.py).

What autograd keeps of one layer is run on tensors without memory, with fused attention; padding of windows
does not count.
"""

from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from ...lm.model.attention import Rotation
from ...lm.training.memory import Plan, fused_attention, kept_bytes, size_of, states_of
from ..batch import Condition
from ..layer import Sight
from ..transformer import StageConfig, SuperResolution
from .lightning_module import SuperResolutionTraining


def stage_memory(training: SuperResolutionTraining, plan: Plan) -> dict[str, int]:
    """Bytes of each device by what they hold.

    Args:
        training: made on the device "meta".
        plan: its rows are clips; positions and targets are those of the stage.
    """
    training = training.to(plan.dtype)
    held = states_of(training, training.model, training.average, plan)
    config = training.model.config
    one, two = (_kept_by_layer(config, plan, rows) for rows in (1, 2))
    own, copies = (two - one) * plan.rows, 2 * one - two
    every, layers = plan.activation_checkpointing, len(training.model.layers)
    recomputed = -(-layers // every) if every else 0
    inputs = plan.rows * prod(config.clips.large.grid) * config.model.dim * plan.dtype.itemsize
    if plan.is_sharded:
        itemsize = 2 if plan.is_half else 4
        units = [size_of(unit.parameters()) for unit in training.model.layers]
        rest = size_of(training.model.parameters()) - sum(units)
        held["gathered weights"] = rest + 3 * max(units) // plan.dtype.itemsize * itemsize
    else:
        held["buckets of gradients"] = held["gradients"] if plan.devices > 1 else 0
        held["weights in half precision"] = (layers - recomputed) * copies
    outside = _kept_outside(config, plan)
    held["activations"] = (layers - recomputed) * own + recomputed * inputs + outside
    held["work space"] = own // 2 + (own + copies if recomputed else 0)
    return held


def _kept_by_layer(config: StageConfig, plan: Plan, rows: int) -> int:
    large, low = (prod(clips.grid) for clips in (config.clips.large, config.clips.low))
    dim, words = config.model.dim, 1 + config.clips.text_pieces
    with plan.without_memory():
        layer = SuperResolution(_of_one_block(config)).layer_list()[0]
        hidden, seen, text = (
            torch.zeros(rows, length, dim, requires_grad=True) for length in (large, low, words)
        )
        turns = [_rotation(length, dim // config.model.heads) for length in (large, low)]
        sight = Sight(fused_attention, fused_attention, fused_attention, *turns)
        given = text if config.clips.has_text else None
        known = [*layer.parameters(), seen, text, *(part for turn in turns for part in turn)]
        return kept_bytes(lambda: layer(hidden, seen, given, sight), known)


def _kept_outside(config: StageConfig, plan: Plan) -> int:
    """Bytes kept of embeddings, the last norm and the head."""
    with plan.without_memory():
        model = SuperResolution(_of_one_block(config))
        large, low = (
            torch.zeros(plan.rows, *clips.grid, dtype=torch.long)
            for clips in (config.clips.large, config.clips.low)
        )
        condition = Condition.of(low)
        kept = kept_bytes(lambda: model.embed(large, large > 0), model.parameters())
        kept += kept_bytes(
            lambda: model.spread(model.embed_condition(condition)[0]), model.parameters()
        )
        hidden = torch.zeros(large.numel(), config.model.dim, requires_grad=True)
        weight = torch.zeros(len(hidden), dtype=torch.float32)
        digits = model.block.split(large.flatten())
        kept += kept_bytes(lambda: model.norm(hidden), model.parameters())
        return kept + kept_bytes(lambda: _loss(model, hidden, digits, weight), model.parameters())


def _loss(model: SuperResolution, hidden: Tensor, digits: tuple[Tensor, ...], weight: Tensor) -> Tensor:
    return model.head.loss(hidden, digits, weight)[0]


def _rotation(length: int, head_dim: int) -> Rotation:
    turn = torch.zeros(1, 1, length, head_dim, dtype=torch.float32)
    return turn, turn


def _of_one_block(config: StageConfig) -> StageConfig:
    return replace(config, model=replace(config.model, blocks=1))
