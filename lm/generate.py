"""Generation: ids for the positions of a layout that are not given.

    generate -> Rows      rows side by side, their prefixes ending in the same column
             -> Decoder   one pass over the columns whose ids are known (prompts first, then the last chosen)
             -> choose    an id for every row, digit by digit, inside the block allowed there
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .batch import Batch
from .decoder import Decoder
from .heads import Head
from .rows import Rows
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
    for count in _decide(model, rows, sampling, generators):
        if progress is not None:
            progress(count, len(rows.sampled))
    return rows.ids_of(batches[0].to(device))


@torch.inference_mode()
def _decide(
    model: PrefixLM, rows: Rows, sampling: Sampling, generators: list[torch.Generator]
) -> Iterator[int]:
    """Fill in one column after the other; how many are filled."""
    decoder = Decoder(model, rows)
    digits = max(len(block.factors) for block in model.blocks)
    chance = uniforms(generators, len(rows.sampled), digits).to(rows.ids.device)
    for count, (column, numbers) in enumerate(zip(rows.sampled, chance.unbind(1), strict=True), start=1):
        hidden = decoder.read(column)[:, -1]
        block = model.blocks[rows.block_of[column]]
        chosen = choose(model.heads[block.name], block, hidden, numbers, sampling)
        rows.ids[:, column] = chosen.repeat(len(rows.ids) // len(chosen))
        yield count


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
