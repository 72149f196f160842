"""Planning by random shooting: try many sequences of actions in the model, and take the best one's first.

    planner = RandomShooting(model, seed=0)
    actions = planner(env.context)          # codes of the actions that lead to the next latent

Nothing is asked of the real environment. Of the best sequence what is left stays a candidate the next time,
so that a way to a distant reward, once found, is not lost. (Nagabandi et al. 2018, arXiv:1708.02596, shoot at
random at every step, without what is left.)
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...data.runtime.typed_fields import check_fields, check_least
from ..pipeline import VideoLM
from .context import Context
from .rollout import Rollout, RolloutSettings


@dataclass(frozen=True)
class ShootingSettings:
    """How far a planner looks.

    Args:
        candidates: sequences that are tried.
        horizon: latents of each.
        discount: of a reward, for each action before it; below 1 it prefers what comes soon.
        hold: actions that are the same in a row, of random sequences: held ones reach farther.
    """

    candidates: int = 64
    horizon: int = 16
    discount: float = 0.97
    hold: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        check_least(self, candidates=1, horizon=1, hold=1)
        if not 0 < self.discount <= 1:
            raise ValueError(f"discount is {self.discount}; expected a number above 0 and at most 1")


class RandomShooting:
    """Plans with one model, from one context after the other of the same episode.

    Args:
        seed: of the candidates and of what the model draws.
    """

    def __init__(
        self,
        model: VideoLM,
        settings: ShootingSettings | None = None,
        rollout: RolloutSettings | None = None,
        *,
        seed: int = 0,
    ):
        space = model.config.clips.action_space
        if space is None:
            raise ValueError("this model knows no actions")
        self.model, self.space, self.rollout = model, space, rollout
        self.settings = settings or ShootingSettings()
        self.stride = model.config.clips.temporal_stride
        self._generator = torch.Generator().manual_seed(seed)
        self._left: Int[Tensor, "dimensions steps"] | None = None

    def reset(self) -> None:
        """Forget the plan: another episode begins."""
        self._left = None

    def __call__(self, context: Context) -> Int[Tensor, "dimensions stride"]:
        """Codes of the actions that lead to the next latent."""
        plans = self._candidates()
        best = plans[int(self.returns(context, plans).argmax())]
        self._left = best[:, self.stride :]
        return best[:, : self.stride]

    def returns(
        self, context: Context, plans: Int[Tensor, "plans dimensions steps"]
    ) -> Float[Tensor, " plans"]:
        """What the model thinks each plan brings: the discounted rewards up to the end of the episode."""
        seeds = torch.randint(2**62, (len(plans),), generator=self._generator).tolist()
        generators = [torch.Generator(self.model.device).manual_seed(seed) for seed in seeds]
        rollout = Rollout(self.model, [context] * len(plans), generators, self.rollout)
        total, going = torch.zeros(len(plans), dtype=torch.float64), torch.ones(len(plans), dtype=torch.bool)
        for first in range(0, plans.shape[2], self.stride):
            made = rollout.advance(plans[:, :, first : first + self.stride])
            for number, outcome in enumerate(made.outcome.unbind(1)):
                rewards, ends = self.space.decode_outcomes(outcome)
                total += going * rewards * self.settings.discount ** (first + number)
                going &= ~ends
            if not going.any():
                break
        return total

    def _candidates(self) -> Int[Tensor, "plans dimensions steps"]:
        """Random plans, the first one beginning with what is left of the last best one."""
        count, hold = self.settings.candidates, self.settings.hold
        steps = self.settings.horizon * self.stride
        drawn = -(-steps // hold)
        plans = torch.stack([self.space.sample(drawn, self._generator) for _ in range(count)])
        plans = plans.repeat_interleave(hold, dim=2)[:, :, :steps]
        if self._left is not None:
            plans[0, :, : self._left.shape[1]] = self._left
        return plans
