"""The way back before a language model is trained: its sequences as pictures, beside their clips.

    RUN/training/lm/samples/round-trip.png     a few training sequences, unpacked by the layout and decoded by
                                               the tokenizer; above each the original, where it can be had

Codes of another tokenizer, or in another order, train as well as the right ones and never make a picture.
Here they are seen before the first step: as an error where codes are out of range or come back otherwise, as
a low PSNR, or in the picture.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from ...data.codes.shards import ShardReader
from ...data.loading.clip_sources import FileSource, open_source
from ...data.loading.probes import Probes
from ...data.media.contact_sheet import sheet
from ...data.media.pixels import frames_from_pixels
from ...data.media.psnr import psnr
from ...data.media.streams import MediaError
from ...data.runtime.confinement import is_confined
from ...data.runtime.files import replacing
from ...data.sources.entry import Entry
from ...data.synthetic.corpus import is_corpus
from .coded_clips import CodedFiles, LiveCorpus, SizedClips
from .lm_datamodule import LMDataModule
from .mixture import Draw

_CLIPS = 4
_NAME = "round-trip.png"

Frames = UInt8[Tensor, "frames height width 3"]


@dataclass(frozen=True, eq=False)
class Returned:
    """A clip after the way back.

    Args:
        name: of its task and source.
        frames: decoded.
        original: as many frames of the clip; None if it cannot be had.
    """

    name: str
    frames: Frames
    original: Frames | None

    @property
    def psnr_db(self) -> float | None:
        """Of the decoded frames, on average."""
        return None if self.original is None else float(psnr(self.original, self.frames).mean())

    @property
    def flat_psnr_db(self) -> float | None:
        """Of frames of nothing but the clip's mean colour."""
        if self.original is None:
            return None
        flat = self.original.float().mean((0, 1, 2)).round().to(torch.uint8).expand_as(self.original)
        return float(psnr(self.original, flat).mean())


class RoundTrip(Callback):
    """Writes the picture and says the PSNR before the first step of a run, whose draws it leaves alone."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > 0:
            return
        problem = None
        if trainer.is_global_zero:
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            try:
                with isolate_rng():
                    returned = round_trip(data)
                _report(returned, trainer)
            except ValueError as error:
                problem = str(error)
        if (problem := trainer.strategy.broadcast(problem)) is not None:
            raise ValueError(problem)


def round_trip(data: LMDataModule) -> list[Returned]:
    """A few training sequences, of other clips and by turns of all tasks with frames, as frames again.

    Raises:
        ValueError: if codes do not come back as they were, or the tokenizer does not know them.
    """
    tasks = {task.name: task for task in data.mixture.tasks if "visual" in task.parts}
    pools = [(tasks[name], size, pool) for (name, size), pool in data.pools.of.items() if name in tasks]
    found: dict[int, Returned] = {}
    for number in range(_CLIPS if pools else 0):
        task, size, pool = pools[number % len(pools)]
        index = int(pool[number % len(pool)])
        if index in found:
            continue
        draw = Draw(task, 1 if task.has_given else None, size)
        codes, source = _codes_back(data, draw, index), data.clips.source_of(index)
        if codes is not None:
            frames, original = _decoded(data, codes, source), original_of(data.clips, index)
            original = None if original is None else original[: len(frames)]
            found[index] = Returned(f"{task.name}: {source}", frames, original)
    return list(found.values())


def _codes_back(data: LMDataModule, draw: Draw, index: int) -> Int[Tensor, "t h w"] | None:
    """The codes that the sequence of a clip holds; None if it holds none of the clip's own frames."""
    clip, maker = data.clips[index], data.maker
    try:
        layout = maker.layout(draw, 0, clip)
        codes = layout.unpack(maker.example(draw, clip, None).ids).get("visual")
    except ValueError as error:
        raise ValueError(f"the codes of {clip.source} do not fit the tokenizers: {error}") from error
    if codes is not None and not torch.equal(codes, clip.codes["visual"][: len(codes)]):
        raise ValueError(f"task {draw.task.name} does not give the codes of {clip.source} back as they were")
    return codes


@torch.no_grad()
def _decoded(data: LMDataModule, codes: Int[Tensor, "t h w"], source: str) -> Frames:
    tokenizer = data.encoder.video
    pixels = tokenizer.decode(codes[None].to(next(tokenizer.parameters()).device))
    if not pixels.isfinite().all():
        raise ValueError(f"the tokenizer decodes {source} to frames that are non-finite")
    return frames_from_pixels(pixels)[0].cpu()


def original_of(clips: SizedClips, index: int) -> Frames | None:
    """The frames that a clip was coded from; None if they cannot be had any more."""
    part, own = clips.place_of(index)
    try:
        if isinstance(part, LiveCorpus | CodedFiles):
            return part.original(own)
        return _read_again(part, own) if isinstance(part, ShardReader) else None
    except (MediaError, OSError, ValueError):
        return None  # a source that has moved, or was changed since


def _read_again(part: ShardReader, own: int) -> Frames | None:
    """A clip of the embedded corpus, or the first window of a file; later windows are not looked for."""
    source, name = str(part.source.get("source", "")), part.source_of(own)
    if is_corpus(source, {}):
        number = int(name.rpartition("/")[2])
        split, seed = part.source.get("split", "train"), part.source.get("seed", 0)
        corpus = open_source(part.clips, source, count=number + 1, split=split, seed=seed)
        return corpus[number].clips[0].frames
    is_first = own == 0 or part.source_of(own - 1) != name
    match = re.fullmatch(r"(.+?)(?:@([\d.e+-]+))?", name)
    path = Path(name) if match is None or Path(name).is_file() else Path(match[1])
    if not is_first or is_confined() or not path.is_file():
        return None
    start = None if match is None or str(path) == name or match[2] is None else float(match[2])
    entry = Entry(path, start=start)
    clips = FileSource(part.clips, [entry], 1, {}, Probes([entry], str(path.parent), None))[0].clips
    return clips[0].frames if clips else None


def _report(returned: list[Returned], trainer: Trainer) -> None:
    if not returned:
        return
    rows: list[tuple[Frames, str]] = []
    for each in returned:
        if each.original is None:
            rows.append((each.frames, f"{each.name}, decoded (the original cannot be had)"))
        else:
            rows += [(each.original, each.name), (each.frames, f"decoded: PSNR {each.psnr_db:.1f} dB")]
    path = Path(trainer.default_root_dir) / "samples" / _NAME
    with replacing(path) as temporary:
        sheet(rows).save(temporary)
    for line in said(returned, path):
        print(f"lm: {line}", flush=True)
    known = [each.psnr_db for each in returned if each.psnr_db is not None]
    if known:
        for logger in trainer.loggers:
            logger.log_metrics({"round_trip/psnr_db": sum(known) / len(known)}, step=0)


def said(returned: list[Returned], path: Path) -> list[str]:
    """What the way back has shown."""
    pairs = [(each.psnr_db, each.flat_psnr_db) for each in returned]
    known = [(own, flat) for own, flat in pairs if own is not None and flat is not None]
    if not known:
        return [f"sequences decoded to frames: {len(returned)}; the originals cannot be had: look at {path}"]
    own, flat = (sum(values) / len(known) for values in zip(*known, strict=True))
    lines = [f"sequences decoded to frames: {len(known)}, PSNR {own:.1f} dB; beside their clips in {path}"]
    if own < flat:
        lines.append(
            f"that is below the {flat:.1f} dB of a single colour: these are not the clips' codes, or the "
            "tokenizer is not trained"
        )
    return lines
