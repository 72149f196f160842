"""What is played: a world model, where it begins, and the real environment beside it."""

from dataclasses import dataclass
from pathlib import Path

from ...data.environments.action_space import ActionSpace
from ...data.environments.record_settings import View
from ...generation.pipeline import VideoLM
from ...generation.world.real_beside import open_beside
from ...generation.world.rollout import TASK
from ...generation.world.starts import Starts, starts_of
from .game import Game


@dataclass(frozen=True, eq=False)
class World:
    """What every player gets a game of.

    Args:
        model: with a task "world".
        name: of the model.
        environment: minigrid:ID and so on; None to play in the dream alone.
        view: of the environment, as of `open_beside`.
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
        real = None if self.environment is None else open_beside(self.model, self.environment, self.view)
        return Game(self.model, self.starts, real, self.most_steps)


def world_of(
    model: VideoLM, name: str, environment: str | None, view: View, starts: Path | None, most_steps: int
) -> World:
    """A world, checked: the environment is opened once.

    Args:
        view: of the environment, as of `open_beside`.
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
    world = World(
        model, name, environment, view, None if starts is None else starts_of(model, starts), most_steps
    )
    if environment is not None:
        world.game().close()
    return world
