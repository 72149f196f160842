"""Embeddings of all captions of some shards, made in batches before a training: the work of `videolm embed`.

One caption at a time in each worker of a training is slow, and on a CPU with a large T5 far too slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...data.codes.bucketed_shards import read_shards
from ...data.runtime.device import device_of
from ...data.runtime.progress import progress
from ...tokenizers.text.frozen_encoder import TextEncoder
from ...tokenizers.text.kept_embeddings import write_packs
from ..text_budget import TextBudget
from .clip_pools import texts
from .coded_clips import SizedClips

_COUNTED = 10_000  # captions that decide how many pieces are read


@dataclass(frozen=True)
class Embedded:
    """The outcome.

    Args:
        texts: different captions of the shards.
        new: of these, which were not kept yet.
        budget: pieces that are read of each.
    """

    texts: int
    new: int
    budget: TextBudget


def embed_captions(
    shards: str, source: str, out: Path, pieces: int | None, batch_size: int, device: str
) -> Embedded:
    """Keep the embeddings of all captions; what is kept already is not made again.

    Args:
        shards: of `videolm encode`.
        source: folder of a T5 or its name on Hugging Face's hub.
        out: folder of the embeddings, for `data.text_cache`.
        pieces: of a caption that are read; as many as 98 % of the captions have if not given.
        batch_size: captions that are read together.

    Raises:
        FileNotFoundError, ValueError: if there are no shards, no captions or no encoder.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected 1 or more")
    clips = SizedClips(read_shards(shards))
    found = {text: None for index in range(len(clips)) for text in texts(clips, index) if text.strip()}
    if not found:
        raise ValueError(f"no clip of {shards} has a caption")
    encoder = TextEncoder.open(source, out).to(device_of(device))
    some = list(found)[:: len(found) // _COUNTED + 1]
    budget = TextBudget.of_captions([encoder.count(text) for text in some], pieces)
    missing = [text for text in found if encoder.kept.get(text, budget.pieces) is None]
    missing.sort(key=len)  # those of about one length are read together

    def encode(part: Sequence[str]) -> list[Tensor]:
        starts = range(0, len(part), batch_size)
        batches = (encoder.encode_batch(part[start : start + batch_size], budget.pieces) for start in starts)
        return [each for batch in batches for each in batch]

    with progress("embed", len(missing)) as report:
        for done in write_packs(encoder.packs, missing, encode, budget.pieces):
            report(done)
    return Embedded(len(found), len(missing), budget)
