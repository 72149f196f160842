"""What is played: a world model, where it begins, and the real environment beside it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...data.environments.action_space import ActionSpace
from ...data.environments.real_environment import RealEnvironment, open_environment
from ...data.environments.record_settings import View
from ...generation.pipeline import VideoLM
from ...generation.world.rollout import TASK
from ...generation.world.starts import Starts, starts_of
from .game import Game

_OWN_RATE = "ale"  # of which frames are skipped: another rate is another world
_OWN_SIZE = "minigrid"


@dataclass(frozen=True, eq=False)
class World:
    """What every player gets a game of.

    Args:
        model: with a task "world".
        name: of the model.
        environment: minigrid:ID and so on; None to play in the dream alone.
        view: of the environment.
        starts: of the dream, without an environment.
        most_steps: actions of an episode.
    """

    model: VideoLM
    name: str
    environment: str | None
    view: View
    starts: Starts | None
    most_steps: int

    @property
    def space(self) -> ActionSpace:
        space = self.model.clips.action_space
        assert space is not None  # a task "world" has one
        return space

    @property
    def sources(self) -> dict[str, str]:
        """What the sides of a game are called where it is kept."""
        real = {} if self.environment is None else {"real": self.environment}
        return {"dream": f"dream of {self.name}"} | real

    def game(self) -> Game:
        """A game for one player."""
        real = None if self.environment is None else open_environment(self.environment, self.view)
        return Game(self.model, self.starts, real, self.most_steps)


def world_of(
    model: VideoLM, name: str, environment: str | None, view: View, starts: Path | None, most_steps: int
) -> World:
    """A world, checked: the environment is opened once.

    Args:
        view: of the environment; size, rate and bins that it does not say are the model's.
        starts: coded episodes, a clip or a picture.

    Raises:
        FileNotFoundError, ValueError: if the model is no world model, there is nothing to begin with, the
            environment cannot be opened, or its actions or pictures are not the model's.
    """
    model.config.task(TASK)
    if (environment is None) == (starts is None):
        raise ValueError(
            "a world begins with the first picture of an environment (--env) or with recorded starts "
            "(--starts): give one of them"
        )
    begins = None if starts is None else starts_of(model, starts)
    space = model.clips.action_space
    assert space is not None
    fitted = view if environment is None else _fitted(view, environment.partition(":")[0], model, space)
    world = World(model, name, environment, fitted, begins, most_steps)
    if environment is not None:
        with open_environment(environment, fitted) as real:
            _check(real, model, space)
    return world


def _fitted(view: View, kind: str, model: VideoLM, space: ActionSpace) -> View:
    clips = model.clips
    if view.rate is None and kind != _OWN_RATE:
        view = replace(view, rate=space.rate)
    if view.height is None and kind != _OWN_SIZE:
        view = replace(view, height=clips.height, width=clips.width)
    bins = [each.bins for each in space.dimensions if not each.is_discrete]
    return replace(view, bins=bins[0]) if bins else view


def _check(real: RealEnvironment, model: VideoLM, space: ActionSpace) -> None:
    binned: dict[str, Any] = {"reward_bins": space.reward_bins, "reward_values": space.reward_values}
    if difference := replace(real.space, **binned).differences(space):
        raise ValueError(f"the environment's actions are not the model's: {difference}")
    height, width = real.reset(0).picture.shape[:2]
    if (height, width) != (model.clips.height, model.clips.width):
        raise ValueError(
            f"the environment's pictures are {height}x{width} (height x width); the model's are "
            f"{model.clips.height}x{model.clips.width}"
        )
