"""What a world model goes on from: its last latents, and the actions and outcomes between them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Context:
    """Latents of one world, and what was done and came of it between each and the next.

    The steps that lead to one latent after the first are as many as the tokenizer's temporal stride. The
    first latent need not be the first of a clip.

    Args:
        visual: codes of the latents.
        actions, outcome: codes of the steps, in the model's action space (`ClipFormat.action_space`).

    Raises:
        ValueError: if steps and latents do not fit each other.
    """

    visual: Int[Tensor, "t h w"]
    actions: Int[Tensor, "dimensions actions"]
    outcome: Int[Tensor, " outcomes"]  # as many as actions: said in a line below

    def __post_init__(self) -> None:
        later = len(self.visual) - 1
        steps = (self.actions.shape[1], len(self.outcome))
        if later < 0 or steps[0] != steps[1] or (steps[0] % later if later else steps[0]):
            raise ValueError(
                f"there are {steps[0]} actions and {steps[1]} outcomes beside {later + 1} latents; "
                "expected as many of both for each latent after the first"
            )

    @classmethod
    def first(cls, visual: Int[Tensor, "1 h w"], dimensions: int) -> "Context":
        """A single latent, which nothing led to.

        Args:
            dimensions: of an action.
        """
        nothing = torch.zeros((dimensions, 0), dtype=torch.int64)
        return cls(visual, nothing, nothing.new_zeros(0))

    @classmethod
    def of_episode(cls, codes: Mapping[str, Tensor], begin: int, latents: int) -> "Context":
        """Some latents of a coded episode (data/codes/episodes.py).

        Raises:
            ValueError: if the episode does not reach so far.
        """
        last, held = begin + latents - 1, len(codes["visual"])
        if not 0 <= begin <= last < held:
            raise ValueError(f"latents {begin} to {last} are asked for; the episode has {held}")
        whole = cls(codes["visual"], codes["actions"], codes["outcome"])
        stop = begin + latents
        steps = slice(begin * whole.stride, (stop - 1) * whole.stride)
        return cls(whole.visual[begin:stop], whole.actions[:, steps], whole.outcome[steps])

    @property
    def latents(self) -> int:
        return len(self.visual)

    @property
    def stride(self) -> int:
        """Steps that lead to each latent after the first; 0 if there is none."""
        return len(self.outcome) // max(self.latents - 1, 1)

    def last(self, latents: int) -> "Context":
        """The last so many latents, and the steps between them."""
        if latents >= self.latents:
            return self
        first = len(self.outcome) - (latents - 1) * self.stride
        return Context(self.visual[-latents:], self.actions[:, first:], self.outcome[first:])

    def then(
        self,
        visual: Int[Tensor, "h w"],
        actions: Int[Tensor, "dimensions steps"],
        outcome: Int[Tensor, " steps"],
    ) -> "Context":
        """With one more latent, and the steps that lead to it."""
        return Context(
            torch.cat([self.visual, visual[None]]),
            torch.cat([self.actions, actions], dim=1),
            torch.cat([self.outcome, outcome]),
        )
