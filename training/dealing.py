"""Matrices that are worked on by one process each: who takes which, and how they travel there and back.

    parts      rows of weights that are matrices of their own
    deal       by cost, the dearest first, each to the process that has least so far
    rounds     as many at once as there is memory for; then two exchanges of all processes (DDP: one):

        every process holds some rows of a matrix ->  its owner holds it whole
        the owner has made an update of it        ->  every process holds its rows of the update

All processes compute the same plan from the same shapes; nothing is said about it between them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor

from .sharded_tensors import Box, boxes_of, group_of


@dataclass(frozen=True)
class Part:
    """Rows of a weight, seen as a matrix, that are a matrix of their own.

    Args:
        weight: its number.
        start, stop: the rows.
        columns: of the matrix.
    """

    weight: int
    start: int
    stop: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.stop - self.start, self.columns

    @property
    def size(self) -> int:
        return (self.stop - self.start) * self.columns


Shares = Sequence[Sequence[Part]]
"""Of each process, the parts that it owns."""


def deal(parts: Sequence[Part], cost: Callable[[int, int], float], processes: int) -> list[list[Part]]:
    """The parts of each process, of about equal cost together.

    Args:
        cost: of a matrix of so many rows and columns.
    """
    shares: list[list[Part]] = [[] for _ in range(processes)]
    loads = [0.0] * processes
    for part in sorted(parts, key=lambda part: -cost(*part.shape)):
        least = loads.index(min(loads))
        shares[least].append(part)
        loads[least] += cost(*part.shape)
    return shares


def rounds(shares: Shares, most: int) -> Iterator[Shares]:
    """The shares in pieces: in each, a process has parts of one shape and of at most so many numbers.

    A part that is larger is alone.
    """
    return zip_longest(*(_batches(share, most) for share in shares), fillvalue=())


def _batches(share: Sequence[Part], most: int) -> list[list[Part]]:
    batches: list[list[Part]] = []
    for part in sorted(share, key=lambda part: (-part.size, part.shape)):
        last = batches[-1] if batches else []
        if not last or last[0].shape != part.shape or (len(last) + 1) * part.size > most:
            batches.append([])
        batches[-1].append(part)
    return batches


Rows = Callable[[Part, slice], Float[Tensor, "_ _"]]
"""(part, rows) -> these rows of what this process holds of the part's weight, as a matrix."""


class Replicated:
    """Every process holds every weight (DDP), or there is one process."""

    def __init__(self, device: torch.device):
        several = distributed.is_available() and distributed.is_initialized()
        self.count = distributed.get_world_size() if several else 1
        self.rank = distributed.get_rank() if several else 0
        self.device = device

    def to_owners(self, shares: Shares, rows: Rows) -> list[Float[Tensor, "_ _"]]:
        """The parts that this process owns, whole.

        Args:
            rows: gives what is held here.
        """
        return [rows(part, slice(part.start, part.stop)) for part in shares[self.rank]]

    def from_owners(
        self, shares: Shares, own: Sequence[Float[Tensor, "_ _"]], dtype: torch.dtype
    ) -> Iterator[tuple[Part, slice, Float[Tensor, "_ _"]]]:
        """What the owners have made of their parts: of each, the rows that are held here, and which they are.

        Args:
            own: made by this process.
            dtype: in which they travel.
        """
        everywhere = [own] if self.count == 1 else self._gathered(shares, own, dtype)
        for share, matrices in zip(shares, everywhere, strict=True):
            for part, matrix in zip(share, matrices, strict=True):
                yield part, slice(part.start, part.stop), matrix

    def _gathered(
        self, shares: Shares, own: Sequence[Tensor], dtype: torch.dtype
    ) -> list[list[Float[Tensor, "_ _"]]]:
        """All shares; for one gathering each is as long as the longest."""
        sizes = [[part.size for part in share] for share in shares]
        longest = max(map(sum, sizes))
        sent = torch.empty(longest, dtype=dtype, device=self.device)
        if own:
            torch.cat([matrix.flatten() for matrix in own], out=sent[: sum(sizes[self.rank])])
        received = sent.new_empty(self.count * longest)
        distributed.all_gather_into_tensor(received, sent)
        return [
            [flat.view(part.shape) for flat, part in zip(row[: sum(of)].split(of), share, strict=True)]
            for row, of, share in zip(received.view(self.count, longest), sizes, shares, strict=True)
        ]


class Sharded:
    """Every process holds a part of every weight (DTensor: FSDP2, tensor parallelism).

    Args:
        group: the processes.
        example: a tensor of the device and type that is held.
        boxes: by the number of a weight, what each process holds of it.
    """

    def __init__(
        self,
        group: distributed.ProcessGroup | None,
        example: Tensor,
        boxes: dict[int, list[Box]],
    ):
        self.group, self.example, self.boxes = group, example, boxes
        self.count = distributed.get_world_size(group)
        self.rank = distributed.get_rank(group)

    def to_owners(self, shares: Shares, rows: Rows) -> list[Float[Tensor, "_ _"]]:
        sent = [
            [rows(part, held) for part in share if (held := self._held(part, self.rank)) is not None]
            for share in shares
        ]
        wanted = [[self._shape(part, rank) for part in shares[self.rank]] for rank in range(self.count)]
        pieces = self._exchanged(sent, wanted, self.example.dtype)
        matrices = [self.example.new_empty(part.shape) for part in shares[self.rank]]
        for rank, of_rank in enumerate(pieces):
            for part, matrix, piece in zip(shares[self.rank], matrices, of_rank, strict=True):
                self._view(part, matrix, rank).copy_(piece)
        return matrices

    def from_owners(
        self, shares: Shares, own: Sequence[Float[Tensor, "_ _"]], dtype: torch.dtype
    ) -> Iterator[tuple[Part, slice, Float[Tensor, "_ _"]]]:
        sent = [
            [self._view(part, matrix, rank) for part, matrix in zip(shares[self.rank], own, strict=True)]
            for rank in range(self.count)
        ]
        wanted = [[self._shape(part, self.rank) for part in share] for share in shares]
        for share, of_owner in zip(shares, self._exchanged(sent, wanted, dtype), strict=True):
            for part, piece in zip(share, of_owner, strict=True):
                if (held := self._held(part, self.rank)) is not None:
                    yield part, held, piece

    def _held(self, part: Part, rank: int) -> slice | None:
        return self.boxes[part.weight][rank].inside(part.start, part.stop)

    def _shape(self, part: Part, rank: int) -> tuple[int, int]:
        held, columns = self._held(part, rank), self.boxes[part.weight][rank].columns
        return (0, 0) if held is None else (held.stop - held.start, columns.stop - columns.start)

    def _view(self, part: Part, matrix: Tensor, rank: int) -> Tensor:
        """Of a part's matrix, what a process holds."""
        held = self._held(part, rank)
        if held is None:
            return matrix[:0, :0]
        return matrix[held.start - part.start : held.stop - part.start, self.boxes[part.weight][rank].columns]

    def _exchanged(
        self, sent: list[list[Tensor]], wanted: list[list[tuple[int, int]]], dtype: torch.dtype
    ) -> list[list[Tensor]]:
        """From each process, matrices of these shapes; `sent` goes to each."""
        flat = [piece.flatten() for pieces in sent for piece in pieces]
        outgoing = torch.cat([self.example.new_empty(0, dtype=dtype), *flat])
        sizes = [[rows * columns for rows, columns in shapes] for shapes in wanted]
        incoming = outgoing.new_empty(sum(map(sum, sizes)))
        distributed.all_to_all_single(
            incoming,
            outgoing,
            [sum(of_rank) for of_rank in sizes],
            [sum(piece.numel() for piece in pieces) for pieces in sent],
            group=self.group,
        )
        parts = incoming.split([size for of_rank in sizes for size in of_rank])
        matrices = iter(parts)
        return [[next(matrices).view(shape) for shape in shapes] for shapes in wanted]


Holding = Replicated | Sharded
"""How the processes hold some weights: how many there are, and the ways of the parts."""


def holdings(weights: Sequence[Tensor]) -> list[tuple[list[int], Holding]]:
    """The numbers of the weights that are held in one way and go together, and how they are held."""
    groups: dict[object, list[int]] = {}
    for number, weight in enumerate(weights):
        mesh = weight.device_mesh if isinstance(weight, DTensor) else None
        groups.setdefault((mesh, weight.device, weight.dtype), []).append(number)
    return [(numbers, _holding({each: weights[each] for each in numbers})) for numbers in groups.values()]


def _holding(weights: dict[int, Tensor]) -> Holding:
    first = next(iter(weights.values()))
    if not isinstance(first, DTensor):
        return Replicated(first.device)
    boxes = {number: boxes_of(weight) for number, weight in weights.items() if isinstance(weight, DTensor)}
    return Sharded(group_of(first.device_mesh), first.to_local(), boxes)
