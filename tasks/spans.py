"""The spans of a sequence, from left to right: what `Layout` is made of."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..data.codes.clip_format import ClipFormat
from ..lm.vocabulary import Vocabulary, audio_block
from .task import Portion, Task

AudioOrder = Literal["level", "time"]


@dataclass(frozen=True)
class Lengths:
    """The sizes on which a layout depends.

    Args:
        t, h, w: the latent grid.
        audio_levels: codes per audio latent; 0 without sound.
        audio_frames: audio latents of the clip.
        audio_step: time between audio latents in units of video latents (`data.timing.audio_step`).
        audio_order: "level" has all codes of the lowest level first (Kondratyuk et al. 2024,
            arXiv:2312.14125, section 3.1), "time" all levels of the first latent.
        audio_ends: audio latents within the first 1, 2, … t video latents; for tasks that divide the sound.
        text: pieces of text; 0 leaves the text out.
        text_width: features of each, where text comes as embeddings (at `<text>` ids); 0 for ids of pieces.
        given: latents that a task with given ones begins with; None is half of them, rounded up.
        resolution: rows and columns of the grid (height / 8 and width / 8 with VideoPoet's tokenizer), if
            they are not the model's default.
        duration: latents, if not the default.
        rate: frames per second, if not the default.
        source: name of the data set or class of quality, a token of the vocabulary; empty leaves it out.
    """

    t: int
    h: int
    w: int
    audio_levels: int = 0
    audio_frames: int = 0
    audio_step: float = 0.0
    audio_order: AudioOrder = "level"
    audio_ends: tuple[int, ...] = ()
    text: int = 0
    given: int | None = None
    resolution: tuple[int, int] | None = None
    duration: int | None = None
    rate: int | None = None
    source: str = ""
    text_width: int = 0

    @classmethod
    def of_format(
        cls, clips: ClipFormat, audio_order: AudioOrder, default: ClipFormat | None = None
    ) -> "Lengths":
        """The lengths of clips without text.

        Args:
            default: the model's default, which is not told in the sequence; None if it is these clips'.
        """
        (t, *resolution), (usual_t, *usual_resolution) = clips.grid, (default or clips).grid
        return cls(
            *clips.grid,
            resolution=None if resolution == usual_resolution else (resolution[0], resolution[1]),
            duration=None if t == usual_t else t,
            audio_levels=len(clips.codebook_sizes),
            audio_frames=clips.audio_frames,
            audio_step=clips.audio_step,
            audio_order=audio_order,
            audio_ends=clips.audio_ends,
        )

    @property
    def given_latents(self) -> int:
        return (self.t + 1) // 2 if self.given is None else self.given

    @property
    def given_audio(self) -> int:
        """Audio latents within the given latents."""
        return self.audio_ends[self.given_latents - 1]

    def shape(self, kind: str, size: int) -> tuple[int, ...]:
        """Shape of codes of one kind ("text", "visual" or "audio") with this extent in time."""
        if kind == "text":
            return (size,)
        return (size, self.h, self.w) if kind == "visual" else (self.audio_levels, size)


@dataclass(frozen=True, eq=False)
class Span:
    """Consecutive positions: one token, or the codes of `part` from `first` to `last` in time.

    Args:
        name: the token, or the kind of the codes.
        ids: of the token, or the first id of each position's block.
        forced: so many leading positions are given.
        known: the time up to which the part itself is given.
    """

    name: str
    ids: Int[Tensor, " length"]
    block: Int[Tensor, " length"]
    coordinates: Float[Tensor, "length 3"]
    role: str = "structure"
    part: str | None = None
    first: int = 0
    last: int = 0
    forced: int = 0
    known: int = 0

    def __len__(self) -> int:
        return self.ids.shape[0]


class SpanBuilder:
    """Builds the spans of a sequence from left to right."""

    def __init__(self, vocabulary: Vocabulary, lengths: Lengths):
        self.vocabulary = vocabulary
        self.lengths = lengths
        self.end = 0.0  # time after the last grid

    def prefix(self, task: Task) -> list[Span]:
        head = [self._token("bos"), self._token(task.token), *self._numbers(task)]
        if self.lengths.source:
            head.append(self._token(self.lengths.source))
        if self.lengths.text:
            head += [self._token("bot_i"), self._text(), self._token("eot_i")]
        spans = _count_down(head)
        for portion in task.inputs:
            grid = self._grid(portion)
            spans += self._enclosed(replace(grid, forced=len(grid), known=grid.last), "i")
        return spans

    def output(self, task: Task) -> list[Span]:
        spans: list[Span] = []
        for portion in task.outputs:
            grid = self._grid(portion)
            if portion.kind == "visual" and task.forced_latents:
                forced = task.forced_latents * self.lengths.h * self.lengths.w
                grid = replace(grid, forced=forced, known=grid.first + task.forced_latents)
            spans += self._enclosed(grid, "o")
        if not task.is_closed:
            return spans[:-1]
        return [*spans, self._token("eos", self.end + 1)]

    def _enclosed(self, grid: Span, side: str) -> list[Span]:
        """A grid between its markers."""
        kind = grid.name[0]
        before, after = (float(grid.coordinates[index, 0]) for index in (0, -1))
        self.end = max(self.end, after)
        opening = self._token(f"bo{kind}_{side}", before - 0.5)
        return [opening, grid, self._token(f"eo{kind}_{side}", after + 0.5)]

    def _grid(self, portion: Portion) -> Span:
        lengths = self.lengths
        if portion.kind == "audio":
            return self._sound(portion)
        given = lengths.given_latents
        windows = {"all": (0, lengths.t), "first": (0, 1), "given": (0, given), "rest": (given, lengths.t)}
        first, last = windows[portion.which]
        axes = (torch.arange(first, last), torch.arange(lengths.h), torch.arange(lengths.w))
        coordinates = torch.cartesian_prod(*axes).float()
        ids, block = self._codes(["visual"], torch.zeros(len(coordinates), dtype=torch.int64))
        return Span("visual", ids, block, coordinates, portion.role, portion.part, first, last)

    def _sound(self, portion: Portion) -> Span:
        lengths = self.lengths
        first = lengths.given_audio if portion.which == "rest" else 0
        last = lengths.given_audio if portion.which == "given" else lengths.audio_frames
        levels, frames = torch.arange(lengths.audio_levels), torch.arange(first, last)
        if lengths.audio_order == "level":
            level, frame = torch.cartesian_prod(levels, frames).float().unbind(-1)
        else:
            frame, level = torch.cartesian_prod(frames, levels).float().unbind(-1)
        coordinates = torch.stack([frame * lengths.audio_step, level, torch.zeros_like(level)], dim=-1)
        ids, block = self._codes([audio_block(index) for index in range(lengths.audio_levels)], level.long())
        return Span("audio", ids, block, coordinates, portion.role, portion.part, first, last)

    def _codes(
        self, blocks: list[str], which: Int[Tensor, " length"]
    ) -> tuple[Int[Tensor, " length"], Int[Tensor, " length"]]:
        """First id and index of the block of each position: `which` of the named ones."""
        starts = torch.tensor([self.vocabulary.block(name).start for name in blocks])
        indices = torch.tensor([self.vocabulary.index(name) for name in blocks])
        return starts[which], indices[which]

    def _text(self) -> Span:
        n = self.lengths.text
        if self.lengths.text_width:
            held = torch.full((n,), self.vocabulary.special("text"))
            block = torch.full((n,), self.vocabulary.index("special"))
            return Span("text", held, block, torch.zeros(n, 3), "text", forced=n)
        ids, block = self._codes(["text"], torch.zeros(n, dtype=torch.int64))
        return Span("text", ids, block, torch.zeros(n, 3), "text", "text", last=n, forced=n, known=n)

    def _numbers(self, task: Task) -> list[Span]:
        lengths = self.lengths
        # A picture is the beginning of a video of any length: its sequence stopped after the first latent.
        duration = None if task.makes_image else lengths.duration
        settings = (
            ("resolution", lengths.resolution or ()),
            ("duration", () if duration is None else (duration,)),
            ("rate", () if lengths.rate is None else (lengths.rate,)),
        )
        return [
            replace(self._special(role, self.vocabulary.number(value)), role=role)
            for role, values in settings
            for value in values
        ]

    def _token(self, name: str, time: float = 0.0) -> Span:
        return self._special(name, self.vocabulary.special(name), time)

    def _special(self, name: str, token: int, time: float = 0.0) -> Span:
        block = torch.tensor([self.vocabulary.index("special")])
        return Span(name, torch.tensor([token]), block, torch.tensor([[time, 0.0, 0.0]]), forced=1)


def _count_down(spans: list[Span]) -> list[Span]:
    """Spans before the grids on the time axis: the last position stands at -1."""
    time = -sum(len(span) for span in spans)
    placed = []
    for span in spans:
        times = torch.arange(time, time + len(span)).float()
        placed.append(replace(span, coordinates=torch.nn.functional.pad(times[:, None], (0, 2))))
        time += len(span)
    return placed
