"""Rollouts: what actions lead to, latent after latent, as long as anybody acts.

The model was trained on windows of so many latents. A rollout fills one, latent by latent, in one KV cache.
When it is full, the last `keep` latents stay, as codes: time begins at 0 again, they are read in one pass,
and the rollout goes on behind them. Nothing goes through pixels, so nothing is coded twice, and neither
memory nor the mean time of a latent grows with the length of the rollout.

    window  | 0 1 2 3 4 5 |                    full: latents 3, 4 and 5 stay
                    | 0 1 2 3 4 5 |
                            | 0 1 2 …
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from ...data.environments.action_space import ActionSpace
from ...lm.batch import Batch
from ...lm.decoding.generate import Generation
from ...lm.decoding.sampling import Sampling
from ...tasks.layout import Layout
from ...tasks.spans import Lengths
from ..pipeline import VideoLM
from ..prompt_text import TextNotes
from .context import Context

TASK = "world"
# Jacobi decoding gives the ids of sequential decoding. Most codes of a frame are those of the frame before,
# which are its guesses; but rows advance together, and wait for the one whose guesses are wrong. Up to 64
# rows it was faster (benchmarks/play.py), the less so the more there are.
_ROWS_OF_JACOBI = 64


@dataclass(frozen=True)
class RolloutSettings:
    """How worlds go on.

    Args:
        keep: latents that stay when the window is full; half of it if not given.
        sampling: how codes are drawn; what it leaves open is as the model recommends for its task "world".
            The decoding, if it says none, is chosen for speed: it changes no code.
        text: that stands before the latents, for a model that reads one.
    """

    keep: int | None = None
    sampling: Sampling | None = None
    text: str | None = None


@dataclass(frozen=True, eq=False)
class Latents:
    """The next latent of each row, and the outcomes of the actions that led to it."""

    visual: Int[Tensor, "rows h w"]
    outcome: Int[Tensor, "rows steps"]


class Rollout:
    """Worlds side by side, in lockstep.

    Args:
        starts: of each row, all of as many latents.
        generators: of each row, on the model's device: what a row becomes depends on its own alone.

    Raises:
        ValueError: if the model has no task "world", or starts do not fit it or each other.
    """

    def __init__(
        self,
        model: VideoLM,
        starts: Sequence[Context],
        generators: Sequence[torch.Generator],
        settings: RolloutSettings | None = None,
    ):
        settings = settings or RolloutSettings()
        self.model, self.generators = model, list(generators)
        self.task = model.config.task(TASK)
        self.lengths = model.config.lengths
        self.window = self.lengths.t
        self.keep = kept_latents(self.window, settings.keep)
        self.text = {} if settings.text is None else _text_part(model, settings.text)
        sampling = _for_speed(settings.sampling, len(starts), self.lengths)
        self.draws = model.settings(TASK, sampling, text=bool(self.text))
        if not starts or len(starts) != len(generators) or len({each.latents for each in starts}) > 1:
            raise ValueError(
                f"rollouts begin with {[each.latents for each in starts]} latents and {len(generators)} "
                "generators; expected as many latents in all, and a generator for each"
            )
        for start in starts:
            self._check(start)
        self.contexts = [start.last(self.keep) if start.latents > self.window else start for start in starts]
        self._layout: Layout | None = None
        self._generation: Generation | None = None
        self._passes: Iterator[int] = iter(())
        self._count = 0

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.contexts)

    @property
    def latents(self) -> int:
        """That each row goes on from at present."""
        return self.contexts[0].latents

    @property
    def is_full(self) -> bool:
        """The next latent begins a new window."""
        return self.latents == self.window

    def advance(self, actions: Int[Tensor, "rows dimensions steps"]) -> Latents:
        """The next latent of each row.

        Args:
            actions: codes of the actions that lead to it, as many as the temporal stride.

        Raises:
            ValueError: if an action is none of the action space, or there are more or fewer of them.
        """
        expected = (len(self), self.lengths.action_dims, self.lengths.temporal_stride)
        if tuple(actions.shape) != expected:
            raise ValueError(
                f"actions have the shape {tuple(actions.shape)}; expected {expected} "
                "(worlds, dimensions, steps)"
            )
        for own in actions:
            self._space.check(own)
        if self.is_full:
            self.contexts = [context.last(self.keep) for context in self.contexts]
            self._generation = None
        self._put(actions)
        made = self._next()
        rows = zip(self.contexts, made.visual, actions, made.outcome, strict=True)
        self.contexts = [context.then(visual, own, outcome) for context, visual, own, outcome in rows]
        return made

    def only(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows. What they have read is read again, at the next latent."""
        self.contexts = [self.contexts[row] for row in rows]
        self.generators = [self.generators[row] for row in rows]
        self._generation = None

    @property
    def _space(self) -> ActionSpace:
        space = self.model.config.clips.action_space
        assert space is not None
        return space

    def _check(self, start: Context) -> None:
        grid, stride = (self.lengths.h, self.lengths.w), self.lengths.temporal_stride
        if tuple(start.visual.shape[1:]) != grid or (start.latents > 1 and start.stride != stride):
            raise ValueError(
                f"a start has latents of {tuple(start.visual.shape[1:])} codes and {start.stride} actions "
                f"between them; expected {grid} and {stride}"
            )
        self._space.check(start.actions)

    def _put(self, actions: Int[Tensor, "rows dimensions steps"]) -> None:
        """Put the next actions into the window, which begins anew if it was not begun."""
        steps = self.lengths.temporal_stride * (self.latents - 1)
        if self._generation is None:
            self._begin(actions)
            return
        assert self._layout is not None
        places = self._layout.positions("actions")[:, steps : steps + actions.shape[2]]
        ids = torch.stack([self._layout.ids("actions", own) for own in actions])
        self._generation.give(places.flatten() - self._layout.prefix_length, ids.flatten(1))

    def _begin(self, actions: Int[Tensor, "rows dimensions steps"]) -> None:
        lengths = replace(self.lengths, given=self.latents, text=len(self.text.get("text", ())))
        self._layout = Layout.of(self.task, self.model.vocabulary, lengths)
        parts = [self._parts(*each) for each in zip(self.contexts, actions, strict=True)]
        batches = [Batch.collate([self._layout.prompt(each | self.text) for each in parts])]
        if self.draws.guidance_scale != 1:
            without = self._layout.without_text()
            batches.append(Batch.collate([without.prompt(each) for each in parts]))
        self._generation = Generation(self.model.lm, batches[0], self.draws, self.generators, *batches[1:])
        self._passes, self._count = iter(self._generation), 0

    def _parts(self, context: Context, actions: Int[Tensor, "dimensions steps"]) -> dict[str, Tensor]:
        """What is known of a window; actions of later latents, which nothing reads before, are the first."""
        known = torch.cat([context.actions, actions], dim=1)
        padded = torch.nn.functional.pad(known, (0, self.lengths.steps - known.shape[1]))
        return {"visual": context.visual, "actions": padded, "outcome": context.outcome}

    @torch.no_grad()
    def _next(self) -> Latents:
        """Generate the codes of the next latent and the outcomes behind it."""
        assert self._layout is not None and self._generation is not None
        latent, stride = self.latents, self.lengths.temporal_stride
        visual = self._layout.positions("visual")[latent]
        outcome = self._layout.positions("outcome")[(latent - 1) * stride : latent * stride]
        needed = int((~self._layout.forced[: int(outcome.max()) + 1]).sum())
        while self._count < needed:
            self._count = next(self._passes)
        ids = self._generation.ids.cpu()
        codes = ids - self._layout.allowed[:, 0]
        return Latents(codes[:, visual], codes[:, outcome])


def kept_latents(window: int, keep: int | None) -> int:
    """How many latents stay of a full window.

    Raises:
        ValueError: if none stay, or no room for another.
    """
    kept = max(window // 2, 1) if keep is None else keep
    if not 1 <= kept < window:
        raise ValueError(f"keep is {kept}; expected 1 to {window - 1} of the {window} latents of a window")
    return kept


def _text_part(model: VideoLM, text: str) -> dict[str, Tensor]:
    notes = TextNotes()
    pieces = model.rows.pieces(text, notes)
    notes.say(model.config.text_pieces)
    return {"text": pieces}


def _for_speed(sampling: Sampling | None, rows: int, lengths: Lengths) -> Sampling | None:
    if rows > _ROWS_OF_JACOBI:
        return sampling
    return (sampling or Sampling()).over(Sampling(decoding="jacobi", window=lengths.h * lengths.w))
