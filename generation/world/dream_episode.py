"""An episode in a model's world that is going on, with all that a recording keeps of it."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from ...data.environments.episode_files import Episode
from .context import Context
from .episodes import Episodes, Step
from .worlds import Worlds


class DreamEpisode:
    """One episode from its start on; the same start, seed and actions give the same frames.

    Args:
        seed: of what the model draws.
        max_steps: actions after which it is truncated.

    Attributes:
        last: what the last step returned.
    """

    def __init__(self, worlds: Worlds, start: Context, seed: int, max_steps: int | None = None):
        self.space, self._episodes = worlds.space, Episodes(worlds, max_steps=max_steps)
        (self.last,) = self._episodes.begin([0], [start], [seed])
        self._frames, self._rewards = [self.last.frames], list[float]()
        self._actions: list[Int[Tensor, "dimensions 1"]] = []

    @property
    def steps(self) -> int:
        """Actions that have led to frames; others wait for those of their latent."""
        return len(self._rewards)

    @property
    def total(self) -> float:
        """The return up to now."""
        return sum(self._rewards, 0.0)

    def step(self, action: Sequence[int]) -> Step:
        """Take an action, by its codes.

        Raises:
            ValueError: if it is none.
        """
        codes = torch.tensor(action, dtype=torch.int64).reshape(-1, 1)
        (self.last,) = self._episodes.step([0], codes[None])
        self._actions.append(codes)
        self._frames.append(self.last.frames)
        self._rewards += self.last.rewards
        return self.last

    def so_far(self) -> Episode:
        """The episode up to the last frame."""
        nothing = torch.zeros((len(self.space), 0), dtype=torch.int64)
        codes = torch.cat([nothing, *self._actions[: self.steps]], dim=1)
        frames, actions = torch.cat(self._frames), self.space.values(codes)
        return Episode(frames, None, actions, self._rewards[:], self.last.terminated, self.last.truncated)
