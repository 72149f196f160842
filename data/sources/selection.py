"""Which clips of a source, and at what size: one record for every command and function that reads clips,
and the conditions by which entries are selected."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClipSelection:
    """Which clips, at what size.

    Args:
        source: "synthetic", "synthetic-plain" or "synthetic-lasting" (the embedded corpus), a folder of clips
            (with a captions.jsonl or metadata.csv), a list (.jsonl, .json, .csv, .tsv, .txt, .parquet), tars
            or hf:NAME@SPLIT.
        where: key=value: only entries that have it; may be repeated.
        clips: how many, at most; of files those that training holds out.
        split: of the embedded corpus: train, triples or pairs (combinations held out of training), or all. Of
            files all stands for any, also those that training does not hold out.
        height: of the frames; files are resized and cropped.
        width: of the frames.
        num_frames: per clip.
        fps: frames per second; files are converted.
        seed: of the embedded corpus: another seed, other clips.
    """

    source: str
    where: Sequence[str] = ()
    clips: int = 32
    split: str = "triples"
    height: int = 64
    width: int = 64
    num_frames: int = 9
    fps: float = 8.0
    seed: int = 0


def conditions(where: Sequence[str]) -> dict[str, str]:
    """["group=a", …] as a dict.

    Raises:
        ValueError: if one is not key=value.
    """
    pairs = [condition.partition("=") for condition in where]
    for condition, (key, equals, _) in zip(where, pairs, strict=True):
        if not (key and equals):
            raise ValueError(f"where is {condition!r}; expected key=value")
    return {key: value for key, _, value in pairs}
