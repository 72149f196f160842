"""Rows that are generated together, and how far their generation is."""

from collections.abc import Callable, Sequence

from ..lm.batch import Batch
from ..lm.decoding.sampling import DrawSettings
from .prompt_rows import Row


def batches_of(rows: Sequence[Row], settings: DrawSettings) -> tuple[Batch, Batch | None]:
    """The rows to generate and, with guidance, those that it leads away from."""
    batch = Batch.collate([row.layout.blank(row.parts) for row in rows])
    if settings.guidance_scale == 1:
        return batch, None
    return batch, Batch.collate([layout.blank(parts) for layout, parts in (row.unguided for row in rows)])


def part_of(
    progress: Callable[[float], None] | None, before: int, count: int
) -> Callable[[int, int], None] | None:
    """Report positions of a batch as clips done."""
    if progress is None:
        return None
    return lambda sampled, total: progress(before + count * sampled / total)
