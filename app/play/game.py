"""What one player plays: a world of the model and, if there is one, the real environment on the same actions.

The dream begins with the first picture of the environment, so that both show the same until the model errs.
Without an environment it begins with a recorded start. Where one of the two has ended, the other goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...data.environments.episode_files import Episode
from ...data.environments.real_environment import RealEnvironment
from ...data.environments.real_episode import RealEpisode
from ...data.environments.spaces import action_of
from ...generation.pipeline import VideoLM
from ...generation.world.dream_episode import DreamEpisode
from ...generation.world.starts import Starts, start_of
from ...generation.world.worlds import Worlds

MOST_SEED = 2**31


@dataclass(frozen=True, eq=False)
class Side:
    """What the dream, or the real environment, shows after an action.

    Args:
        frames: that are new; none while actions wait, or after an end.
        steps: actions that have led to frames.
        reward: of the new frames.
        total: the return up to now.
        pending: actions that wait for others of their latent.
        end: "terminated" by the world's own rules, as the model predicts them of a dream; "truncated" by a
            clock; "" if it goes on.
    """

    frames: UInt8[Tensor, "frames height width 3"]
    steps: int
    reward: float
    total: float
    pending: int
    end: Literal["terminated", "truncated", ""]


@dataclass(frozen=True)
class Seen:
    """Both sides; without an environment the dream alone."""

    dream: Side
    real: Side | None

    @property
    def is_over(self) -> bool:
        return bool(self.dream.end) and (self.real is None or bool(self.real.end))


class Game:
    """Episodes of one player, one after the other.

    Args:
        starts: of the dream, if there is no environment.
        real: the environment; it is closed with the game.
        most_steps: actions of an episode.

    Attributes:
        seed: of the episode; None before the first.
    """

    def __init__(
        self, model: VideoLM, starts: Starts | None, real: RealEnvironment | None, most_steps: int
    ):
        self.model, self.starts, self.real, self.most_steps = model, starts, real, most_steps
        self.worlds = Worlds(model)
        self.seed: int | None = None
        self._dream: DreamEpisode | None = None
        self._true: RealEpisode | None = None
        self._seen: Seen | None = None

    def close(self) -> None:
        if self.real is not None:
            self.real.env.close()

    def reset(self, seed: int) -> Seen:
        """Begin an episode.

        Args:
            seed: of the environment, or of which start is taken, and of what the model draws.

        Raises:
            ValueError: if it is out of its range, or there is nothing to begin with.
        """
        if not 0 <= seed < MOST_SEED:
            raise ValueError(f"the seed is {seed}; expected 0 to {MOST_SEED - 1}")
        if self.real is not None:
            self._true = RealEpisode(self.real, seed)
            start = start_of(self.model, self._true.last.picture.numpy())
        elif self.starts is not None:
            generator = torch.Generator().manual_seed(seed)
            start = self.starts[int(torch.randint(len(self.starts), (), generator=generator))]
        else:
            raise ValueError("there is nothing to begin with")
        self._dream, self.seed = DreamEpisode(self.worlds, start, seed, self.most_steps), seed
        self._seen = Seen(self._of_dream(self._dream, True), self._of_true(True))
        return self._seen

    def act(self, action: Sequence[int]) -> Seen:
        """Take an action in both.

        Args:
            action: a code for each dimension.

        Raises:
            ValueError: if it is none of the action space, or no episode is going on.
        """
        if self._dream is None or self._seen is None or self._seen.is_over:
            raise ValueError("no episode is going on; reset begins one")
        self._check(action)
        goes_on = not self._seen.dream.end
        if goes_on:
            self._dream.step(action)
        really = self._true is not None and self._seen.real is not None and not self._seen.real.end
        if really:
            self._act_really(action)
        self._seen = Seen(self._of_dream(self._dream, goes_on), self._of_true(really))
        return self._seen

    def so_far(self) -> tuple[Episode, Episode | None]:
        """The dream and the real episode, up to now.

        Raises:
            ValueError: if nothing was done yet.
        """
        if self._dream is None or not self._dream.steps:
            raise ValueError("nothing was done yet that could be kept")
        return self._dream.so_far(), None if self._true is None else self._true.so_far()

    def _check(self, action: Sequence[int]) -> None:
        kinds = self.worlds.space.dimensions
        if len(action) != len(kinds):
            raise ValueError(f"the action has {len(action)} codes; expected {len(kinds)}")
        for code, kind in zip(action, kinds, strict=True):
            if not 0 <= code < kind.num_codes:
                raise ValueError(f"{kind.name} is {code}; expected a code from 0 to {kind.num_codes - 1}")

    def _act_really(self, action: Sequence[int]) -> None:
        assert self._true is not None and self.real is not None
        codes = torch.tensor(action, dtype=torch.int64).reshape(-1, 1)
        self._true.step(action_of(self.real.env.action_space, self.worlds.space.decode(codes)[0].numpy()))

    def _of_dream(self, dream: DreamEpisode, is_new: bool) -> Side:
        last = dream.last
        frames = last.frames if is_new else last.frames[:0]
        end = "terminated" if last.terminated else "truncated" if last.truncated else ""
        return Side(frames, dream.steps, last.reward if is_new else 0.0, dream.total, last.pending, end)

    def _of_true(self, is_new: bool) -> Side | None:
        if self._true is None:
            return None
        last, steps = self._true.last, len(self._true.actions)
        end = "terminated" if last.terminated else "truncated" if last.truncated else ""
        end = end or ("truncated" if steps >= self.most_steps else "")
        frames = last.picture[None] if is_new else last.picture[None][:0]
        return Side(frames, steps, last.reward if is_new else 0.0, self._true.total, 0, end)
