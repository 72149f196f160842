"""A world model as an environment of gymnasium: `videolm.WorldEnv`, and many in a batch.

    env = WorldEnv("runs/maze/model", starts="runs/maze/shards")
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

Observations are frames, uint8 (height width 3). Rewards are what the bins of the model's action space stand
for. `terminated` is predicted by the model, `truncated` is the clock's (`max_steps`). info["frames"] has all
frames that came with a step and info["pending"] the number of actions that wait for others of their latent:
episodes.py says what a step returns where a latent covers several frames, and what `action_chunk` changes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ...data.environments.action_space import ActionSpace
from ...data.environments.spaces import gymnasium_space, values_of
from ..pipeline import VideoLM
from .context import Context
from .episodes import Episodes, Step
from .gym_package import gymnasium, np_random
from .rollout import RolloutSettings
from .starts import Start, Starts, start_of, starts_of
from .worlds import Worlds

Picture = UInt8[np.ndarray, "height width 3"]
Pictures = UInt8[np.ndarray, "worlds height width 3"]
_MOST_SEED = 2**63


class WorldEnv(gymnasium.Env[np.ndarray, Any]):
    """One world of a model.

    Args:
        model: a model, or where one is, as `VideoLM.from_pretrained` takes it.
        starts: where episodes begin: a folder of `videolm encode` with coded episodes, contexts, or a clip or
            picture, whose first frame counts. reset(options={"start": …}) takes one start in their place.
        start_latents: of each coded episode that a world goes on from.
        settings: how worlds go on: how many latents stay, how codes are drawn, a text.
        action_chunk: actions of a step: 1, or as many as frames of a latent.
        max_steps: actions after which an episode is truncated.
        render_mode: "rgb_array", or None.

    Raises:
        FileNotFoundError: if there is no such model or start.
        ValueError: if the model has no task "world", starts do not fit it, or a setting is out of its range.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        model: VideoLM | str | Path,
        starts: Start | Sequence[Context] | None = None,
        *,
        start_latents: int = 1,
        settings: RolloutSettings | None = None,
        action_chunk: int = 1,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ):
        self.source = _Source(model, starts, start_latents)
        self.worlds = Worlds(self.source.model, settings)
        self.episodes = Episodes(self.worlds, action_chunk, max_steps)
        self.reader = ActionReader(self.worlds.space, action_chunk)
        self.action_space = self.reader.space
        clips = self.source.model.clips
        self.observation_space = picture_space(clips.height, clips.width)
        self.metadata = type(self).metadata | {"render_fps": clips.fps}
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}; expected 'rgb_array' or None")
        self.render_mode = render_mode
        self._shown: Tensor | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Picture, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: of the starts that are drawn, and of all that the model draws, until the next seed.
            options: {"start": …}, in place of a drawn one.

        Returns:
            the last frame of the start, and all of them in info["frames"].
        """
        super().reset(seed=seed)
        start, noise = self.source.start(self.np_random, options)
        (begun,) = self.episodes.begin([0], [start], [noise])
        self._shown = begun.shown
        return begun.shown.numpy().copy(), _info(begun)

    def step(self, action: Any) -> tuple[Picture, float, bool, bool, dict[str, Any]]:
        """Act.

        Raises:
            ValueError: if the action is none of the action space.
            gymnasium.error.ResetNeeded: if no episode is going on.
        """
        if not self.episodes.is_going_on(0):
            raise gymnasium.error.ResetNeeded("no episode is going on: call reset")
        (made,) = self.episodes.step([0], self.reader.codes(action)[None])
        self._shown = made.shown
        return made.shown.numpy().copy(), made.reward, made.terminated, made.truncated, _info(made)

    def render(self) -> Picture | None:  # type: ignore[override]
        """The last frame, in the mode "rgb_array"."""
        is_shown = self.render_mode == "rgb_array" and self._shown is not None
        return self._shown.numpy().copy() if is_shown and self._shown is not None else None

    @property
    def context(self) -> Context:
        """What the model goes on from: a planner begins its own rollouts here."""
        return self.worlds.context(0)


class WorldVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Many worlds of a model, which generates them together.

    World n is what `WorldEnv` is with the n-th seed. An episode that has ended begins anew at the next step,
    whose action is ignored (`AutoresetMode.NEXT_STEP`).

    Args:
        num_envs: of worlds.
        model, starts, start_latents, settings, action_chunk, max_steps: as of `WorldEnv`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        model: VideoLM | str | Path,
        num_envs: int,
        starts: Start | Sequence[Context] | None = None,
        *,
        start_latents: int = 1,
        settings: RolloutSettings | None = None,
        action_chunk: int = 1,
        max_steps: int | None = None,
    ):
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; expected 1 or more")
        self.source = _Source(model, starts, start_latents)
        self.worlds = Worlds(self.source.model, settings)
        self.episodes = Episodes(self.worlds, action_chunk, max_steps)
        self.reader = ActionReader(self.worlds.space, action_chunk)
        clips, batch = self.source.model.clips, gymnasium.vector.utils.batch_space
        self.num_envs = num_envs
        self.single_action_space = self.reader.space
        self.single_observation_space = picture_space(clips.height, clips.width)
        self.action_space = batch(self.single_action_space, num_envs)
        self.observation_space = batch(self.single_observation_space, num_envs)
        self._randoms = [np.random.default_rng() for _ in range(num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Pictures, dict[str, Any]]:
        """Begin an episode in every world.

        Args:
            seed: of the first world, the next has the next; or one for each.
            options: as of `WorldEnv`, for all.
        """
        if seed is not None:
            first = [seed + number for number in range(self.num_envs)] if isinstance(seed, int) else seed
            if len(first) != self.num_envs:
                raise ValueError(f"there are {len(first)} seeds for {self.num_envs} worlds")
            for number, own in enumerate(first):
                if own is not None:
                    self._randoms[number] = np_random(own)[0]
        return self._returned(dict(enumerate(self._begin(range(self.num_envs), options))))[::4]

    def step(self, actions: Any) -> tuple[Pictures, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every world; as `WorldEnv.step`, with an array for each value."""
        each = list(gymnasium.vector.utils.iterate(self.action_space, actions))
        going = [world for world in range(self.num_envs) if self.episodes.is_going_on(world)]
        others = [world for world in range(self.num_envs) if world not in going]
        codes = [self.reader.codes(each[world]) for world in going]
        made = dict(zip(others, self._begin(others, None), strict=True))
        if going:
            made |= dict(zip(going, self.episodes.step(going, torch.stack(codes)), strict=True))
        return self._returned(made)

    def context(self, world: int) -> Context:
        """What the model goes on from in a world."""
        return self.worlds.context(world)

    def _begin(self, worlds: Sequence[int], options: dict[str, Any] | None) -> list[Step]:
        drawn = [self.source.start(self._randoms[world], options) for world in worlds]
        starts, seeds = [start for start, _ in drawn], [noise for _, noise in drawn]
        return self.episodes.begin(list(worlds), starts, seeds) if drawn else []

    def _returned(self, made: dict[int, Step]) -> Any:
        steps = [made[world] for world in range(self.num_envs)]
        info: dict[str, Any] = {}
        for world, step in enumerate(steps):
            info = self._add_info(info, _info(step), world)
        return (
            torch.stack([step.shown for step in steps]).numpy(),
            np.array([step.reward for step in steps]),
            np.array([step.terminated for step in steps]),
            np.array([step.truncated for step in steps]),
            info,
        )


class ActionReader:
    """Actions of gymnasium as codes.

    Args:
        chunk: actions of a step.

    Attributes:
        space: of the actions of a step: for several (chunk) or (chunk dimensions), one after the other.
    """

    def __init__(self, actions: ActionSpace, chunk: int):
        self.actions, self.chunk = actions, chunk
        self._single = gymnasium_space(actions)
        self.space = self._single if chunk == 1 else chunk_space(self._single, chunk)

    def codes(self, action: Any) -> Int[Tensor, "dimensions chunk"]:
        """Codes of the action of a step.

        Raises:
            ValueError: if it is none of the space.
        """
        each = [action] if self.chunk == 1 else list(action)
        if len(each) != self.chunk:
            raise ValueError(f"a step takes {self.chunk} actions together; got {len(each)}")
        return self.actions.encode([values_of(self._single, own) for own in each])


class _Source:
    """A model, and where its worlds begin."""

    def __init__(
        self,
        model: VideoLM | str | Path,
        starts: Start | Sequence[Context] | None,
        start_latents: int,
    ):
        self.model = model if isinstance(model, VideoLM) else VideoLM.from_pretrained(model, tasks=["world"])
        self.latents = start_latents
        self.starts: Starts | None = None
        if starts is not None:
            self.starts = starts_of(self.model, starts, start_latents)

    def start(self, random: np.random.Generator, options: dict[str, Any] | None) -> tuple[Context, int]:
        """The start that is asked for, or a drawn one, and the seed of what comes after it.

        Raises:
            ValueError: if there are other options, or nothing to draw from.
        """
        if unknown := set(options or {}) - {"start"}:
            raise ValueError(f"reset has no option {sorted(unknown)[0]!r}; expected 'start'")
        if options and "start" in options:
            start = start_of(self.model, options["start"], self.latents)
        elif self.starts is None:
            raise ValueError("there is nothing to begin with: give the environment starts, or reset a start")
        else:
            start = self.starts[int(random.integers(len(self.starts)))]
        return start, int(random.integers(_MOST_SEED))


def chunk_space(single: gymnasium.Space[Any], chunk: int) -> gymnasium.Space[Any]:
    """The space of so many actions together, one after the other."""
    spaces = gymnasium.spaces
    if isinstance(single, spaces.Discrete):
        return spaces.MultiDiscrete([int(single.n)] * chunk)
    if isinstance(single, spaces.MultiDiscrete):
        return spaces.MultiDiscrete(np.tile(single.nvec, (chunk, 1)))
    assert isinstance(single, spaces.Box)
    return spaces.Box(np.tile(single.low, (chunk, 1)), np.tile(single.high, (chunk, 1)), dtype=np.float32)


def picture_space(height: int, width: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, 255, (height, width, 3), np.uint8)


def _info(step: Step) -> dict[str, Any]:
    return {"frames": step.frames.numpy().copy(), "pending": step.pending}
