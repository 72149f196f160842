"""An environment whose picture shows the last action and nothing else, to find actions at the wrong frame."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

NAME = "ActionShower-v0"
ENTRY = f"gymnasium:action_shower:{NAME}"
LENGTH = 12  # steps of an episode


class ActionShower(gymnasium.Env[Any, int]):
    """Pictures of 16x16: black after a reset, then as bright as the last of four actions says.

    The reward is that of the action, 1 of action 3 and else 0; the twelfth step ends the episode.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 8}

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(4)
        self.observation_space = spaces.Box(0, 255, (16, 16, 3), np.uint8)
        self.level = self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.level = self.steps = 0
        return self.render(), {}

    def step(self, action: int):
        self.level, self.steps = 60 * (int(action) + 1), self.steps + 1
        return self.render(), float(action == 3), self.steps == LENGTH, False, {}

    def render(self) -> np.ndarray:
        return np.full((16, 16, 3), self.level, np.uint8)


if NAME not in gymnasium.registry:
    gymnasium.register(NAME, entry_point=ActionShower)
