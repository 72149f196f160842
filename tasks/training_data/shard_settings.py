"""How clips become shards: one record for `videolm encode` and for the code behind it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShardSettings:
    """How the entries of a source are cut, sized and put together.

    Args:
        windows: clips cut from one file, at most.
        buckets: in place of height, width and num_frames several sizes, such as
            17x128x128,17x224x128,1x128x128; each file goes to the longest that it fills, of the nearest
            aspect ratio, and each size gets a folder of its own in --out. `videolm lm fit` learns from all of
            them; the first size that has clips is the default of the model.
        batch_size: files that go through the tokenizers together.
        shard_size: files of a shard.

    Raises:
        ValueError: if batch_size or shard_size is below 1.
    """

    windows: int = 1
    buckets: str | None = None
    batch_size: int = 32
    shard_size: int = 512

    def __post_init__(self) -> None:
        for name in ("batch_size", "shard_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
