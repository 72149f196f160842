"""What the super-resolution transformer reads and learns from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Record = TypeVar("Record", "Condition", "PairBatch")


@dataclass(eq=False)
class Condition:
    """What codes of the large clip follow from.

    Args:
        low: codes of low resolution.
        has_low: whether they are shown.
        noise: share of them that was replaced by random ones, in [0, 1], which the model is told.
        text: pieces, or embeddings of them; None for a stage without text.
        text_length: how many are the text's; 0 shows no text.
    """

    low: Int[Tensor, "batch t h w"]
    has_low: Bool[Tensor, " batch"]
    noise: Float[Tensor, " batch"]
    text: Int[Tensor, "batch pieces"] | Float[Tensor, "batch pieces width"] | None
    text_length: Int[Tensor, " batch"]

    @classmethod
    def of(
        cls,
        low: Int[Tensor, "batch t h w"],
        texts: Sequence[Int[Tensor, " _"] | Float[Tensor, "_ _"] | None] = (),
        noise: float = 0.0,
    ) -> "Condition":
        """Low-resolution codes that are all shown, with a text for each clip or none.

        Args:
            texts: as a text tokenizer gives them; shorter ones are padded. Empty for a stage without text.
        """
        batch, device = len(low), low.device
        given = list(texts) or [None] * batch
        lengths = [0 if each is None else len(each) for each in given]
        return cls(
            low=low,
            has_low=torch.ones(batch, dtype=torch.bool, device=device),
            noise=torch.full((batch,), noise, device=device),
            text=_padded(given, lengths, device),
            text_length=torch.tensor(lengths, device=device),
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Condition":
        return _moved(self, device, non_blocking)

    def showing(self, low: bool, text: bool) -> "Condition":
        """With what is shown left out, where these say so."""
        shown = torch.full_like(self.has_low, low) & self.has_low
        # A level of noise is one of codes that are shown.
        return replace(
            self,
            has_low=shown,
            noise=self.noise * shown,
            text_length=self.text_length * int(text),
        )


@dataclass(eq=False)
class PairBatch:
    """Clips to learn from.

    Args:
        codes: of the large clips.
        masked: the positions whose codes are hidden.
        condition: of each.
    """

    codes: Int[Tensor, "batch t h w"]
    masked: Bool[Tensor, "batch t h w"]
    condition: Condition

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "PairBatch":
        return _moved(self, device, non_blocking)

    def __len__(self) -> int:
        return len(self.codes)


def _padded(texts: Sequence[Tensor | None], lengths: Sequence[int], device: torch.device) -> Tensor | None:
    """Texts below each other, with zeros behind the shorter ones."""
    first = next((each for each in texts if each is not None), None)
    if first is None:
        return None
    rows = first.new_zeros(len(texts), max(*lengths, 1), *first.shape[1:])
    for row, text, length in zip(rows, texts, lengths, strict=True):
        if text is not None:
            row[:length] = text
    return rows.to(device)


def _moved(record: Record, device: torch.device | str, non_blocking: bool) -> Record:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return replace(
        record,
        **{
            name: value.to(device, non_blocking=non_blocking)
            for name, value in values.items()
            if value is not None
        },
    )
