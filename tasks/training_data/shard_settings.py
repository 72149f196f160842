"""How clips become shards: one record for `videolm encode` and for the code behind it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ShardSettings:
    """How the entries of a source are cut, sized and put together.

    Args:
        windows: clips cut from one file, at most; all that it holds if not given, or 0.
        buckets: in place of height, width and num_frames several sizes, such as
            17x128x128,17x224x128,1x128x128; each file goes to the longest that it fills, of the nearest
            aspect ratio, and each size gets a folder of its own in --out. `videolm lm fit` learns from all of
            them; the first size that has clips is the default of the model.
        batch_size: clips that go through the tokenizers together.
        shard_size: clips of a shard, about; windows of a long file may stand in several.
        probe_cache: folder that keeps what headers of files say; $XDG_CACHE_HOME/videolm if not given.

    Raises:
        ValueError: if batch_size or shard_size is below 1, or windows below 0.
    """

    windows: int | None = None
    buckets: str | None = None
    batch_size: int = 32
    shard_size: int = 512
    probe_cache: Path | None = None

    def __post_init__(self) -> None:
        if self.windows is not None and self.windows < 0:
            raise ValueError(f"windows is {self.windows}; expected 1 or more, or 0 for all")
        for name in ("batch_size", "shard_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
