"""The order of a sequence: the one owner of what stands where.

    <bos> <task> <res> <len> <fps> [<bot_i> text <eot_i>] (<bov_i> visual <eov_i>)* (<boa_i> audio <eoa_i>)*
    | [<bov_o> visual <eov_o>] [<boa_o> audio <eoa_o>] <eos>

The part before the bar is the prefix. What a task does not use is left out with its markers, which
shortens the sequence (Kondratyuk et al. 2024, arXiv:2312.14125, Table 4). The outputs of an interleaved task
stand between the markers of the visual codes, latent by latent:

    <bov_o> latent 0 (actions that lead to the next latent, that latent, their outcomes)*

Coordinates are (time, row, column). Visual codes stand at their place in the latent grid, so input and
output grids of the same clip share coordinates and a continuation goes on where the given latents end.
Audio codes stand at (time in units of video latents, level, 0), in the order that `Lengths.audio_order`
says. Actions stand at (time, dimension, 0), outcomes at (time, 0, 0) (`InterleavedSpans`). Everything before
the first grid counts the time down to -1; a marker stands half a step beside its
grid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..lm.batch import Example
from ..lm.vocabulary import Vocabulary
from .parts import converted
from .spans import Lengths, Span, SpanBuilder
from .task import ROLES, Task

Parts = Mapping[str, Tensor]


class Layout:
    """The positions of one task's sequence at given lengths.

    Args of `pack` and `blank`, results of `unpack` are the parts by name: "text" (pieces), "visual"
    (t h w), "audio" (levels frames), "actions" (dimensions steps), "outcome" (steps) and the named variants
    that a task may declare, each from its first latent on. Text that comes as embeddings, (pieces width), is
    packed but not unpacked.

    Attributes:
        block, segment, coordinates, forced, weight: as in `lm.batch.Example`.
        prefix_length: positions before the first output marker.
        shapes: what `pack` takes and `unpack` gives.
        given_shapes: what `blank` takes: the leading stretch of each part that the prompt must hold.
    """

    block: Int[Tensor, " length"]
    segment: Int[Tensor, " length"]
    coordinates: Float[Tensor, "length 3"]
    forced: Bool[Tensor, " length"]
    weight: Float[Tensor, " length"]

    def __init__(self, task: Task, vocabulary: Vocabulary, lengths: Lengths):
        _check(task, lengths)
        self.task, self.vocabulary, self.lengths = task, vocabulary, lengths
        spans = SpanBuilder(vocabulary, lengths)
        prefix = spans.prefix(task)
        self._spans = (*prefix, *spans.output(task))
        self.prefix_length = sum(len(span) for span in prefix)
        self._blank_ids = torch.cat([span.ids for span in self._spans])
        self.block = torch.cat([span.block for span in self._spans])
        self.coordinates = torch.cat([span.coordinates for span in self._spans])
        self.segment = torch.cat([torch.full((len(span),), ROLES.index(span.role)) for span in self._spans])
        self.forced = torch.cat([torch.arange(len(span)) < span.forced for span in self._spans])
        # No loss on what is given: the prefix, markers, a forced first frame.
        self.weight = (~self.forced).float()
        self.shapes = self._shapes((span, span.last) for span in self._spans)
        self.given_shapes = self._shapes((span, span.known) for span in self._spans)
        self._places = self._places_of_parts()
        embedded = lengths.text > 0 and lengths.text_width > 0
        self._embedded = {"text": (lengths.text, lengths.text_width)} if embedded else {}

    @classmethod
    def of(cls, task: Task, vocabulary: Vocabulary, lengths: Lengths) -> "Layout":
        """The layout of `task`; the same object for the same arguments.

        Raises:
            ValueError: if the task cannot have these lengths, or the vocabulary lacks a block.
        """
        return _layout(task, vocabulary, lengths)

    def without_text(self) -> "Layout":
        """The same sequence without its text segment: the unconditional one for guidance."""
        return Layout.of(self.task, self.vocabulary, replace(self.lengths, text=0))

    def __len__(self) -> int:
        return self.block.shape[0]

    @cached_property
    def allowed(self) -> Int[Tensor, "length 2"]:
        """First id and the one after the last that may stand at each position."""
        return torch.tensor([(block.start, block.stop) for block in self.vocabulary.blocks])[self.block]

    def pack(self, parts: Parts) -> Example:
        """A training example: every position filled.

        Raises:
            ValueError: if a part is missing, unknown, of another shape, or holds a code out of range.
        """
        self._check_parts(parts, self.shapes | self._embedded)
        return self._fill(parts)

    def blank(self, parts: Parts) -> Example:
        """A prompt: what is to be generated holds the first id of its block.

        Raises:
            ValueError: as `pack`, with `given_shapes`.
        """
        self._check_parts(parts, self.given_shapes | self._embedded)
        sequence = self._fill(parts)
        first = self._blank_ids.where(~self.forced, sequence.ids)
        return replace(sequence, ids=first)

    def example(self, parts: Parts) -> Example:
        """`pack` of what this layout uses of a whole clip's parts."""
        return self.pack(_cut(parts, self.shapes | self._embedded))

    def prompt(self, parts: Parts) -> Example:
        """`blank` of what a prompt holds of a whole clip's parts."""
        return self.blank(_cut(parts, self.given_shapes | self._embedded))

    def unpack(self, ids: Int[Tensor, " length"]) -> dict[str, Tensor]:
        """The parts of a sequence; the inverse of `pack`.

        Raises:
            ValueError: if the length is another or an id does not belong where it stands.
        """
        ids = ids.cpu()
        self._check_places(ids)
        codes = ids - self.allowed[:, 0]
        return {
            name: codes[each.holder].where(each.holder >= 0, 0) for name, each in self._places.items()
        }

    def positions(self, part: str) -> Int[Tensor, "*shape"]:
        """Where each code of a part stands, in the shape of the part."""
        return self._places[part].holder

    def ids(self, part: str, codes: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The ids of some codes of a part, all its rows if it has rows (parts.py).

        Raises:
            ValueError: if a code is out of range.
        """
        return converted(self.vocabulary.ids, self._places[part].kind, codes)

    def _fill(self, parts: Parts) -> Example:
        ids = self._blank_ids.clone()
        for name, each in self._places.items():
            if name in parts:
                held = converted(self.vocabulary.ids, each.kind, parts[name].cpu())
                is_there = (each.place < torch.tensor(held.shape)).all(1)
                ids[each.positions[is_there]] = held[each.place[is_there].unbind(1)]
        return Example(
            ids=ids,
            block=self.block,
            segment=self.segment,
            coordinates=self.coordinates,
            forced=self.forced,
            weight=self.weight,
            prefix_length=self.prefix_length,
            task=self.task.name,
            features=parts["text"].float().cpu() if self._embedded else None,
            features_at=self._text_at if self._embedded else None,
        )

    @cached_property
    def _text_at(self) -> Int[Tensor, " pieces"]:
        return (self.segment == ROLES.index("text")).nonzero().squeeze(1)

    def _shapes(self, ends: Iterable[tuple[Span, int]]) -> dict[str, tuple[int, ...]]:
        """Shape of each part that reaches to the last of the given ends."""
        shapes: dict[str, tuple[int, ...]] = {}
        for span, end in ends:
            if span.part is not None and end > 0:
                shape = self.lengths.shape(span.name, end)
                shapes[span.part] = max(shape, shapes.get(span.part, shape))
        return shapes

    def _places_of_parts(self) -> dict[str, "_Places"]:
        starts = accumulate(map(len, self._spans[:-1]), initial=0)
        placed, found = list(zip(starts, self._spans, strict=True)), {}
        for name, shape in self.shapes.items():
            own = [(start, span) for start, span in placed if span.part == name]
            positions = torch.cat([torch.arange(start, start + len(span)) for start, span in own])
            place = torch.cat([span.place for _, span in own])
            holder = torch.full(shape, -1)
            for start, span in own:  # a code that is both given and generated is read where it is generated
                holder[span.place.unbind(1)] = torch.arange(start, start + len(span))
            found[name] = _Places(own[0][1].name, positions, place, holder)
        return found

    def _check_parts(self, parts: Parts, shapes: dict[str, tuple[int, ...]]) -> None:
        if parts.keys() != shapes.keys():
            raise ValueError(
                f"task {self.task.name} got the parts {sorted(parts)}; expected {sorted(shapes)}"
            )
        for name, shape in shapes.items():
            if tuple(parts[name].shape) != shape:
                raise ValueError(f"{name} codes have the shape {tuple(parts[name].shape)}; expected {shape}")

    def _check_places(self, ids: Int[Tensor, " length"]) -> None:
        if len(ids) != len(self):
            raise ValueError(f"sequence has {len(ids)} ids; task {self.task.name} has {len(self)} here")
        low, high = self.allowed.unbind(-1)
        fixed = torch.cat([torch.full((len(span),), span.part is None) for span in self._spans])
        wrong = (ids < low) | (ids >= high) | (fixed & (ids != self._blank_ids))
        if wrong.any():
            position = int(wrong.nonzero()[0])
            expected = f"{low[position]} to {high[position] - 1}"
            if fixed[position]:
                expected = f"{self._blank_ids[position]}"
            raise ValueError(
                f"id {int(ids[position])} at position {position} of task {self.task.name} is out of place; "
                f"expected {expected} ({self._span_at(position).name})"
            )

    def _span_at(self, position: int) -> Span:
        for span in self._spans:
            if position < len(span):
                return span
            position -= len(span)
        raise AssertionError("position outside the sequence")


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the codes of a part stand.

    Args:
        kind: of the codes (parts.py).
        positions: in the sequence, and the place in the part of each.
        holder: for each code of the part a position that holds it, the last one; -1 if there is none.
    """

    kind: str
    positions: Int[Tensor, " positions"]
    place: Int[Tensor, "positions axes"]
    holder: Int[Tensor, "*shape"]


@lru_cache(maxsize=256)
def _layout(task: Task, vocabulary: Vocabulary, lengths: Lengths) -> Layout:
    return Layout(task, vocabulary, lengths)


def _check(task: Task, lengths: Lengths) -> None:
    if lengths.text and task.text == "none":
        raise ValueError(f"task {task.name} takes no text")
    if task.has_given and not 0 < lengths.given_latents < lengths.t:
        raise ValueError(
            f"task {task.name} cannot begin with {lengths.given_latents} given latents: "
            f"the clip has {lengths.t} and at least one is generated"
        )
    kinds = {portion.kind for portion in (*task.inputs, *task.outputs)}
    if "audio" in kinds and not lengths.audio_levels * lengths.audio_frames:
        raise ValueError(f"task {task.name} needs sound; these clips have none")
    if "actions" in kinds and not lengths.action_dims:
        raise ValueError(f"task {task.name} needs actions; these clips have none")
    divided = any(portion.kind == "audio" and portion.which == "rest" for portion in task.outputs)
    if divided and not 0 < lengths.given_audio < lengths.audio_frames:
        raise ValueError(
            f"task {task.name} cannot begin with {lengths.given_audio} audio latents: the clip has "
            f"{lengths.audio_frames} and at least one is generated"
        )


def _cut(parts: Parts, shapes: dict[str, tuple[int, ...]]) -> Parts:
    """The leading stretch of each part that is asked for; what is missing is left to be missed later."""
    wanted = {name: shape for name, shape in shapes.items() if name in parts}
    return {name: parts[name][tuple(slice(size) for size in shape)] for name, shape in wanted.items()}
