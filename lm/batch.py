"""Plain records that describe sequences to the language model.

For every position: the id, the block of the vocabulary that it may come from, its segment (a learned
embedding of its role), its coordinates (rotary positions), whether it is forced (given, never sampled)
and its weight in the loss. The model reads these and nothing else; what they mean, `tasks` knows.
"""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, eq=False)
class Sequence:
    """One example.

    Args:
        ids: for positions not yet generated, any id of the allowed block.
        block: index into `Vocabulary.blocks`: the ids allowed here.
        segment: role of the position.
        coordinates: (time in video latents, row, column); audio has (time, level, 0).
        forced: the id is given, also after the prefix.
        weight: share in the loss of predicting this position; 0 where forced or in the prefix.
        prefix_length: the first positions, seen in both directions.
        task: name under which its loss is reported.
    """

    ids: Int[Tensor, " length"]
    block: Int[Tensor, " length"]
    segment: Int[Tensor, " length"]
    coordinates: Float[Tensor, "length 3"]
    forced: Bool[Tensor, " length"]
    weight: Float[Tensor, " length"]
    prefix_length: int
    task: str

    def __len__(self) -> int:
        return self.ids.shape[0]


@dataclass(eq=False)
class Batch:
    """Examples side by side, padded at the end to the longest.

    Padding has weight 0 and stands after every real position, which therefore never attends to it.
    """

    ids: Int[Tensor, "batch length"]
    block: Int[Tensor, "batch length"]
    segment: Int[Tensor, "batch length"]
    coordinates: Float[Tensor, "batch length 3"]
    forced: Bool[Tensor, "batch length"]
    weight: Float[Tensor, "batch length"]
    prefix_length: Int[Tensor, " batch"]
    length: Int[Tensor, " batch"]
    tasks: tuple[str, ...]

    @classmethod
    def collate(cls, sequences: Sequences[Sequence]) -> "Batch":
        def padded(name: str) -> Tensor:
            return pad_sequence([getattr(sequence, name) for sequence in sequences], batch_first=True)

        return cls(
            **{name: padded(name) for name in ("ids", "block", "segment", "coordinates", "forced", "weight")},
            prefix_length=torch.tensor([sequence.prefix_length for sequence in sequences]),
            length=torch.tensor([len(sequence) for sequence in sequences]),
            tasks=tuple(sequence.task for sequence in sequences),
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(
            **{
                name: value.to(device, non_blocking=non_blocking) if isinstance(value, Tensor) else value
                for name, value in values.items()
            }
        )

    def __len__(self) -> int:
        return self.ids.shape[0]
