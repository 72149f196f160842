"""What is recorded of an environment: the options of `videolm record`."""

from dataclasses import dataclass, field
from math import isfinite

DEFAULT_BINS = 11  # odd, so that the middle of a range is a value


@dataclass(frozen=True)
class View:
    """What is recorded of an environment.

    Args:
        tile_size: pixels of a side of a tile, of minigrid.
        agent_view: of minigrid, what the agent sees in place of the whole grid.
        height: of the pictures, resized and cut around their centre; the environment's own if not given. Of
            minigrid it follows from the tiles.
        width: of the pictures, given together with height.
        frame_skip: frames of an Atari game for which an action is held.
        rate: actions a second; the environment's own if not given.
        bins: of each continuous dimension of the actions.
    """

    tile_size: int = 8
    agent_view: bool = False
    height: int | None = None
    width: int | None = None
    frame_skip: int = 4
    rate: float | None = None
    bins: int = DEFAULT_BINS

    def __post_init__(self) -> None:
        for name in ("tile_size", "frame_skip", "bins"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width of the pictures are given together or not at all")
        if self.height is not None and self.width is not None and min(self.height, self.width) < 1:
            raise ValueError(f"pictures of {self.height}x{self.width}; expected 1 pixel or more")
        if self.rate is not None and not (isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate is {self.rate}; expected actions per second, above 0")


@dataclass(frozen=True)
class Recording:
    """What is recorded.

    Args:
        environment: minigrid:ID, ale:ID or gymnasium:ID (real_environment.py).
        policy: random, purposeful or FILE.py, or several separated by commas (policies.py).
        episodes: how many.
        seed: of the first episode; the next has the next one.
        steps: of an episode, at most; one that goes on is cut there.
        random_share: of the actions that are replaced by random ones.
        view: what the pictures show.
    """

    environment: str
    policy: str = "random"
    episodes: int = 100
    seed: int = 0
    steps: int = 256
    random_share: float = 0.0
    view: View = field(default_factory=View)

    def __post_init__(self) -> None:
        for name in ("episodes", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more")
        if not 0 <= self.random_share <= 1:
            raise ValueError(f"random_share is {self.random_share}; expected 0 to 1")
