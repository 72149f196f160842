"""A model whose weights are divided among processes: FSDP2, and tensor parallelism inside a group of them.

    videolm lm fit ... --trainer.strategy fsdp2

Each layer and each head is a unit: its weights are gathered when it runs and freed after it
(`torch.distributed.fsdp.fully_shard`). With a tensor-parallel size above 1 the matrices of the layers are
also divided inside a group, and each process computes its part of every product with them; attention and
everything else between the products is computed by every process of the group.

No process ever holds the whole model: it is made on the device "meta", divided, and given its values one
weight after the other. Sequences are not divided (context parallelism): rows of 1,300 to 1,800 positions, a
clip with its text and sound, fit every device that has the weights.

    with torch.device("meta"):
        model = PrefixLM(config, vocabulary)
    shard(model, mesh, half=True)
    materialise(model, vocabulary, device)
"""

from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)
from torch.overrides import TorchFunctionMode

from ...data.runtime.pretrained import PretrainedMixin
from ...training.sharded_tensors import local, own_part
from ..model.transformer import PrefixLM
from ..vocabulary import Vocabulary
from .finetuning import merged_state


def shard(model: PrefixLM, mesh: DeviceMesh, half: bool) -> None:
    """Divide the weights of a model among the processes of a mesh, in place.

    Args:
        mesh: with the axes "data_parallel" and "tensor_parallel" (of Lightning's ModelParallelStrategy).
        half: layers and heads are gathered and multiplied in bfloat16; what is kept, and the sum of the
            gradients, stay in float32.
    """
    # Rotations and norms are given in float32 and must stay so: autocast turns what is multiplied.
    dtypes = {"param_dtype": torch.bfloat16, "reduce_dtype": torch.float32} if half else {}
    policy = MixedPrecisionPolicy(**dtypes, cast_forward_inputs=False)
    if mesh["tensor_parallel"].size() > 1:
        for layer in model.layers:
            parallelize_module(layer, mesh["tensor_parallel"], _tensor_plan())
    data = mesh["data_parallel"]
    for layer in model.layers:
        fully_shard(layer, mesh=data, mp_policy=policy)
    for head in model.heads.values():
        fully_shard(head, mesh=data, mp_policy=policy)
        for method in ("loss", "logits"):
            register_fsdp_forward_method(head, method)
    fully_shard(model, mesh=data, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))


def _tensor_plan() -> dict[str, ParallelStyle]:
    """The first matrix of a block is divided by rows, the one that projects back by columns.

    `project_in` computes several things at once (queries, keys and values; gate and value), and the parts of
    the processes do not end where these do: its outputs are gathered before they are split.
    """
    plan: dict[str, ParallelStyle] = {}
    for block in ("attention.", ""):
        plan[f"{block}project_in"] = ColwiseParallel(output_layouts=Replicate())
        plan[f"{block}project_out"] = RowwiseParallel(input_layouts=Replicate())
    return plan


@torch.no_grad()
def materialise(model: PrefixLM, vocabulary: Vocabulary, device: torch.device) -> None:
    """Give a sharded model that has no memory its own and its initial weights, in place.

    They are those of a model that one process makes from the same state of the global random generator: each
    process draws every weight, one after the other, and keeps its part.
    """
    model.to_empty(device=device)
    with _Drawing():
        with torch.device("meta"):
            _Uninitialised(model.config, vocabulary)  # draws what its modules are made with and lose
        model.initialise()


class _Uninitialised(PrefixLM):
    def initialise(self) -> None:
        """Leaves all weights as their modules were made."""


class _Drawing(TorchFunctionMode):
    """Initial values are drawn for whole weights on the CPU, also of those without memory, and are kept as
    far as a weight is held here."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__module__", "") != nn.init.__name__:
            return func(*args, **given)
        weight = given.pop("tensor") if "tensor" in given else args[0]
        drawn = torch.empty(weight.shape, dtype=weight.dtype, device="cpu")
        func(drawn, *args[1:], **given)
        if not weight.is_meta:
            local(weight).copy_(drawn[own_part(weight)])
        return weight


def copy_weights(model: nn.Module, source: nn.Module) -> None:
    """Give a model the weights of another one that is divided as it is."""
    with torch.no_grad():
        for weight, values in zip(model.parameters(), source.parameters(), strict=True):
            local(weight).copy_(local(values))


def is_sharded(module: nn.Module) -> bool:
    return any(isinstance(parameter, DTensor) for parameter in module.parameters())


def reshard(model: nn.Module) -> None:
    """Give up what a forward pass has gathered of a sharded model and keeps for a backward pass.

    The outermost weights stay whole after a forward pass; their average could not be updated then.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def save_whole(model: PretrainedMixin, folder: Path) -> None:
    """`save_pretrained` of a model that may be sharded: all processes gather it, the first one writes."""
    if is_sharded(model):
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = cast(dict[str, Tensor], get_model_state_dict(model, options=options))
    else:
        state = merged_state(model)
    rank_zero_only(model.save_pretrained)(folder, state)
