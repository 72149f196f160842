"""The rows of a batch, aligned so that all prefixes end in the same column.

            prefix, aligned at its end     | output, the same layout in every row
    row 0   .   .   bos  task  text  text  | bov  v  v  v  v  eov  eos
    row 1   bos task text text text  text  | bov  v  v  v  v  eov  eos

With guidance the unconditional rows stand below the conditional ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..batch import Batch, joined_features
from ..model.attention import Rotation
from ..model.transformer import PrefixLM
from .inference import InferenceBody, Turn

POSITIONS_AT_ONCE = 4096
"""Most positions of prompts in one pass, which bounds its memory."""

_OF_FEATURES = ("features", "features_at")


@dataclass(frozen=True, eq=False)
class Prompts:
    """Different prompts that begin in the same column, and the rows that have them.

    Args:
        first: the column.
        shown: a row of each prompt.
        rows: all rows that have one of them.
        prompt: which of them each of `rows` has.
    """

    first: int
    shown: Int[Tensor, " prompts"]
    rows: Int[Tensor, " rows"]
    prompt: Int[Tensor, " rows"]


@dataclass(eq=False)
class Rows:
    """Aligned rows, with everything that the layout fixes computed once.

    Args:
        ids: filled in as they are chosen.
        block, coordinates: as in `Batch`.
        place: the part of the model's input that does not depend on ids (`PrefixLM.place`).
        turn: the rotation of every position, as `InferenceBody` takes it.
        start: first column of every row; those before it belong to nobody.
        prefix: columns of the longest prefix.
        block_of: the block of each output column, the same in every row; meaningless inside the prefix.
        sampled: the columns to sample.
        prompts: all that stands before the first of these, each different one once.
    """

    ids: Int[Tensor, "rows columns"]
    block: Int[Tensor, "rows columns"]
    coordinates: Float[Tensor, "rows columns 3"]
    place: Float[Tensor, "rows columns dim"]
    turn: Turn
    start: Int[Tensor, " rows"]
    prefix: int
    block_of: list[int]
    sampled: list[int]
    prompts: list[Prompts]

    @classmethod
    def align(cls, model: PrefixLM, batches: list[Batch]) -> "Rows":
        """The rows of all batches, one batch below the other.

        Raises:
            ValueError: if the outputs differ in layout, or have positions that the model cannot predict.
        """
        prefix_length = torch.cat([batch.prefix_length for batch in batches])
        output_length = torch.cat([batch.length for batch in batches]) - prefix_length
        if any(len(batch.row) != len(batch) for batch in batches):
            raise ValueError("a row holds several examples; expected one a row")
        if prefix_length.min() < 1:
            raise ValueError("a row has no prefix, so nothing to predict its first position from")
        if (output_length != output_length[0]).any():
            lengths = sorted(set(output_length.tolist()))
            raise ValueError(f"the rows' outputs have {lengths} positions; expected the same in every row")
        prefix = int(prefix_length.max())
        start = prefix - prefix_length
        aligned = _gather(batches, torch.arange(prefix + int(output_length[0]), device=start.device), start)
        block, forced = aligned.block[:, prefix:], aligned.forced[:, prefix:]
        if (block != block[0]).any() or (forced != forced[0]).any():
            raise ValueError("the rows' outputs differ in blocks or forced positions; expected one layout")
        for index in block[0, ~forced[0]].unique().tolist():
            if model.blocks[index].name not in model.heads:
                raise ValueError(f"ids of block {model.blocks[index].name!r} must be forced: it has no head")
        sampled = (prefix + (~forced[0]).nonzero().squeeze(1)).tolist()
        return cls(
            ids=aligned.ids,
            block=aligned.block,
            coordinates=aligned.coordinates,
            place=model.place(aligned),
            turn=InferenceBody(model).turn(model.rotation(aligned.coordinates)),
            start=start,
            prefix=prefix,
            block_of=aligned.block[0].tolist(),
            sampled=sampled,
            prompts=_prompts(aligned, start.tolist(), sampled[0]) if sampled else [],
        )

    def rotation(self, first: int, stop: int) -> Rotation:
        """Of the columns from `first` up to `stop`, as `PrefixLM.body` takes it."""
        cosine, signed_sine = (each[:, first:stop].transpose(1, 2) for each in self.turn)
        return cosine, signed_sine

    def at_same_place(self, latents_before: Sequence[int]) -> list[int]:
        """For each column an earlier one at the same place of a grid, so many latents before; else -1.

        The first number of latents counts for which there is one. Columns are as the first row has them:
        the outputs' grids are the same in all.
        """
        columns: dict[tuple[int, float, float, float], int] = {}
        found = []
        for column, (block, (t, h, w)) in enumerate(
            zip(self.block[0].tolist(), self.coordinates[0].tolist(), strict=True)
        ):
            earlier = (columns.get((block, t - latents, h, w), -1) for latents in latents_before)
            found.append(next((source for source in earlier if source >= 0), -1))
            columns[block, t, h, w] = column
        return found

    def ids_of(self, batch: Batch) -> Int[Tensor, "batch length"]:
        """The ids of the first rows, which `batch` gave, in its own order of positions."""
        position = torch.arange(batch.ids.shape[1], device=self.ids.device)
        column = (position + self.start[: len(batch), None]).clamp(max=self.ids.shape[1] - 1)
        own = self.ids[: len(batch)].gather(1, column)
        return torch.where(position < batch.length[:, None], own, batch.ids)


def _prompts(aligned: Batch, starts: list[int], stop: int) -> list[Prompts]:
    """The different prompts before column `stop`, those that begin in the same column together."""
    # The column after them counts, too: a position is told the place of the next.
    fields_of_prompt = (aligned.ids, aligned.block, aligned.segment, aligned.coordinates)
    described = [values[:, : stop + 1].cpu().numpy() for values in fields_of_prompt]
    features = _features_by_row(aligned, len(starts))
    rows_of: dict[tuple[int, bytes], list[int]] = {}
    for row, start in enumerate(starts):
        ids, *rest = (values[row, start:] for values in described)
        key = b"".join(values.tobytes() for values in (ids[: stop - start], *rest, features[row]))
        rows_of.setdefault((start, key), []).append(row)
    made = []
    for start in sorted(set(starts)):
        alike = [rows for (first, _), rows in rows_of.items() if first == start]
        size = max(1, POSITIONS_AT_ONCE // (stop - start))
        parts = (alike[index : index + size] for index in range(0, len(alike), size))
        made += [_together(start, part, aligned.ids.device) for part in parts]
    return made


def _features_by_row(aligned: Batch, rows: int) -> list[np.ndarray]:
    """The features of each row, which all stand before its output."""
    if aligned.features is None or aligned.features_at is None:
        return [np.empty(0)] * rows
    row_of = aligned.features_at[:, 0]
    return [aligned.features[row_of == row].float().cpu().numpy() for row in range(rows)]


def _together(first: int, alike: list[list[int]], device: torch.device) -> Prompts:
    prompt = [index for index, rows in enumerate(alike) for _ in rows]
    flat = [row for rows in alike for row in rows]
    shown = [rows[0] for rows in alike]
    return Prompts(first, *(torch.tensor(values, device=device) for values in (shown, flat, prompt)))


def _gather(batches: list[Batch], columns: Int[Tensor, " columns"], start: Int[Tensor, " rows"]) -> Batch:
    """One batch in which every row begins at its `start`, after copies of its first record."""
    parts: dict[str, list[Tensor]] = {}
    features, before = [], 0
    for batch, shift in zip(batches, start.split([len(batch) for batch in batches]), strict=True):
        if batch.features is not None and batch.features_at is not None:
            own, place = batch.features_at.unbind(1)
            features.append((batch.features, torch.stack([own + before, place + shift[own]], dim=1)))
        before += len(batch)
        position = (columns - shift[:, None]).clamp(min=0)
        row = torch.arange(len(batch), device=columns.device)[:, None]
        for field in fields(batch):
            value = getattr(batch, field.name)
            if isinstance(value, Tensor) and value.dim() > 1 and field.name not in _OF_FEATURES:
                parts.setdefault(field.name, []).append(value[row, position])
    return Batch(
        **{name: torch.cat(values) for name, values in parts.items()},
        row=torch.arange(len(start), device=columns.device),
        start=torch.zeros_like(start),
        prefix_length=torch.full_like(start, len(columns)),
        length=torch.full_like(start, len(columns)),
        tasks=tuple(task for batch in batches for task in batch.tasks),
        **joined_features(features),
    )
