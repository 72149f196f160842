"""Clips to shards in one call, as `videolm encode` makes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videolm.data.sources.selection import ClipSelection
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.encode_shards import Encoded, Ranges, encode_ranges
from videolm.tasks.training_data.shard_settings import ShardSettings

_OF_SELECTION = ("where", "clips", "seed")


def encode_source(
    encoders: ClipEncoder | Sequence[ClipEncoder], source: str, out: Path, num_workers: int = 0, **more: Any
) -> Encoded:
    """Write the codes of a source.

    Args:
        more: fields of `ClipSelection` and `ShardSettings`.
    """
    encoders = [encoders] if isinstance(encoders, ClipEncoder) else encoders
    chosen = {name: more.pop(name) for name in _OF_SELECTION if name in more}
    selection = ClipSelection(source, **{"split": "train"} | chosen)
    return encode_ranges(Ranges(encoders, selection, out, ShardSettings(**more)), num_workers)
