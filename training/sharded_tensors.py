"""Tensors that are divided among processes (DTensor): gathering one, and dividing one like another."""

from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered on every process; any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """The part that each process keeps of a tensor that all of them hold, if `reference` is sharded."""
    if not isinstance(reference, DTensor):
        return tensor
    mesh = reference.device_mesh
    everywhere = DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)
    return everywhere.redistribute(mesh, reference.placements)
