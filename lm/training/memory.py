"""An estimate of the memory that each device of a training needs, before the training starts.

Weights, gradients and optimizer states are counted on the training module itself, made without memory (device
"meta"). Activations are what autograd keeps of one layer, run on tensors without memory, so that the count
follows the layer's code. The sum is the peak: the start of the backward pass, with the gradients of earlier
accumulated batches. Attention counts in its fused form, without a square of scores. What libraries reserve
and fragmentation wastes is not counted: leave a tenth of a device for it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, UntypedStorage, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..model.heads import LOGITS_AT_ONCE
from ..model.transformer import PrefixLM
from ..vocabulary import Block, Vocabulary
from .lightning_module import LanguageModelTraining


@runtime_checkable
class Trains(Protocol):
    """A Lightning module as far as the states of its optimizer are concerned."""

    def make_optimizer(self) -> torch.optim.Optimizer: ...


@dataclass(frozen=True)
class Plan:
    """How a model is trained, as far as its memory depends on that.

    Args:
        rows, positions: of a batch of one process.
        targets: how many of these positions are predicted, by the name of their block.
        devices: how many processes there are, each with a device of its own.
        strategy: "ddp": each holds the whole model; "fsdp2": each holds its share.
        precision: as Lightning calls it, such as "bf16-mixed".
        activation_checkpointing: as of `LanguageModelTraining`.
    """

    rows: int
    positions: int
    targets: Mapping[str, int]
    devices: int = 1
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    precision: str = "32-true"
    activation_checkpointing: int = 0

    @property
    def is_sharded(self) -> bool:
        return self.strategy == "fsdp2"

    @property
    def is_half(self) -> bool:
        """Whether products are made of numbers of two bytes."""
        return "16" in self.precision

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights that are kept and of what stands between the layers."""
        return torch.bfloat16 if self.is_half and self.precision.endswith("true") else torch.float32

    def autocast(self) -> AbstractContextManager[Any]:
        """How the forward pass runs."""
        if self.is_half and self.dtype == torch.float32:
            return torch.autocast("cpu", torch.bfloat16)
        return nullcontext()

    @contextmanager
    def without_memory(self) -> Iterator[None]:
        """Tensors and modules made here have sizes and types but no values; new weights are of `dtype`."""
        usual = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            with FakeTensorMode(), self.autocast():
                yield
        finally:
            torch.set_default_dtype(usual)


def memory_of(training: LanguageModelTraining, vocabulary: Vocabulary, plan: Plan) -> dict[str, int]:
    """Bytes of each device by what they hold.

    Args:
        training: made on the device "meta", of this vocabulary.
    """
    training = training.to(plan.dtype)
    held = states_of(training, training.model, training.average, plan)
    layers, copies, working = _layers(training.model, vocabulary, plan)
    if plan.is_sharded:
        held["gathered weights"] = _gathered(training.model, plan)
    else:
        held["buckets of gradients"] = held["gradients"] if plan.devices > 1 else 0
        held["weights in half precision"] = copies
    held["activations"] = layers + _outside_layers(training.model, vocabulary, plan)
    held["work space"] = max(working, _logits(training.model, plan))
    return held


def states_of(
    training: Trains, model: nn.Module, average: nn.Module | None, plan: Plan
) -> dict[str, int]:
    """Bytes of weights, gradients and optimizer on each device."""
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    held = {
        "weights": size_of(model.state_dict().values()),
        "gradients": size_of(learnt),
        "optimizer": size_of_states(training),
        "average of the weights": size_of(average.parameters()) if average is not None else 0,
    }
    share = plan.devices if plan.is_sharded else 1
    return {name: -(-size // share) for name, size in held.items()}


def kept_bytes(run: Callable[[], object], besides: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps of a call for its backward pass.

    Args:
        besides: tensors that exist anyway, such as weights, and do not count.
    """
    kept: dict[int, UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    known = {tensor.untyped_storage()._cdata for tensor in besides}
    return sum(storage.nbytes() for place, storage in kept.items() if place not in known)


def size_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of some tensors together."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def size_of_states(training: Trains) -> int:
    """Bytes of the optimizer's states.

    Only one weight of every shape of a group takes a step, since all of them have states of the same sizes
    and even a step without memory takes time.
    """
    optimizer = training.make_optimizer()
    alike: dict[tuple[int, torch.Size], list[nn.Parameter]] = defaultdict(list)
    for number, group in enumerate(optimizer.param_groups):
        for weight in group["params"]:
            if weight.requires_grad:
                alike[number, weight.shape].append(weight)
    for first, *_ in alike.values():
        first.grad = torch.empty_like(first)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return sum(len(weights) * size_of(_tensors(optimizer.state[weights[0]])) for weights in alike.values())


def _tensors(state: Mapping[str, object]) -> list[Tensor]:
    return [value for value in state.values() if isinstance(value, Tensor)]


def _layers(model: PrefixLM, vocabulary: Vocabulary, plan: Plan) -> tuple[int, int, int]:
    """Bytes of the activations of all layers, of their weights' copies in half precision, and of work space.

    The work space of a layer is gradients of about half of what it keeps, and its activations themselves if
    they are recomputed.
    """
    one, two = (_kept_by_layer(model, vocabulary, plan, rows) for rows in (1, 2))
    own, copies = (two - one) * plan.rows, 2 * one - two
    every, layers = plan.activation_checkpointing, len(model.layers)
    recomputed = -(-layers // every) if every else 0
    whole = layers - recomputed
    inputs = plan.rows * plan.positions * model.config.dim * plan.dtype.itemsize
    working = own // 2 + (own + copies if recomputed else 0)
    return whole * own + recomputed * inputs, whole * copies, working


def _kept_by_layer(model: PrefixLM, vocabulary: Vocabulary, plan: Plan, rows: int) -> int:
    config = replace(model.config, layers=1)
    with plan.without_memory():
        layer = PrefixLM(config, vocabulary).layers[0]
        hidden = torch.zeros(rows, plan.positions, config.dim, requires_grad=True)
        turn = torch.zeros(rows, 1, plan.positions, config.head_dim, dtype=torch.float32)
        return kept_bytes(lambda: layer(hidden, (turn, turn), fused_attention), [*layer.parameters(), turn])


def _outside_layers(model: PrefixLM, vocabulary: Vocabulary, plan: Plan) -> int:
    """Bytes kept of the places, the last norm and the heads."""
    config = replace(model.config, layers=0)
    shape = (plan.rows, plan.positions)
    with plan.without_memory():
        rest = PrefixLM(config, vocabulary)
        hidden = torch.zeros(*shape, config.dim, requires_grad=True)
        waves = torch.zeros(*shape, sum(config.rotary_dims) // 2, dtype=torch.float32)
        segment, has_next = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.float32)
        kept = kept_bytes(lambda: rest.places(segment, waves, has_next), rest.places.parameters())
        kept += kept_bytes(lambda: rest.norm(hidden), rest.norm.parameters())
        heads = [block for block in rest.blocks if block.name in rest.heads]
        return kept + sum(_kept_by_head(rest, block, plan) for block in heads)


def _kept_by_head(model: PrefixLM, block: Block, plan: Plan) -> int:
    count, head = plan.targets.get(block.name, 0), model.head(block.name)
    rows = torch.zeros(count, model.config.dim, requires_grad=True)
    digits = block.split(torch.zeros(count, dtype=torch.long))
    weight = torch.zeros(count, dtype=torch.float32)
    return kept_bytes(lambda: head.loss(rows, digits, weight), head.parameters())


def _gathered(model: PrefixLM, plan: Plan) -> int:
    """Bytes of weights that a process holds beside its share: those outside layers and heads all the time,
    the layer or head at work, the one that is being gathered, and the whole gradient of the first."""
    itemsize = 2 if plan.is_half else 4
    units = [size_of(unit.parameters()) for unit in (*model.layers, *model.heads.values())]
    rest = size_of(model.parameters()) - sum(units)
    return rest + 3 * max(units) // model.norm.weight.element_size() * itemsize


def _logits(model: PrefixLM, plan: Plan) -> int:
    """Bytes of the logits of one chunk: in float32, and in half precision before and after the softmax."""
    counts = [
        min(LOGITS_AT_ONCE, plan.targets.get(block.name, 0) * factor)
        for block in model.blocks
        for factor in block.factors
    ]
    return max(counts) * (4 + 2 * 2 * plan.is_half)


class _FusedAttention(torch.autograd.Function):
    """Keeps for the backward pass what fused attention keeps, whatever the mask."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        read = torch.empty_like(queries)
        ctx.save_for_backward(queries, keys, values, read, queries.new_empty(queries.shape[:3]).float())
        return read

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise AssertionError("only its memory is asked for")


def fused_attention(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """An `Attend` for estimates: it computes nothing, and keeps what fused attention keeps."""
    return _FusedAttention.apply(queries, keys, values)  # pyright: ignore[reportReturnType]
