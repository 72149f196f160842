"""Returns in the dream against those of the real environment: the same policy, from the same seeds.

For each seed the environment is reset, and the policy acts in it up to the end; then it acts in a dream that
begins with the environment's first picture, and sees what the dream shows. So a dream in which walls give way
or goals fade has other returns. Rewards count as the bins of the model's action space stand for, in both: a
model knows them no finer.

In the dream, a policy gets the picture as its observation, and an environment that has an action space; of
minigrid also the grid, read off the picture (data/environments/read_grid.py).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ...data.environments.action_space import ActionSpace
from ...data.environments.policies import Policy, policies_named
from ...data.environments.read_grid import ReadGrid
from ...data.environments.real_environment import RealEnvironment
from ...data.environments.real_episode import RealEpisode
from ...data.environments.spaces import values_of
from ...data.runtime.progress import progress
from ...generation.pipeline import VideoLM
from ...generation.world.dream_episode import DreamEpisode
from ...generation.world.real_beside import open_beside
from ...generation.world.starts import start_of
from ...generation.world.worlds import Worlds

STEPS = 100
FIRST_SEED = 10_000_000  # of the environment: far from those of recordings, so that layouts are unseen
_MINIGRID = "minigrid"


@dataclass(frozen=True)
class Pair:
    """An episode in the environment and one in the dream.

    Args:
        policy: that acted.
        real, dream: returns.
        real_steps, dream_steps: actions up to the end, or to the clock's.
    """

    policy: str
    real: float
    dream: float
    real_steps: int
    dream_steps: int


def run_returns(model: VideoLM, environment: str, policy: str, episodes: int, seed: int) -> dict[str, Any]:
    """Returns by policy, and how they agree.

    Args:
        environment: minigrid:ID and so on.
        policy: names or files with commas, which take turns by episode.
        episodes: how many.
        seed: added to the first one's, 10,000,000; the next has the next.

    Raises:
        FileNotFoundError, ValueError: if policy or environment are none, or it is not the model's.
    """
    policies, worlds, pairs = policies_named(policy), Worlds(model), list[Pair]()
    with open_beside(model, environment) as real, progress("returns", episodes) as tell:
        for number in range(episodes):
            name = list(policies)[number % len(policies)]
            pairs.append(_pair(real, environment, worlds, name, policies[name], FIRST_SEED + seed + number))
            tell(number + 1)
    by_policy = {name: _means([each for each in pairs if each.policy == name]) for name in policies}
    return {"environment": environment, "steps": STEPS, "policies": by_policy} | _agreement(pairs)


def _pair(
    real: RealEnvironment, environment: str, worlds: Worlds, name: str, policy: Policy, seed: int
) -> Pair:
    space, true = worlds.space, RealEpisode(real, seed)
    first = true.last.picture
    act = policy(real.env, seed)
    while not true.is_over and len(true.actions) < STEPS:
        true.step(act(true.last.observation))
    earned = sum((_binned(space, reward) for reward in true.so_far().rewards), 0.0)

    dream = DreamEpisode(worlds, start_of(worlds.model, first.numpy()), seed, STEPS)
    real.env.action_space.seed(seed)  # as `RealEnvironment.reset` does
    seen = _Seen(real.env.action_space, ReadGrid(first) if environment.startswith(_MINIGRID) else None)
    act, taken = policy(seen, seed), 0  # pyright: ignore[reportArgumentType]  as much of one as policies ask for
    while not dream.last.is_over:
        seen.show(dream.last.shown)
        values = values_of(real.env.action_space, act(dream.last.shown.numpy()))
        dream.step(space.encode([values])[:, 0].tolist())
        taken += 1
    return Pair(name, earned, dream.total, len(true.actions), taken)


@dataclass
class _Seen:
    """What a policy of a dream may know.

    Args:
        action_space: of the environment.
        unwrapped: the grid, of minigrid.
    """

    action_space: Any
    unwrapped: ReadGrid | None

    def show(self, frame: Tensor) -> None:
        if self.unwrapped is not None:
            self.unwrapped.show(frame)


def _binned(space: ActionSpace, reward: float) -> float:
    return space.outcome_of(space.outcome_code(reward, False))[0]


def _means(pairs: list[Pair]) -> dict[str, float | int]:
    if not pairs:
        return {"episodes": 0}
    names = ("real", "dream", "real_steps", "dream_steps")
    means = {name: float(np.mean([getattr(each, name) for each in pairs])) for name in names}
    return {"episodes": len(pairs)} | means


def _agreement(pairs: list[Pair]) -> dict[str, float | None]:
    """The share of episodes with the same return, and the correlation; None where returns do not vary."""
    real, dream = (np.array([getattr(each, name) for each in pairs]) for name in ("real", "dream"))
    varies = len(pairs) > 1 and real.std() > 0 and dream.std() > 0
    correlation = float(np.corrcoef(real, dream)[0, 1]) if varies else None
    return {"same": float(np.mean(np.isclose(real, dream))), "correlation": correlation}
