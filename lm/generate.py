"""Generation: ids for the positions of a layout that are not given.

    generate -> align     rows side by side, their prefixes ending in the same column
             -> read      one pass over the columns whose ids are known (prefill, then decode)
             -> choose    an id for every row, digit by digit, inside the block allowed there

            prefix, aligned at its end     | output, the same layout in every row
    row 0   .   .   bos  task  text  text  | bov  v  v  v  v  eov  eos
    row 1   bos task text text text  text  | bov  v  v  v  v  eov  eos
            first pass -------------------------> then one column at a time

The whole prefix and the forced positions that open the output are read in one pass; after that a pass reads
the id just chosen and any forced ones after it. With guidance the unconditional rows stand below the
conditional ones in the same batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .batch import Batch
from .cache import KVCache
from .heads import Head
from .sampling import Sampling, draw, guided, uniforms
from .transformer import PrefixLM
from .vocabulary import Block


@torch.no_grad()
def generate(
    model: PrefixLM,
    batch: Batch,
    sampling: Sampling,
    generators: list[torch.Generator],
    unconditional: Batch | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Int[Tensor, "batch length"]:
    """The ids of `batch` with every position sampled that is neither in the prefix nor forced.

    Args:
        batch: rows whose outputs have the same layout; their prefixes may differ.
        generators: one for every row, whose ids depend on it and on the row alone.
        unconditional: the same rows without that from which guidance leads away; may be left out if
            guidance_scale is 1.
        progress: called after each position with (positions sampled, positions to sample).

    Raises:
        ValueError: if the outputs differ in layout, or generators or unconditional rows are lacking.
    """
    if len(generators) != len(batch):
        raise ValueError(f"{len(generators)} generators for {len(batch)} rows; expected one for each")
    batches = [batch]
    if sampling.guidance_scale != 1:
        if unconditional is None or len(unconditional) != len(batch):
            raise ValueError(
                f"guidance_scale {sampling.guidance_scale} needs an unconditional row for every row"
            )
        batches.append(unconditional)
    device = next(model.parameters()).device
    rows = Rows.align(model, [given.to(device) for given in batches])
    cache = KVCache(len(model.layers), capacity=max(rows.sampled, default=0))
    digits = max(len(block.factors) for block in model.blocks)
    chance = uniforms(generators, len(rows.sampled), digits).to(device)
    for count, (column, numbers) in enumerate(zip(rows.sampled, chance.unbind(1), strict=True), start=1):
        hidden = read(model, rows, cache, column)
        block = model.blocks[rows.block_of[column]]
        chosen = choose(model.heads[block.name], block, hidden, numbers, sampling)
        rows.ids[:, column] = chosen.repeat(len(batches))
        if progress is not None:
            progress(count, len(rows.sampled))
    return rows.ids_of(batches[0].to(device))


@dataclass(eq=False)
class Rows:
    """Rows aligned at the end of their prefixes, with all that the layout fixes computed once.

    Args:
        ids: filled in as they are chosen.
        block: index into the vocabulary's blocks of every position.
        place: the part of the model's input that does not depend on ids.
        rotation: cosines and sines of every position.
        start: first column of every row; those before it belong to nobody.
        prefix: columns of the longest prefix.
        is_ragged: whether prefixes differ in length.
        block_of: the block of each output column, the same in every row; meaningless inside the prefix.
        sampled: the columns to sample.
    """

    ids: Int[Tensor, "rows columns"]
    block: Int[Tensor, "rows columns"]
    place: Float[Tensor, "rows columns dim"]
    rotation: tuple[Float[Tensor, "rows 1 columns waves"], Float[Tensor, "rows 1 columns waves"]]
    start: Int[Tensor, " rows"]
    prefix: int
    is_ragged: bool
    block_of: list[int]
    sampled: list[int]

    @classmethod
    def align(cls, model: PrefixLM, batches: list[Batch]) -> "Rows":
        """The rows of all batches, one batch below the other."""
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
        return cls(
            ids=aligned.ids,
            block=aligned.block,
            place=model.place(aligned),
            rotation=model.rotation(aligned.coordinates),
            start=start,
            prefix=prefix,
            is_ragged=bool(start.any()),
            block_of=aligned.block[0].tolist(),
            sampled=(prefix + (~forced[0]).nonzero().squeeze(1)).tolist(),
        )

    def visible(self, first: int, stop: int) -> Bool[Tensor, "rows 1 queries {stop}"] | None:
        """Which of the first `stop` columns each column from `first` on may see; None: all of them."""
        if stop - first == 1 and not self.is_ragged:
            return None
        column = torch.arange(stop, device=self.start.device)
        query = column[first:, None]
        seen = (column <= query) | ((column < self.prefix) & (query < self.prefix))
        seen = seen & (column >= self.start[:, None, None])
        # A column before its row sees itself, as a softmax over nothing is not a number.
        return (seen | (column == query))[:, None]

    def ids_of(self, batch: Batch) -> Int[Tensor, "batch length"]:
        """The ids of the first rows, which `batch` gave, in its own order of positions."""
        position = torch.arange(batch.ids.shape[1], device=self.ids.device)
        column = (position + self.start[: len(batch), None]).clamp(max=self.ids.shape[1] - 1)
        own = self.ids[: len(batch)].gather(1, column)
        return torch.where(position < batch.length[:, None], own, batch.ids)


def read(model: PrefixLM, rows: Rows, cache: KVCache, stop: int) -> Float[Tensor, "rows dim"]:
    """Read all columns before `stop` that the cache does not hold yet; the hidden state of the last."""
    first = cache.length
    ids = rows.ids[:, first:stop]
    if first >= rows.prefix and stop - first == 1:
        embedded = model.tokens.of_block(rows.block_of[first], ids)
    else:
        embedded = model.tokens(ids, rows.block[:, first:stop])
    cosine, sine = rows.rotation
    cache.advance(stop - first, rows.visible(first, stop))
    hidden = model.body(
        embedded + rows.place[:, first:stop],
        (cosine[:, :, first:stop], sine[:, :, first:stop]),
        cache.attend,
    )
    return hidden[:, -1]


def choose(
    head: Head,
    block: Block,
    hidden: Float[Tensor, "rows dim"],
    chance: Float[Tensor, "chosen digits"],
    sampling: Sampling,
) -> Int[Tensor, " chosen"]:
    """An id of the block for every row of `chance`, digit by digit.

    Args:
        hidden: the conditional rows and, with guidance, as many unconditional ones below.
    """
    copies = len(hidden) // len(chance)
    digits: list[Tensor] = []
    for k in range(len(block.factors)):
        logits = head.logits(hidden, [digit.repeat(copies) for digit in digits])
        if copies == 2:
            logits = guided(logits, sampling.guidance_scale)
        digits.append(draw(logits, chance[:, k], sampling))
    return block.start + block.join(digits)


def _gather(batches: list[Batch], columns: Int[Tensor, " columns"], start: Int[Tensor, " rows"]) -> Batch:
    """One batch in which every row begins at its `start`, after copies of its first record."""
    parts: dict[str, list[Tensor]] = {}
    for batch, shift in zip(batches, start.split([len(batch) for batch in batches]), strict=True):
        position = (columns - shift[:, None]).clamp(min=0)
        row = torch.arange(len(batch), device=columns.device)[:, None]
        for field in fields(batch):
            value = getattr(batch, field.name)
            if isinstance(value, Tensor) and value.dim() > 1:
                parts.setdefault(field.name, []).append(value[row, position])
    return Batch(
        **{name: torch.cat(values) for name, values in parts.items()},
        row=torch.arange(len(start), device=columns.device),
        start=torch.zeros_like(start),
        prefix_length=torch.full_like(start, len(columns)),
        length=torch.full_like(start, len(columns)),
        tasks=tuple(task for batch in batches for task in batch.tasks),
    )
