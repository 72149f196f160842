"""Generation: ids for the positions of a layout that are not given.

    generate -> Rows      rows side by side, their prefixes ending in the same column
             -> Decoder   one pass over the columns whose ids are known (prompts first, then the last chosen)
             -> Chooser   an id for every row, digit by digit, inside the block allowed there
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from .batch import Batch
from .choice import Chooser
from .decoder import Decoder
from .jacobi import decide_in_parallel
from .rows import Rows
from .sampling import Sampling
from .transformer import PrefixLM


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
        progress: called after each pass with (positions sampled, positions to sample).

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
    """Fill in the columns to sample; after each pass how many are filled."""
    decoder = Decoder(model, rows)
    chooser = Chooser(decoder, sampling, generators)
    if sampling.decoding == "jacobi":
        yield from decide_in_parallel(decoder, chooser, sampling.window)
        return
    for index, column in enumerate(rows.sampled):
        chosen = chooser(decoder.read(column), index)
        rows.ids[:, column] = chosen.squeeze(1).repeat(len(rows.ids) // len(chosen))
        yield index + 1
