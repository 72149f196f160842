"""What an agent can do and what may come of it, as codes: the one description that recordings, shards and
models share. It is stored as actions.json beside the clips, in the format of the codes and in the model.

    space = ActionSpace((ActionDimension("move", choices=3, names=("left", "right", "forward")),), rate=10)
    codes = space.encode([2, 2, 0])                                 # (dimensions, steps)
    outcomes = space.encode_outcomes([0, 0, 1], [False, False, True])     # (steps,)

**Which action belongs to which frame.** An episode of F frames has F - 1 actions and F - 1 outcomes.
Frame 0 is what `reset` shows. Action s (from 0) is taken when frame s is seen and leads to frame s + 1;
outcome s is the reward of that step and whether it ended the episode. So frame k (k >= 1) is the picture
after action k - 1, and outcome k - 1 is known together with it:

    frame      0        1        2     ...    F - 1
    action       0        1        2  ...  F - 2     leads from the frame on its left to that on its right
    outcome      0        1        2  ...  F - 2     known with the frame on its right

Only an end of the world's own (`terminated`) is part of an outcome. A step at which the recorder stopped
(`truncated`) is none: no picture shows it, and nothing can predict it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, nan
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int, Int64
from torch import Tensor

from ..runtime.typed_fields import check_fields, check_least, from_fields, shown

FILE = "actions.json"
ACTIONS = "actions"  # codes of an episode's actions, beside its visual codes
OUTCOME = "outcome"  # and of its outcomes; also their block of the vocabulary
# Negative, zero and positive; what is within a millionth of zero counts as zero.
SIGNS = (-1e-6, 1e-6)
_MOST = 2**16  # codes of a dimension
_MOST_DIMENSIONS = 64


@dataclass(frozen=True)
class ActionDimension:
    """One of the things that an action says: one of some choices, or a number in a range.

    Args:
        name: such as "move" or "steering".
        choices: number of discrete actions, 0 … choices - 1; 0 if the dimension is continuous.
        names: of the choices, in order; () if they have none.
        low, high: the range of a continuous dimension, both inside.
        bins: equally wide, that [low, high] is divided into; a bin's value is its centre.

    Raises:
        ValueError: if a field is of another kind, or it is neither discrete nor continuous, or both.
    """

    name: str
    choices: int = 0
    names: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    bins: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        check_least(self, choices=0, bins=0)
        called = f"the dimension of actions {shown(self.name)}"
        if not self.name:
            raise ValueError("a dimension of actions has no name")
        if bool(self.choices) == bool(self.bins):
            raise ValueError(f"{called} needs either choices, or low, high and bins")
        if not 1 <= self.num_codes <= _MOST:
            raise ValueError(f"{called} has {self.num_codes} codes; at most {_MOST} are possible")
        if self.bins and not (self.low < self.high and isfinite(self.high - self.low)):
            raise ValueError(f"{called} goes from {self.low} to {self.high}; expected low below high")
        if self.choices and (self.low or self.high):
            raise ValueError(f"{called} has choices, so no low and high")
        if self.names and len(self.names) != self.choices:
            raise ValueError(f"{called} has {self.choices} choices and {len(self.names)} names")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"{called} has a name twice: {shown(self.names)}")

    @property
    def is_discrete(self) -> bool:
        return self.choices > 0

    @property
    def num_codes(self) -> int:
        return self.choices or self.bins

    def code(self, value: Any) -> int:
        """Code of one value: a number, or the name of a choice.

        Raises:
            ValueError: if the value is none of this dimension.
        """
        if isinstance(value, str):
            if value not in self.names:
                known = ", ".join(self.names) or "none: expected a number"
                raise ValueError(f"{self.name} is {shown(value)}; its names are {known}")
            return self.names.index(value)
        if isinstance(value, bool | np.bool_):
            value = int(value)
        try:
            number = float(value) if isinstance(value, int | float | np.integer | np.floating) else nan
        except OverflowError:  # a whole number of hundreds of digits
            number = nan
        if not isfinite(number):
            raise ValueError(f"{self.name} is {shown(value)}; expected a finite number")
        if self.is_discrete:
            if not number.is_integer() or not 0 <= number < self.choices:
                last = self.choices - 1
                raise ValueError(f"{self.name} is {value}; expected a whole number from 0 to {last}")
            return int(number)
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name} is {number:g}; expected {self.low:g} to {self.high:g}")
        share = (number - self.low) / (self.high - self.low)
        return min(int(share * self.bins), self.bins - 1)  # the upper end belongs to the last bin

    def values(self, codes: Int[Tensor, " steps"]) -> Float64[Tensor, " steps"]:
        """What codes stand for: numbers of choices, or centres of bins."""
        if self.is_discrete:
            return codes.double()
        return self.low + (codes.double() + 0.5) * ((self.high - self.low) / self.bins)


@dataclass(frozen=True)
class ActionSpace:
    """Dimensions of an action, their rate, and how rewards are binned.

    Args:
        dimensions: of an action, at least one.
        rate: actions per second, which are the frames per second of the clips.
        reward_bins: ascending edges between the bins; a reward that equals an edge is in the bin above it.
            One bin more than edges.
        reward_values: what each bin stands for when codes become rewards again; each lies in its bin.

    Raises:
        ValueError: if a field is of another kind or out of its range.
    """

    dimensions: tuple[ActionDimension, ...]
    rate: float
    reward_bins: tuple[float, ...] = SIGNS
    reward_values: tuple[float, ...] = (-1.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= len(self.dimensions) <= _MOST_DIMENSIONS:
            raise ValueError(
                f"an action has {len(self.dimensions)} dimensions; expected 1 to {_MOST_DIMENSIONS}"
            )
        names = [each.name for each in self.dimensions]
        if len(set(names)) < len(names):
            raise ValueError(f"dimensions of actions have a name twice: {shown(names)}")
        if self.rate <= 0:
            raise ValueError(f"rate is {self.rate}; expected actions per second, above 0")
        edges = self.reward_bins
        if any(later <= earlier for earlier, later in pairwise(edges)):
            raise ValueError(f"reward_bins are {shown(edges)}; expected ascending edges")
        if len(edges) >= _MOST // 2:
            raise ValueError(f"there are {len(edges)} edges of rewards; expected fewer than {_MOST // 2}")
        if [self.reward_bin(value) for value in self.reward_values] != list(range(len(edges) + 1)):
            raise ValueError(
                f"reward_values are {shown(self.reward_values)}; expected one in each of the "
                f"{len(edges) + 1} bins between the edges {shown(edges)}"
            )

    def __len__(self) -> int:
        """The number of dimensions."""
        return len(self.dimensions)

    @property
    def num_reward_bins(self) -> int:
        return len(self.reward_bins) + 1

    @property
    def num_outcomes(self) -> int:
        """Codes of an outcome: each bin of rewards, with and without an end."""
        return 2 * self.num_reward_bins

    @property
    def blocks(self) -> dict[str, tuple[int, ...]]:
        """Blocks of the vocabulary, as `Vocabulary.extended` takes them: name -> factors."""
        sizes = {action_block(number): (each.num_codes,) for number, each in enumerate(self.dimensions)}
        return sizes | {OUTCOME: (self.num_outcomes,)}

    def shapes(self, steps: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the codes of so many steps, by the names under which they stand beside visual codes."""
        return {ACTIONS: (len(self), steps), OUTCOME: (steps,)}

    def encode(self, actions: Any) -> Int64[Tensor, "dimensions steps"]:
        """Codes of the actions of an episode.

        Args:
            actions: one for each step, in a list, array or tensor: a list of one value for each dimension;
                where there is one dimension, also the value itself. A value is a number, or a choice's name.

        Raises:
            ValueError: if an action has another number of dimensions, or a value is none of its dimension;
                it names the step.
        """
        steps = actions.tolist() if isinstance(actions, np.ndarray | Tensor) else actions
        if not isinstance(steps, Sequence) or isinstance(steps, str):
            raise ValueError(f"actions are {shown(steps)}; expected a list with one for each step")
        codes = torch.empty((len(steps), len(self)), dtype=torch.int64)
        for number, action in enumerate(steps):
            try:
                codes[number] = torch.tensor(self.codes_of(action))
            except ValueError as error:
                raise ValueError(f"action {number}: {error}") from error
        return codes.T.contiguous()

    def codes_of(self, action: Any) -> list[int]:
        """Codes of one action, one a dimension; errors as `encode`."""
        is_list = isinstance(action, Sequence | np.ndarray | Tensor) and not isinstance(action, str)
        if isinstance(action, np.ndarray | Tensor):
            action = action.tolist()
            is_list = isinstance(action, list)
        values = action if is_list else [action]
        if len(values) != len(self):
            raise ValueError(f"it has {len(values)} values; expected {len(self)}")
        return [each.code(value) for each, value in zip(self.dimensions, values, strict=True)]

    def decode(self, codes: Int[Tensor, "dimensions steps"]) -> Float64[Tensor, "steps dimensions"]:
        """What codes stand for: numbers of choices and centres of bins, in the order that `encode` takes.

        Raises:
            ValueError: if a code is none of its dimension.
        """
        self.check(codes)
        return torch.stack([each.values(row) for each, row in zip(self.dimensions, codes, strict=True)], 1)

    def values(self, codes: Int[Tensor, "dimensions steps"]) -> list[Any]:
        """What codes stand for, as a list of clips says it: whole numbers of choices, and no list of one.

        Raises:
            ValueError: as `decode`.
        """
        values = zip(self.dimensions, self.decode(codes).T.tolist(), strict=True)
        columns = [[int(value) for value in own] if each.is_discrete else own for each, own in values]
        return columns[0] if len(self) == 1 else [list(row) for row in zip(*columns, strict=True)]

    def check(self, codes: Int[Tensor, "dimensions steps"]) -> None:
        """Raise a ValueError if there are not as many rows as dimensions, or a code is none of its row's."""
        if codes.ndim != 2 or len(codes) != len(self):
            raise ValueError(
                f"codes of actions have the shape {tuple(codes.shape)}; "
                f"expected {len(self)} dimensions x steps"
            )
        for each, row in zip(self.dimensions, codes, strict=True):
            _check_range(row, each.num_codes, f"codes of {each.name}")

    def sample(
        self, steps: int, generator: torch.Generator | None = None
    ) -> Int64[Tensor, "dimensions steps"]:
        """Codes of random actions, each drawn alone and uniformly over the codes of its dimension."""
        draw = [torch.randint(each.num_codes, (steps,), generator=generator) for each in self.dimensions]
        return torch.stack(draw)

    def reward_bin(self, reward: float) -> int:
        """Which bin a reward is in, from 0."""
        return int(np.searchsorted(self.reward_bins, reward, side="right"))

    def outcome_code(self, reward: float, terminated: bool) -> int:
        """reward_bin * 2 + terminated.

        Raises:
            ValueError: if the reward is not finite.
        """
        if not isfinite(reward):
            raise ValueError(f"a reward is {reward}; expected a finite number")
        return self.reward_bin(reward) * 2 + int(terminated)

    def outcome_of(self, code: int) -> tuple[float, bool]:
        """The inverse of `outcome_code`: the value that the reward's bin stands for, and whether it ended.

        Raises:
            ValueError: if the code is none.
        """
        if not 0 <= code < self.num_outcomes:
            raise ValueError(f"the code of an outcome is {code}; expected 0 to {self.num_outcomes - 1}")
        return self.reward_values[code // 2], bool(code % 2)

    def encode_outcomes(self, rewards: Any, terminated: Any) -> Int64[Tensor, " steps"]:
        """Codes of the outcomes of an episode.

        Args:
            rewards: one a step.
            terminated: one a step.

        Raises:
            ValueError: if there are not as many of the one as of the other, or a reward is not finite.
        """
        values = np.asarray(rewards, dtype=np.float64).reshape(-1)
        ends = np.asarray(terminated, dtype=bool).reshape(-1)
        if len(values) != len(ends):
            raise ValueError(f"there are {len(values)} rewards and {len(ends)} values of terminated")
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise ValueError(f"reward {wrong[0]} is {values[wrong[0]]}; expected a finite number")
        bins = np.searchsorted(self.reward_bins, values, side="right")
        return torch.from_numpy(bins * 2 + ends)

    def decode_outcomes(
        self, codes: Int[Tensor, " steps"]
    ) -> tuple[Float64[Tensor, " steps"], Bool[Tensor, " steps"]]:
        """The inverse of `encode_outcomes`: what the rewards' bins stand for, and whether a step ended it.

        Raises:
            ValueError: if a code is none of an outcome.
        """
        _check_range(codes, self.num_outcomes, "codes of outcomes")
        values = torch.tensor(self.reward_values, dtype=torch.float64)
        return values[codes.cpu() // 2], codes.cpu() % 2 == 1

    def differences(self, other: "ActionSpace") -> str:
        """What differs, in words for a message; empty if nothing does."""
        found = []
        for number in range(max(len(self), len(other))):
            own, theirs = (_dimension_in_words(space, number) for space in (self, other))
            if own != theirs:
                found.append(f"{action_block(number)} {own} and {theirs}")
        for name in ("rate", "reward_bins", "reward_values"):
            if getattr(self, name) != getattr(other, name):
                found.append(f"{name} {getattr(self, name)} and {getattr(other, name)}")
        return ", ".join(found)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back; of a dimension only what belongs to its kind."""
        dimensions = [
            {"name": each.name, "choices": each.choices} | ({"names": [*each.names]} if each.names else {})
            if each.is_discrete
            else {"name": each.name, "low": each.low, "high": each.high, "bins": each.bins}
            for each in self.dimensions
        ]
        rewards = {name: list(getattr(self, name)) for name in ("reward_bins", "reward_values")}
        return {"dimensions": dimensions, "rate": self.rate} | rewards

    @classmethod
    def from_json(cls, values: Any) -> "ActionSpace":
        """The inverse of `to_json`.

        Raises:
            ValueError: if a field is missing or unknown, of another kind or out of its range.
        """
        name = "the action space"
        given = values.get("dimensions") if isinstance(values, dict) else None
        if not isinstance(given, list | tuple):
            what = shown(values if not isinstance(values, dict) else given)
            raise ValueError(f"{name} has the dimensions {what}; expected a list")
        dimensions = [
            from_fields(ActionDimension, each, f"dimension {number} of {name}")
            for number, each in enumerate(given)
        ]
        return from_fields(cls, {**values, "dimensions": dimensions}, name)


def action_block(dimension: int) -> str:
    """Name of the block of the vocabulary that holds the actions of one dimension."""
    return f"action_{dimension}"


def _dimension_in_words(space: ActionSpace, number: int) -> str:
    if number >= len(space):
        return "missing"
    each = space.dimensions[number]
    if not each.is_discrete:
        return f"{each.name} of {each.bins} bins from {each.low:g} to {each.high:g}"
    return f"{each.name} of {each.choices} choices" + (f" ({', '.join(each.names)})" if each.names else "")


def _check_range(codes: Int[Tensor, " steps"], size: int, name: str) -> None:
    if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= size):
        raise ValueError(f"{name} lie in [{int(codes.min())}, {int(codes.max())}]; expected [0, {size})")
