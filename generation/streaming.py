"""Streaming: frames are decoded as soon as their codes are generated.

Codes are generated latent by latent and the video tokenizer decodes causally, so the first of 17 frames is
there after a fifth of the work.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from ..data.media.clip import Clip, write_clip
from ..data.media.pixels import frames_from_pixels
from ..lm.decoding.generate import Generation
from ..tasks.layout import Layout
from ..tasks.task import Task
from ..tokenizers.video.protocol import StreamingVideoCodec
from .clip_codec import ClipCodec, Codes
from .prompt_rows import Row, composited, with_given


@dataclass(frozen=True, eq=False)
class ClipStream:
    """A clip that is being generated: iterate to get its frames in parts, then `finished` is the whole.

    Args:
        row: the prompt; `generation` generates its ids, in a batch of one.
        codec: of the model.
        caption: of the clip.
        composite: as in `VideoLM.generate`.

    Raises:
        ValueError: if the task makes no frames, or the video tokenizer cannot decode in parts.
    """

    task: Task
    row: Row
    generation: Generation
    codec: ClipCodec
    caption: str | None
    composite: bool

    def __post_init__(self) -> None:
        if not any(portion.kind == "visual" for portion in self.task.outputs):
            raise ValueError(f"task {self.task.name} makes no frames that could be shown before it is done")
        tokenizer = self.codec.video_tokenizer
        if not isinstance(tokenizer, StreamingVideoCodec):
            raise ValueError(f"{type(tokenizer).__name__} cannot decode a clip in parts")

    def __iter__(self) -> Iterator[Clip]:
        """The frames of one or more latents at a time, without sound."""
        frames = _Frames(self.task, self.row, self.codec, self.composite)
        for count in self.generation:
            if frames.are_ready(count):
                yield frames.after(count, self.generation.ids[0])

    @property
    def codes(self) -> Codes:
        """All parts of the sequence; codes that are not sampled yet have no meaning."""
        return self.row.layout.unpack(self.generation.ids[0].cpu())

    @property
    def finished(self) -> Clip:
        """The whole clip with its sound, as `VideoLM.generate` gives it."""
        kinds = {portion.kind for portion in self.task.outputs}
        (made,) = self.codec.decode([{name: codes for name, codes in self.codes.items() if name in kinds}])
        return replace(with_given(made, self.row, self.task, self.composite), caption=self.caption)


class _Frames:
    """The frames of a row, decoded latent by latent as its ids are there."""

    def __init__(self, task: Task, row: Row, codec: ClipCodec, composite: bool):
        tokenizer = codec.video_tokenizer
        assert isinstance(tokenizer, StreamingVideoCodec)
        self.task, self.row, self.composite = task, row, composite
        self.stream, self.needed = tokenizer.decoder_stream(), positions_needed(row.layout)
        self.fps = codec.config.clips.fps
        self.num_latents = self.num_frames = 0

    def are_ready(self, count: int) -> bool:
        """Whether there are more after so many positions have been sampled."""
        return self._latents(count) > self.num_latents

    def after(self, count: int, ids: Int[Tensor, " length"]) -> Clip:
        """Those that were not there before, with what was given in their place."""
        ready = self._latents(count)
        codes = self.row.layout.unpack(ids[: len(self.row.layout)].cpu())["visual"]
        latents = codes[None, self.num_latents : ready].to(ids.device)
        made = frames_from_pixels(self.stream.push(latents))[0].cpu()
        clip = self._as_given(Clip(made, self.fps), self.num_frames)
        self.num_latents, self.num_frames = ready, self.num_frames + len(made)
        return clip

    def _latents(self, count: int) -> int:
        return sum(last <= count for last in self.needed)

    def _as_given(self, made: Clip, first: int) -> Clip:
        """Frames from the one of number `first` on, with what was given in its place."""
        given, stop = self.row.given, first + made.num_frames
        if given is None or "audio" in self.task.needs:
            return made
        if self.row.known is None:
            kept = given.frames[first:stop]
            return replace(made, frames=torch.cat([kept, made.frames[len(kept) :]]))
        if not self.composite:
            return made
        return composited(made, given.window(first, made.num_frames), self.row.known[first:stop])


class Preview:
    """The frames of a batch while it is generated: call it after each pass.

    Args:
        rows: of the batch.
        numbers: of the rows, for `show`.
        show: called with the number of a row and frames of it that were not there before, without sound.

    A task without frames, or a video tokenizer that cannot decode in parts, has none to show.
    """

    def __init__(
        self,
        task: Task,
        rows: Sequence[Row],
        numbers: Sequence[int],
        codec: ClipCodec,
        composite: bool,
        show: Callable[[int, Clip], object],
    ):
        has_frames = any(portion.kind == "visual" for portion in task.outputs)
        can_stream = isinstance(codec.video_tokenizer, StreamingVideoCodec)
        shown = rows if has_frames and can_stream else ()
        self.frames = [_Frames(task, row, codec, composite) for row in shown]
        self.numbers, self.show = numbers, show

    def __call__(self, count: int, generation: Generation) -> None:
        """Show what is ready after so many positions have been sampled."""
        if not self.frames or not self.frames[0].are_ready(count):  # rows of a batch have one layout
            return
        for number, frames, ids in zip(self.numbers, self.frames, generation.ids, strict=True):
            self.show(number, frames.after(count, ids))


def ids_of(
    generation: Generation, progress: Callable[[int, int], object] | None, preview: Preview | None
) -> Int[Tensor, "batch length"]:
    """The ids of a generation, when all are sampled.

    Args:
        progress: called after each pass with the positions sampled, and those in all.
    """
    for count in generation:
        if progress is not None:
            progress(count, generation.total)
        if preview is not None:
            preview(count, generation)
    return generation.ids


def positions_needed(layout: Layout) -> list[int]:
    """For each latent of the clip how many positions have been sampled when its last code is there.

    It is 0 for latents that are given.
    """
    output = slice(layout.prefix_length, None)
    sampled = (~layout.forced[output]).cumsum(0)
    visual = layout.block[output] == layout.vocabulary.index("visual")
    time = layout.coordinates[output, 0]
    counts = (sampled[visual & (time == t)] for t in range(layout.shapes["visual"][0]))
    return [int(count.max()) if len(count) else 0 for count in counts]


def write_preview(stream: ClipStream, path: Path, report: Callable[[float], object]) -> None:
    """Write the frames so far to `path` each time there are more.

    Args:
        report: called with the number of latents shown, as a share of all.
    """
    frames: list[torch.Tensor] = []
    total = len(positions_needed(stream.row.layout))
    for done, part in enumerate(stream, start=1):
        frames.append(part.frames)
        write_clip(replace(part, frames=torch.cat(frames)), path)
        report(done / total)
