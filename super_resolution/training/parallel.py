"""A stage whose weights are divided among processes: `--trainer.strategy fsdp2` (lm/training/parallel.py)."""

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from ..transformer import SuperResolution


def shard(model: SuperResolution, mesh: DeviceMesh, half: bool) -> None:
    """Divide the weights among the processes of a mesh, in place: each layer is gathered when it runs.

    Args:
        mesh: with the axes "data_parallel" and "tensor_parallel" (of Lightning's ModelParallelStrategy).
        half: layers are gathered and multiplied in bfloat16.

    Raises:
        ValueError: if products are to be divided inside groups.
    """
    if mesh["tensor_parallel"].size() > 1:
        raise ValueError("super-resolution has no tensor parallelism; leave tensor_parallel_size at 1")
    # Rotations and norms are given in float32 and must stay so: autocast turns what is multiplied.
    dtypes = {"param_dtype": torch.bfloat16, "reduce_dtype": torch.float32} if half else {}
    policy = MixedPrecisionPolicy(**dtypes, cast_forward_inputs=False)
    data = mesh["data_parallel"]
    for layer in model.layers:
        fully_shard(layer, mesh=data, mp_policy=policy)
    fully_shard(model, mesh=data, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
