"""An episode of a gymnasium environment that is going on, with all that a recording keeps of it."""

from typing import Any

import torch

from ..media.timing import audio_samples
from .episode_files import Episode
from .real_environment import RealEnvironment, Shown
from .spaces import values_of


class RealEpisode:
    """One episode from its seed on.

    The sound of a step belongs to the picture that the step leads to, so that frame 0 is silent.

    Attributes:
        actions: that were taken, in plain numbers, as `ActionSpace.encode` takes them.
    """

    def __init__(self, environment: RealEnvironment, seed: int):
        self.environment = environment
        self.actions: list[Any] = []
        self._shown = [environment.reset(seed)]

    @property
    def last(self) -> Shown:
        """What is seen now."""
        return self._shown[-1]

    @property
    def is_over(self) -> bool:
        return self.last.terminated or self.last.truncated

    @property
    def total(self) -> float:
        """The return up to now."""
        return sum((each.reward for each in self._shown[1:]), 0.0)

    def step(self, action: Any) -> Shown:
        """Take an action of the environment's own action space.

        Raises:
            ValueError: if it is none.
        """
        self.actions.append(values_of(self.environment.env.action_space, action))
        self._shown.append(self.environment.step(action))
        self._shown[-2] = _without_observation(self._shown[-2])
        return self.last

    def so_far(self) -> Episode:
        """The episode up to now."""
        frames = torch.stack([each.picture for each in self._shown])
        rewards = [each.reward for each in self._shown[1:]]
        return Episode(
            frames, self._waveform(), self.actions[:], rewards, self.last.terminated, self.last.truncated
        )

    def _waveform(self) -> torch.Tensor | None:
        rate = self.environment.sample_rate
        if rate is None:
            return None
        silence = torch.zeros((1, audio_samples(1, self.environment.space.rate, rate)))
        return torch.cat([silence if each.sound is None else each.sound for each in self._shown], dim=1)


def _without_observation(shown: Shown) -> Shown:
    """What is kept of a frame that was acted upon: an Atari game's observation is large."""
    return Shown(None, shown.picture, shown.sound, shown.reward, shown.terminated, shown.truncated)
