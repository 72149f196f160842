"""The spans of a sequence, from left to right: what `Layout` is made of."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..data.codes.clip_format import ClipFormat
from ..lm.vocabulary import Vocabulary
from .parts import blocks_of
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
        action_dims: codes of an action; 0 without actions.
        temporal_stride: frames, and so actions, of a latent after the first.
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
    action_dims: int = 0
    temporal_stride: int = 1

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
            action_dims=clips.shapes.get("actions", (0,))[0],
            temporal_stride=clips.temporal_stride,
        )

    @property
    def given_latents(self) -> int:
        return (self.t + 1) // 2 if self.given is None else self.given

    @property
    def given_audio(self) -> int:
        """Audio latents within the given latents."""
        return self.audio_ends[self.given_latents - 1]

    def of_latents(self, t: int) -> "Lengths":
        """The lengths of a clip of at most so many latents."""
        if t >= self.t:
            return self
        ends = self.audio_ends[:t]
        sound = ends[-1] if ends else self.audio_frames
        given = None if self.given is None else min(self.given, t - 1)
        return replace(self, t=t, audio_frames=sound, audio_ends=ends, given=given)

    @property
    def steps(self) -> int:
        """Actions of the clip, and outcomes."""
        return (self.t - 1) * self.temporal_stride

    def shape(self, kind: str, size: int) -> tuple[int, ...]:
        """Shape of codes of one kind (parts.py) with this extent in time."""
        if kind in ("text", "outcome"):
            return (size,)
        if kind == "visual":
            return (size, self.h, self.w)
        return (self.audio_levels if kind == "audio" else self.action_dims, size)


@dataclass(frozen=True, eq=False)
class Span:
    """Consecutive positions: one token, or codes of `part` up to `last` in time.

    Args:
        name: the token, or the kind of the codes.
        ids: of the token, or the first id of each position's block.
        place: where the code of each position stands in its part; no axes for a token.
        forced: so many leading positions are given.
        known: the time up to which the part itself is given.
    """

    name: str
    ids: Int[Tensor, " length"]
    block: Int[Tensor, " length"]
    coordinates: Float[Tensor, "length 3"]
    place: Int[Tensor, "length axes"]
    role: str = "structure"
    part: str | None = None
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
            grid = self.grid(portion)
            spans += self._enclosed(replace(grid, forced=len(grid), known=grid.last), side="i")
        return spans

    def output(self, task: Task) -> list[Span]:
        spans: list[Span] = []
        if task.is_interleaved:
            spans = self._enclosed(*InterleavedSpans(self, task.outputs).spans(), side="o")
        for portion in () if task.is_interleaved else task.outputs:
            grid = self.grid(portion)
            if portion.kind == "visual" and task.forced_latents:
                forced = task.forced_latents * self.lengths.h * self.lengths.w
                grid = replace(grid, forced=forced, known=int(grid.place[0, 0]) + task.forced_latents)
            spans += self._enclosed(grid, side="o")
        if not task.is_closed:
            return spans[:-1]
        return [*spans, self._token("eos", self.end + 1)]

    def _enclosed(self, *grids: Span, side: str) -> list[Span]:
        """Grids between the markers of the first one's kind."""
        kind = grids[0].name[0]
        before, after = float(grids[0].coordinates[0, 0]), float(grids[-1].coordinates[-1, 0])
        self.end = max(self.end, after)
        opening = self._token(f"bo{kind}_{side}", before - 0.5)
        return [opening, *grids, self._token(f"eo{kind}_{side}", after + 0.5)]

    def grid(self, portion: Portion) -> Span:
        """The codes of a portion, none of them given."""
        if portion.kind == "audio":
            return self._sound(portion)
        lengths, given = self.lengths, self.lengths.given_latents
        windows = {"all": (0, lengths.t), "first": (0, 1), "given": (0, given), "rest": (given, lengths.t)}
        first, last = windows[portion.which]
        axes = (torch.arange(first, last), torch.arange(lengths.h), torch.arange(lengths.w))
        place = torch.cartesian_prod(*axes)
        return self.codes(portion, place, place.float(), last)

    def codes(
        self,
        portion: Portion,
        place: Int[Tensor, "length axes"],
        coordinates: Float[Tensor, "length 3"],
        last: int,
    ) -> Span:
        """The span of the codes at these places of a portion, which reaches to `last` in time."""
        rows = {"audio": self.lengths.audio_levels, "actions": self.lengths.action_dims}.get(portion.kind, 0)
        ids, block = self._codes(blocks_of(portion.kind, rows), place[:, 0] * bool(rows))
        return Span(portion.kind, ids, block, coordinates, place, portion.role, portion.part, last)

    def _sound(self, portion: Portion) -> Span:
        lengths = self.lengths
        first = lengths.given_audio if portion.which == "rest" else 0
        last = lengths.given_audio if portion.which == "given" else lengths.audio_frames
        levels, frames = torch.arange(lengths.audio_levels), torch.arange(first, last)
        if lengths.audio_order == "level":
            place = torch.cartesian_prod(levels, frames)
        else:
            place = torch.cartesian_prod(frames, levels).flip(1)
        level, frame = place.float().unbind(-1)
        coordinates = torch.stack([frame * lengths.audio_step, level, torch.zeros_like(level)], dim=-1)
        return self.codes(portion, place, coordinates, last)

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
            return Span("text", held, block, torch.zeros(n, 3), _nowhere(n), "text", forced=n)
        ids, block = self._codes(["text"], torch.zeros(n, dtype=torch.int64))
        place = torch.arange(n)[:, None]
        return Span("text", ids, block, torch.zeros(n, 3), place, "text", "text", last=n, forced=n, known=n)

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
        coordinates = torch.tensor([[time, 0.0, 0.0]])
        return Span(name, torch.tensor([token]), block, coordinates, _nowhere(1), forced=1)


class InterleavedSpans:
    """The spans of outputs that stand side by side in time, latent by latent.

        latent 0 | actions that lead to latent 1 | latent 1 | outcomes of these actions | actions that …

    With n frames a latent, n actions lead to each latent after the first. An action's codes stand together,
    one a dimension. Times are those of the frames, in latents: frame f, which action f - 1 leads to, is seen
    at f / n with its outcome, and the action is taken half a frame before. So all of it but the order goes on
    evenly, and a latent stands at the time of its last frame, as it does without actions.

    Args:
        outputs: of the task, in this order.
    """

    def __init__(self, builder: "SpanBuilder", outputs: tuple[Portion, ...]):
        self.builder, self.lengths = builder, builder.lengths
        self.portions = {portion.kind: portion for portion in outputs}

    def spans(self) -> list[Span]:
        """All of them; actions are given, and whatever belongs to given latents."""
        lengths = self.lengths
        held = {kind: self._parts(kind) for kind in self.portions}
        found = []
        for latent in range(lengths.t):
            for kind, parts in held.items():
                if kind != "visual" and not latent:
                    continue
                span = parts[latent if kind == "visual" else latent - 1]
                is_given = kind == "actions" or latent < lengths.given_latents
                known = span.last if is_given else 0
                found.append(replace(span, forced=len(span) if is_given else 0, known=known))
        return found

    def _parts(self, kind: str) -> list[Span]:
        """The codes of a kind, one span for each latent that has some."""
        lengths, portion = self.lengths, self.portions[kind]
        stride = 1 if kind == "visual" else lengths.temporal_stride
        whole = self.builder.grid(portion) if kind == "visual" else self._steps(portion)
        count = lengths.t if kind == "visual" else lengths.t - 1
        size = len(whole) // max(count, 1)
        return [_part(whole, slice(at * size, (at + 1) * size), (at + 1) * stride) for at in range(count)]

    def _steps(self, portion: Portion) -> Span:
        """The actions or outcomes of all steps."""
        lengths = self.lengths
        step = torch.arange(lengths.steps)
        if portion.kind == "outcome":
            times = (step + 1) / lengths.temporal_stride
            coordinates = torch.nn.functional.pad(times[:, None], (0, 2))
            return self.builder.codes(portion, step[:, None], coordinates, lengths.steps)
        place = torch.cartesian_prod(step, torch.arange(lengths.action_dims)).flip(1)
        times = (place[:, 1] + 0.5) / lengths.temporal_stride
        coordinates = torch.stack([times, place[:, 0].float(), torch.zeros_like(times)], dim=-1)
        return self.builder.codes(portion, place, coordinates, lengths.steps)


def _part(span: Span, positions: slice, last: int) -> Span:
    """Some positions of a span, up to `last` in time."""
    names = ("ids", "block", "coordinates", "place")
    return replace(span, **{name: getattr(span, name)[positions] for name in names}, last=last)


def _nowhere(length: int) -> Int[Tensor, "{length} 0"]:
    """The places of positions that hold no code of a part."""
    return torch.zeros((length, 0), dtype=torch.int64)


def _count_down(spans: list[Span]) -> list[Span]:
    """Spans before the grids on the time axis: the last position stands at -1."""
    time = -sum(len(span) for span in spans)
    placed = []
    for span in spans:
        times = torch.arange(time, time + len(span)).float()
        placed.append(replace(span, coordinates=torch.nn.functional.pad(times[:, None], (0, 2))))
        time += len(span)
    return placed
