"""A gymnasium environment as a recorder and a player see it: pictures, sound, rewards and ends.

    with open_environment("minigrid:MiniGrid-DoorKey-8x8-v0") as environment:
        shown = environment.reset(seed=0)
        shown = environment.step(2)             # .picture (h w 3), .sound, .reward, .terminated, …

    minigrid:ID     the whole grid from above, in tiles of 8 pixels
    ale:Pong-v5     an Atari game with its sound, each action for 4 of its 60 frames a second
    gymnasium:ID    any other, also module:ID of a package that registers environments: its observation where
                    that is a picture, else what it renders

They are the extra `videolm[world]`; nothing of it is imported before an environment is opened.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from ..media.clip import Clip
from ..runtime.typed_fields import shown
from .action_space import ActionSpace
from .record_settings import View
from .spaces import dimensions_of, values_of

if TYPE_CHECKING:
    from gymnasium import Env

KINDS = ("minigrid", "ale", "gymnasium")
_MODULES = {"minigrid": "minigrid", "ale": "ale_py"}
# It greets on stdout when it is imported, and complains where there is no screen, which nothing here needs.
_PYGAME = {"PYGAME_HIDE_SUPPORT_PROMPT": "1", "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
_ATARI_FPS = 60
_ATARI_SAMPLES = 512  # of sound, a frame; bytes of which 128 is silence
_MOST_PIXELS = 2**24


@dataclass(frozen=True, eq=False)
class Shown:
    """What an environment shows after a reset or a step.

    Args:
        observation: as a policy gets it.
        picture: bytes, RGB.
        sound: of the time that the action lasted, in [-1, 1]; None without, and after a reset.
        reward, terminated, truncated: of the step.
    """

    observation: Any
    picture: UInt8[Tensor, "height width 3"]
    sound: Float[Tensor, "1 samples"] | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


class RealEnvironment:
    """An environment that is open; made by `open_environment`.

    Args:
        env: of gymnasium.
        view: what is recorded of it.
        rate: actions a second.
        names: of the choices of its actions, if known.
        picture: the current picture, of an observation.
        is_atari: whether each step is repeated here, with sound.
    """

    def __init__(
        self,
        env: "Env[Any, Any]",
        view: View,
        rate: float,
        names: tuple[str, ...],
        picture: Callable[[Any], Any],
        is_atari: bool = False,
    ):
        self.env, self.view = env, view
        self.space = ActionSpace(dimensions_of(env.action_space, names, view.bins), view.rate or rate)
        self._picture, self._is_atari = picture, is_atari
        self.sample_rate = None
        if is_atari:
            # The game's own 512 samples a frame, however fast the frames are shown.
            self.sample_rate = round(_ATARI_SAMPLES * view.frame_skip * self.space.rate)

    def __enter__(self) -> "RealEnvironment":
        return self

    def __exit__(self, *error: object) -> None:
        self.env.close()

    def reset(self, seed: int) -> Shown:
        observation, _ = self.env.reset(seed=seed)
        self.env.action_space.seed(seed)
        return Shown(self._seen(observation), self._shown(observation))

    def step(self, action: Any) -> Shown:
        """Take an action of the environment's own action space.

        Raises:
            ValueError: if it is none.
        """
        values_of(self.env.action_space, action)
        rewards, sounds = 0.0, []
        observation, terminated, truncated = None, False, False
        for _ in range(self.view.frame_skip if self._is_atari else 1):
            observation, reward, terminated, truncated, _ = self.env.step(action)
            rewards += float(reward)
            if self._is_atari:
                sounds.append(observation["sound"])
            if terminated or truncated:
                break
        sound = self._sound(sounds) if self._is_atari else None
        picture = self._shown(observation)
        return Shown(self._seen(observation), picture, sound, rewards, bool(terminated), bool(truncated))

    def _seen(self, observation: Any) -> Any:
        return observation["image"] if self._is_atari else observation

    def _sound(self, parts: list[Any]) -> Float[Tensor, "1 samples"]:
        sound = np.concatenate(parts).astype(np.float32)
        return torch.from_numpy((sound - 128) / 128)[None]

    def _shown(self, observation: Any) -> UInt8[Tensor, "height width 3"]:
        pixels = np.asarray(self._picture(observation))
        is_picture = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        if not is_picture or not 0 < pixels.size <= 3 * _MOST_PIXELS:
            raise ValueError(
                f"the environment shows {pixels.dtype} of the shape {pixels.shape}; "
                "expected bytes of height x width x 3"
            )
        frame = torch.from_numpy(np.array(pixels))
        if self.view.height is None or self.view.width is None:
            return frame
        clip = Clip(rearrange(frame, "h w rgb -> 1 h w rgb"), self.space.rate)
        return clip.resized(self.view.height, self.view.width).frames[0]


def open_environment(name: str, view: View | None = None) -> RealEnvironment:
    """An environment by its kind and its id, as above.

    Raises:
        ValueError: if there is no such environment, a package is missing, or it shows no pictures or has
            actions of a kind that cannot be coded.
    """
    view = view or View()
    kind, _, identifier = name.partition(":")
    if kind not in KINDS or not identifier:
        kinds = ", ".join(f"{each}:ID" for each in KINDS)
        raise ValueError(f"the environment is {shown(name)}; expected one of {kinds}")
    for name, value in _PYGAME.items():
        os.environ.setdefault(name, value)
    _import_extra("gymnasium")
    if kind in _MODULES:
        _import_extra(_MODULES[kind])
    if kind == "minigrid":
        return _open_minigrid(identifier, view)
    if kind == "ale":
        return _open_atari(identifier, view)
    return _open_any(identifier, view)


def _open_minigrid(identifier: str, view: View) -> RealEnvironment:
    if view.height is not None:
        raise ValueError("the size of minigrid's pictures follows from the tiles; leave out height and width")
    env = _made(identifier)
    grid: Any = env.unwrapped
    draw = getattr(grid, "get_frame", None)
    if draw is None:
        raise ValueError(f"{identifier} is no environment of minigrid; expected gymnasium:{identifier}")

    def picture(_: Any) -> Any:
        return draw(highlight=False, tile_size=view.tile_size, agent_pov=view.agent_view)

    names = tuple(each.name for each in getattr(grid, "actions", ()))
    return RealEnvironment(env, view, _fps_of(env), names, picture)


def _open_atari(identifier: str, view: View) -> RealEnvironment:
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    # The repeating is done here, for the sound of every frame; the game repeats actions at random per frame.
    env = _made(f"ALE/{identifier.removeprefix('ALE/')}", frameskip=1, sound_obs=True, obs_type="rgb")
    names = tuple(env.unwrapped.get_action_meanings())  # pyright: ignore[reportAttributeAccessIssue]
    rate = _ATARI_FPS / view.frame_skip
    return RealEnvironment(env, view, rate, names, lambda seen: seen["image"], is_atari=True)


def _open_any(identifier: str, view: View) -> RealEnvironment:
    from gymnasium import spaces

    env = _made(identifier, render_mode="rgb_array")
    seen = env.observation_space
    is_picture = isinstance(seen, spaces.Box) and len(seen.shape) == 3 and seen.shape[2] == 3
    if is_picture and seen.dtype == np.uint8:
        return RealEnvironment(env, view, _fps_of(env), (), lambda observation: observation)
    return RealEnvironment(env, view, _fps_of(env), (), lambda _: env.render())


def _made(identifier: str, **options: Any) -> "Env[Any, Any]":
    import gymnasium

    try:
        return gymnasium.make(identifier, disable_env_checker=True, **options)
    except (gymnasium.error.Error, ModuleNotFoundError, TypeError, ValueError, OSError) as error:
        words = " ".join(str(error).split())
        raise ValueError(f"the environment {shown(identifier)} cannot be opened: {words}") from error


def _fps_of(env: "Env[Any, Any]") -> float:
    rate = env.metadata.get("render_fps")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else 10.0


def _import_extra(module: str) -> None:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ValueError(f"environments need the package {module}: pip install 'videolm[world]'") from error
