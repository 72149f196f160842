"""Episodes in worlds, step by step: what `WorldEnv` and `WorldVectorEnv` return, without gymnasium.

A latent of the tokenizer covers `stride` frames, whose actions the model takes together. A step takes one
action (a chunk of 1) or all that lead to a latent (a chunk of `stride`):

    chunk 1        up to the last action of a latent a step returns the last frame that is there, no reward,
                   and how many actions wait. The last one returns the last of the new frames, the sum of
                   their rewards, and all of the frames.
    chunk stride   a step returns what the last one of these does.

With a stride of 1 both are the same: each step returns the frame that its action leads to. Where the episode
ends within a latent, its last frame is that of the end, and what comes after it counts for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from .context import Context
from .worlds import Frames, Worlds


@dataclass(frozen=True, eq=False)
class Step:
    """What a step returns.

    Args:
        shown: the last frame that is there.
        frames: all that have come with this step; none while actions wait.
        pending: actions that wait.
        rewards: that came with each of these frames.
        terminated: the world has ended, as the model predicts.
        truncated: the clock has.
    """

    shown: UInt8[Tensor, "height width 3"]
    frames: Frames
    pending: int = 0
    rewards: tuple[float, ...] = ()
    terminated: bool = False
    truncated: bool = False

    @property
    def reward(self) -> float:
        """The sum."""
        return sum(self.rewards, 0.0)

    @property
    def is_over(self) -> bool:
        return self.terminated or self.truncated


@dataclass(eq=False)
class _Episode:
    """How far a world's episode is: its last step, the actions that it took, and those that wait."""

    last: Step
    steps: int = 0
    waiting: list[Int[Tensor, "dimensions chunk"]] = field(default_factory=list)


class Episodes:
    """Episodes in some worlds, by the number of the world.

    Args:
        chunk: actions of a step: 1, or the temporal stride.
        max_steps: actions after which an episode is truncated; None: never.

    Raises:
        ValueError: if the chunk is another.
    """

    def __init__(self, worlds: Worlds, chunk: int = 1, max_steps: int | None = None):
        stride = worlds.stride
        if chunk not in (1, stride):
            choice = f"1 or {stride}" if stride > 1 else "1"
            raise ValueError(
                f"action_chunk is {chunk}; expected {choice}: a latent of this model has {stride} frames"
            )
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}; expected 1 or more")
        self.worlds, self.chunk, self.max_steps = worlds, chunk, max_steps
        self._of: dict[int, _Episode] = {}

    def begin(self, worlds: Sequence[int], starts: Sequence[Context], seeds: Sequence[int]) -> list[Step]:
        """Begin an episode in each of some worlds; all frames of its start."""
        steps = [Step(frames[-1], frames) for frames in self.worlds.begin(worlds, starts, seeds)]
        self._of |= {world: _Episode(step) for world, step in zip(worlds, steps, strict=True)}
        return steps

    def is_going_on(self, world: int) -> bool:
        return world in self._of and not self._of[world].last.is_over

    def step(self, worlds: Sequence[int], actions: Int[Tensor, "worlds dimensions chunk"]) -> list[Step]:
        """Act in some worlds, whose episodes go on; with a world in all that began together with it.

        Args:
            actions: codes.

        Raises:
            ValueError: if an action is none of the action space, or a world is missing.
        """
        for own in actions:
            self.worlds.space.check(own)
        for world, own in zip(worlds, actions, strict=True):
            assert self.is_going_on(world)
            self._of[world].waiting.append(own)
            self._of[world].steps += self.chunk
        full = [world for world in worlds if self._pending(world) == self.worlds.stride]
        moments = {}
        if full:
            taken = torch.stack([torch.cat(self._of[world].waiting, dim=1) for world in full])
            moments = dict(zip(full, self.worlds.act(full, taken), strict=True))
        for world in worlds:
            episode = self._of[world]
            truncated = self.max_steps is not None and episode.steps >= self.max_steps
            if world not in moments:
                shown = episode.last.shown
                nothing = shown.new_zeros((0, *shown.shape))
                episode.last = Step(shown, nothing, self._pending(world), truncated=truncated)
                continue
            moment, episode.waiting = moments[world], []
            frames = moment.frames[: moment.used]
            rewards = tuple(moment.rewards[: moment.used])
            episode.last = Step(frames[-1], frames, 0, rewards, moment.terminated, truncated)
        return [self._of[world].last for world in worlds]

    def _pending(self, world: int) -> int:
        return len(self._of[world].waiting) * self.chunk
