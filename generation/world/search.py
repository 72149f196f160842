"""Planning by breadth-first search: what every action leads to in the model, from every picture that is new.

    plan = PictureSearch(model)(context)            # codes of actions that lead to a reward, or None

A world is taken to be where its last picture says: two ways to the same codes are one place, and only the
first is gone on with. So it finds the shortest way where pictures show all that counts, actions are few and
places are some hundreds, such as mazes; random shooting (planner.py) asks for none of that, and finds no long
ways. Nothing is asked of the real environment.
"""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Int
from torch import Tensor

from ...data.runtime.typed_fields import check_fields, check_least
from ...lm.decoding.sampling import Sampling
from ..pipeline import VideoLM
from .context import Context
from .rollout import Rollout, RolloutSettings

_MOST_ACTIONS = 64  # that can be taken for one latent


@dataclass(frozen=True)
class SearchSettings:
    """How far a search goes.

    Args:
        depth: latents of a plan, at most.
        memory: latents that the model goes on from.
        rows: worlds that are generated together.
    """

    depth: int = 64
    memory: int = 2
    rows: int = 64

    def __post_init__(self) -> None:
        check_fields(self)
        check_least(self, depth=1, memory=1, rows=1)


@dataclass(frozen=True, eq=False)
class _Place:
    context: Context
    plan: list[Int[Tensor, "dimensions stride"]]


class PictureSearch:
    """Plans with one model, by its likeliest codes.

    Raises:
        ValueError: if the model knows no actions, or there are too many to try them all.
    """

    def __init__(self, model: VideoLM, settings: SearchSettings | None = None):
        space, stride = model.config.clips.action_space, model.config.clips.temporal_stride
        if space is None:
            raise ValueError("this model knows no actions")
        choices = [range(each.num_codes) for each in space.dimensions]
        count = 1
        for each in choices * stride:
            count *= len(each)
        if count > _MOST_ACTIONS:
            raise ValueError(f"{count:,} actions lead to a latent; a search tries at most {_MOST_ACTIONS}")
        single = [torch.tensor(each) for each in product(*choices)]
        self.actions = [torch.stack(each, dim=1) for each in product(single, repeat=stride)]
        self.model, self.space, self.settings = model, space, settings or SearchSettings()

    def __call__(self, context: Context) -> Int[Tensor, "dimensions steps"] | None:
        """Codes of the actions of the shortest way to a reward; None if none was found."""
        places = [_Place(context.last(self.settings.memory), [])]
        seen = {_key(context)}
        for _ in range(self.settings.depth):
            tried = [(place, action) for place in places for action in self.actions]
            places = []
            for first in range(0, len(tried), self.settings.rows):
                for place, rewarded, is_over in self._led_to(tried[first : first + self.settings.rows]):
                    if rewarded:
                        return torch.cat(place.plan, dim=1)
                    if not is_over and (key := _key(place.context)) not in seen:
                        seen.add(key)
                        places.append(place)
            if not places:
                break
        return None

    def _led_to(self, tried: list[tuple[_Place, Tensor]]) -> list[tuple[_Place, bool, bool]]:
        """Each new place, with whether there was a reward and whether the episode is over."""
        sampling = Sampling(temperature=0.0)
        generators = [torch.Generator(self.model.device).manual_seed(0) for _ in tried]
        starts = [place.context for place, _ in tried]
        rollout = Rollout(self.model, starts, generators, RolloutSettings(sampling=sampling))
        made = rollout.advance(torch.stack([action for _, action in tried]))
        found = []
        for (place, action), after, outcome in zip(tried, rollout.contexts, made.outcome, strict=True):
            rewards, ends = self.space.decode_outcomes(outcome)
            new = _Place(after.last(self.settings.memory), [*place.plan, action])
            found.append((new, bool((rewards > 0).any()), bool(ends.any())))
        return found


def _key(context: Context) -> bytes:
    return context.visual[-1].numpy().tobytes()
