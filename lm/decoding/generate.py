"""Generation: ids for the positions of a layout that are not given.

    generate -> Rows      rows side by side, their prefixes ending in the same column
             -> Decoder   one pass over the columns whose ids are known (prompts first, then the last chosen)
             -> Chooser   an id for every row, digit by digit, inside the block allowed there
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from ..batch import Batch
from ..model.transformer import PrefixLM
from .choice import Chooser
from .compiled import CompiledDecoder
from .decoder import Decoder
from .graphs import decide_by_graphs
from .jacobi import decide_in_parallel
from .rows import Rows
from .sampling import DrawSettings


def generate(
    model: PrefixLM,
    batch: Batch,
    settings: DrawSettings,
    generators: list[torch.Generator],
    unconditional: Batch | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Int[Tensor, "batch length"]:
    """The ids of `batch` with every position sampled that is neither in the prefix nor forced.

    Args:
        progress: called after each pass with (positions sampled, positions to sample).

    Raises:
        ValueError: as `Generation`, whose arguments the others are.
    """
    generation = Generation(model, batch, settings, generators, unconditional)
    for count in generation:
        if progress is not None:
            progress(count, generation.total)
    return generation.ids


class Generation:
    """Ids as they are chosen: iterating gives how many positions are sampled after each pass.

    Args:
        batch: rows whose outputs have the same layout; their prefixes may differ.
        generators: one for every row, whose ids depend on it and on the row alone.
        unconditional: the same rows without that from which guidance leads away; may be left out if
            guidance_scale is 1.

    Raises:
        ValueError: if the outputs differ in layout, or generators or unconditional rows are lacking.
    """

    def __init__(
        self,
        model: PrefixLM,
        batch: Batch,
        settings: DrawSettings,
        generators: list[torch.Generator],
        unconditional: Batch | None = None,
    ):
        if len(generators) != len(batch):
            raise ValueError(f"{len(generators)} generators for {len(batch)} rows; expected one for each")
        batches = [batch]
        if settings.guidance_scale != 1:
            if unconditional is None or len(unconditional) != len(batch):
                raise ValueError(
                    f"guidance_scale {settings.guidance_scale} needs an unconditional row for every row"
                )
            batches.append(unconditional)
        device = next(model.parameters()).device
        self.settings, self.batch = settings, batch.to(device)
        with torch.no_grad():
            self.rows = Rows.align(model, [given.to(device) for given in batches])
            # On CUDA a position is recorded, around a plain decoder.
            is_compiled = settings.decoding == "compiled" and device.type != "cuda"
            decoder = CompiledDecoder if is_compiled else Decoder
            self.decoder = decoder(model, self.rows)
            self.chooser = Chooser(self.decoder, settings, generators)

    @property
    def total(self) -> int:
        """Positions to sample."""
        return len(self.rows.sampled)

    @property
    def ids(self) -> Int[Tensor, "batch length"]:
        """The batch's ids; positions not sampled yet hold what the batch has there, or guesses."""
        return self.rows.ids_of(self.batch)

    def give(self, positions: Int[Tensor, " given"], ids: Int[Tensor, "batch given"]) -> None:
        """Set ids of forced positions that were not known at the start.

        Args:
            positions: counted from the first one behind the prefix.

        Raises:
            ValueError: if one of them was read already, or is to be sampled.
        """
        columns = positions.to(self.rows.ids.device) + self.rows.prefix
        if len(columns) and int(columns.min()) < self.decoder.cache.length:
            raise ValueError("an id of a position that was read already cannot be given any more")
        if torch.isin(columns, self.chooser.columns).any():
            raise ValueError("only ids of forced positions can be given")
        self.rows.ids[:, columns] = ids.to(columns.device).repeat(len(self.rows.ids) // len(ids), 1)

    def __iter__(self) -> Iterator[int]:
        if self.settings.decoding == "jacobi":
            return decide_in_parallel(self.decoder, self.chooser, self.settings.window)
        if self.settings.decoding == "compiled" and self.rows.ids.is_cuda:
            return decide_by_graphs(self.decoder, self.chooser)
        return decide_one_by_one(self.chooser)


@torch.inference_mode()
def decide_one_by_one(chooser: Chooser) -> Iterator[int]:
    """Fill in one column to sample after the other; after each how many are filled."""
    for index in range(len(chooser.rows.sampled)):
        chooser.fill(index)
        yield index + 1
