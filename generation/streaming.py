"""Streaming: frames are decoded as soon as their codes are generated.

Codes are generated latent by latent and the video tokenizer decodes causally, so the first of 17 frames is
there after a fifth of the work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

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
        tokenizer = self.codec.video_tokenizer
        assert isinstance(tokenizer, StreamingVideoCodec)
        stream, needed = tokenizer.decoder_stream(), positions_needed(self.row.layout)
        shown = frames = 0
        for count in self.generation:
            ready = sum(last <= count for last in needed)
            if ready > shown:
                codes = self.codes["visual"][None, shown:ready]
                made = frames_from_pixels(stream.push(codes.to(self.generation.ids.device)))[0].cpu()
                yield self._as_given(Clip(made, self.codec.config.clips.fps), frames)
                shown, frames = ready, frames + len(made)

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
