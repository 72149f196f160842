"""Tensors that are divided among processes (DTensor): what each process holds of one, and gathering it."""

from itertools import product
from typing import NamedTuple

from torch import Tensor, distributed
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard


class Box(NamedTuple):
    """The rows and columns of a matrix that a process holds."""

    rows: slice
    columns: slice

    def inside(self, start: int, stop: int) -> slice | None:
        """Those of the rows `start` to `stop` that are held, if any."""
        first, last = max(start, self.rows.start), min(stop, self.rows.stop)
        return slice(first, last) if first < last and self.columns.start < self.columns.stop else None


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered on every process; any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a sharded tensor; any other as it is. Written to, it changes the tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def own_part(tensor: Tensor) -> tuple[slice, ...]:
    """Where the part that this process holds lies in the whole tensor, axis by axis."""
    if not isinstance(tensor, DTensor):
        return tuple(slice(0, size) for size in tensor.shape)
    mesh = tensor.device_mesh
    coordinate = mesh.get_coordinate()
    assert coordinate is not None
    return _part(tuple(tensor.shape), mesh, tensor.placements, tuple(coordinate))


def boxes_of(matrix: DTensor) -> list[Box]:
    """The part of a matrix that each process of its mesh holds, in the order of `group_of`."""
    assert matrix.ndim == 2
    mesh = matrix.device_mesh
    places = product(*(range(size) for size in mesh.shape))
    return [Box(*_part(tuple(matrix.shape), mesh, matrix.placements, place)) for place in places]


def group_of(mesh: DeviceMesh) -> distributed.ProcessGroup | None:
    """All processes of a mesh; None stands for all there are."""
    if mesh.size() == distributed.get_world_size():
        return None
    return mesh.get_group()


def _part(
    shape: tuple[int, ...], mesh: DeviceMesh, placements: tuple[Placement, ...], place: tuple[int, ...]
) -> tuple[slice, ...]:
    """Shards are cut one inside another, those of an outer axis of the mesh first: but a strided shard is cut
    inside those of the axes after it (FSDP2 divides what tensor parallelism has divided before)."""
    bounds = [slice(0, size) for size in shape]
    order = sorted(range(len(placements)), key=lambda axis: isinstance(placements[axis], _StridedShard))
    for axis in order:
        placement = placements[axis]
        if isinstance(placement, Replicate):
            continue
        assert isinstance(placement, Shard | _StridedShard), placement
        held = bounds[placement.dim]
        size = -(-(held.stop - held.start) // mesh.size(axis))  # as torch.chunk divides
        first = min(held.start + place[axis] * size, held.stop)
        bounds[placement.dim] = slice(first, min(first + size, held.stop))
    return tuple(bounds)
