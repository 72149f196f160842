"""What the language model reads: an `Example` is one sequence to train on or to generate, a `Batch` several.

Every position has an id, the block of the vocabulary that the id may come from, a segment (a learned
embedding of its role), coordinates (rotary positions), whether it is forced (given, never sampled) and a
weight in the loss. The model reads nothing else; what blocks and segments mean is known to `tasks` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, eq=False)
class Example:
    """One sequence to train on or, with some ids still to be sampled, to generate.

    Args:
        ids: where nothing is generated yet, any id of the allowed block.
        block: index into `Vocabulary.blocks`: the ids allowed here.
        segment: role of the position.
        coordinates: (time in video latents, row, column); audio has (time, level, 0).
        forced: the id is given, also after the prefix.
        weight: share in the loss of predicting this position; 0 where forced or in the prefix.
        prefix_length: the first positions, seen in both directions.
        task: name under which its loss is reported.
        features: vectors made outside the model, such as a frozen encoder's, to be read beside the ids.
        features_at: the position of each.
    """

    ids: Int[Tensor, " length"]
    block: Int[Tensor, " length"]
    segment: Int[Tensor, " length"]
    coordinates: Float[Tensor, "length 3"]
    forced: Bool[Tensor, " length"]
    weight: Float[Tensor, " length"]
    prefix_length: int
    task: str
    features: Float[Tensor, "features width"] | None = None
    features_at: Int[Tensor, " features"] | None = None

    def __len__(self) -> int:
        return self.ids.shape[0]


@dataclass(eq=False)
class Batch:
    """Examples in rows: one a row, or several one after the other (packed).

    Padding has weight 0 and stands at the end of a row. No position attends to another example's.

    Args:
        row: which row each example stands in.
        start: its first position there.
        prefix_length, length, tasks: as of its `Example`.
        features: of all examples that have some, one example's below the other's.
        features_at: row and position of each.
    """

    ids: Int[Tensor, "rows positions"]
    block: Int[Tensor, "rows positions"]
    segment: Int[Tensor, "rows positions"]
    coordinates: Float[Tensor, "rows positions 3"]
    forced: Bool[Tensor, "rows positions"]
    weight: Float[Tensor, "rows positions"]
    row: Int[Tensor, " examples"]
    start: Int[Tensor, " examples"]
    prefix_length: Int[Tensor, " examples"]
    length: Int[Tensor, " examples"]
    tasks: tuple[str, ...]
    features: Float[Tensor, "features width"] | None = None
    features_at: Int[Tensor, "features 2"] | None = None

    @classmethod
    def collate(cls, examples: Sequence[Example]) -> "Batch":
        """One example a row."""
        return cls.of_rows([[example] for example in examples])

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[Example]]) -> "Batch":
        """Several examples a row, one after the other."""

        def padded(name: str) -> Tensor:
            return pad_sequence(
                [torch.cat([getattr(example, name) for example in row]) for row in rows], batch_first=True
            )

        examples = [example for row in rows for example in row]
        row_of = [index for index, row in enumerate(rows) for _ in row]
        starts = [start for row in rows for start in accumulate(map(len, row[:-1]), initial=0)]
        features = [
            (example.features, _places(example.features_at, row, start))
            for example, row, start in zip(examples, row_of, starts, strict=True)
            if example.features is not None and example.features_at is not None
        ]
        return cls(
            **{name: padded(name) for name in ("ids", "block", "segment", "coordinates", "forced", "weight")},
            row=torch.tensor(row_of),
            start=torch.tensor(starts),
            prefix_length=torch.tensor([example.prefix_length for example in examples]),
            length=torch.tensor([len(example) for example in examples]),
            tasks=tuple(example.task for example in examples),
            **joined_features(features),
        )

    @cached_property
    def example(self) -> Int[Tensor, "rows positions"]:
        """Which example each position belongs to; -1 on padding."""
        first = self.row * self.ids.shape[1] + self.start
        index = torch.arange(len(self.row), device=self.row.device).repeat_interleave(self.length)
        within = torch.arange(len(index), device=index.device) - (self.length.cumsum(0) - self.length)[index]
        owner = torch.full_like(self.ids, -1)
        owner.view(-1)[first[index] + within] = index
        return owner

    @property
    def padding_share(self) -> float:
        """Share of the positions that belong to no example."""
        return 1 - int(self.length.sum()) / self.ids.numel()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        tensors = {name: value for name, value in values if isinstance(value, Tensor)}
        return replace(
            self, **{name: value.to(device, non_blocking=non_blocking) for name, value in tensors.items()}
        )

    def __len__(self) -> int:
        return self.ids.shape[0]


def joined_features(parts: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The fields of a batch for features and their places from several sources; none of none."""
    if not parts:
        return {}
    features, places = zip(*parts, strict=True)
    return {"features": torch.cat(features), "features_at": torch.cat(places)}


def _places(positions: Int[Tensor, " features"], row: int, start: int) -> Int[Tensor, "features 2"]:
    return torch.stack([torch.full_like(positions, row), positions + start], dim=1)
