"""Worlds that a model makes: begun from a recorded picture, gone on with by actions, seen as frames.

    worlds = Worlds(model, settings)
    (shown,) = worlds.begin([0], [context], [seed])       # frames of the start
    (moment,) = worlds.act([0], actions)                  # what the actions of one latent lead to

Each world has a number, its own noise and its own decoder; worlds that were begun together go on together, in
one batch. It needs no gymnasium: episodes.py counts steps in it, world_env.py makes environments of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ...data.environments.action_space import ActionSpace
from ...data.media.pixels import frames_from_pixels
from ...tokenizers.video.protocol import StreamingDecoder, StreamingVideoCodec
from ..clip_codec import ClipCodec
from ..pipeline import VideoLM
from .context import Context
from .rollout import TASK, Rollout, RolloutSettings

Frames = UInt8[Tensor, "frames height width 3"]


@dataclass(frozen=True, eq=False)
class Moment:
    """What the actions of one latent lead to.

    Args:
        frames: one after each action.
        rewards: that each action brought, as the bins of the action space say.
        ends: the episode ends with this frame.
    """

    frames: Frames
    rewards: list[float]
    ends: list[bool]

    @property
    def used(self) -> int:
        """Actions up to the first end; all of them if there is none."""
        return self.ends.index(True) + 1 if any(self.ends) else len(self.ends)

    @property
    def reward(self) -> float:
        """The sum up to the end."""
        return sum(self.rewards[: self.used])

    @property
    def terminated(self) -> bool:
        return any(self.ends)


class FrameStream:
    """Frames of one world, latent by latent; the decoder keeps its causal state, so memory is constant.

    Raises:
        ValueError: if the video tokenizer cannot decode in parts.
    """

    def __init__(self, codec: ClipCodec):
        tokenizer = codec.video_tokenizer
        if not isinstance(tokenizer, StreamingVideoCodec):
            raise ValueError(f"{type(tokenizer).__name__} cannot decode a clip in parts, as a world needs")
        self._stream: StreamingDecoder = tokenizer.decoder_stream()
        self._device = codec.device

    @torch.no_grad()
    def push(self, visual: Int[Tensor, "t h w"]) -> Frames:
        """The frames of the next latents."""
        return frames_from_pixels(self._stream.push(visual[None].to(self._device)))[0].cpu()


@dataclass(eq=False)
class _Group:
    """Worlds that were begun together.

    Args:
        owners: the number of the world in each row; None: that world was begun anew since.
    """

    rollout: Rollout
    owners: list[int | None]


class Worlds:
    """Worlds of one model, by number.

    A world's frames follow from its start, its seed and its actions alone: begun anew, it leaves its batch to
    the others, whose row for it is computed in vain until their window is full.

    Raises:
        ValueError: if the model has no task "world".
    """

    def __init__(self, model: VideoLM, settings: RolloutSettings | None = None):
        model.config.task(TASK)
        self.model, self.settings = model, settings
        self._groups: list[_Group] = []
        self._streams: dict[int, FrameStream] = {}

    @property
    def space(self) -> ActionSpace:
        """What actions mean, and outcomes."""
        space = self.model.config.clips.action_space
        assert space is not None  # a task "world" has one
        return space

    @property
    def stride(self) -> int:
        """Actions, and frames, of a latent."""
        return self.model.config.clips.temporal_stride

    def begin(self, worlds: Sequence[int], starts: Sequence[Context], seeds: Sequence[int]) -> list[Frames]:
        """Begin some worlds, anew if they were begun before; the frames of their starts.

        Args:
            starts: one for each.
            seeds: of the noise of each.
        """
        for group in self._groups:
            group.owners = [None if owner in worlds else owner for owner in group.owners]
        self._groups = [group for group in self._groups if any(owner is not None for owner in group.owners)]
        by_latents: dict[int, list[int]] = {}
        for number, start in enumerate(starts):
            by_latents.setdefault(start.latents, []).append(number)
        for numbers in by_latents.values():
            generators = [torch.Generator(self.model.device).manual_seed(seeds[number]) for number in numbers]
            own = [starts[number] for number in numbers]
            rollout = Rollout(self.model, own, generators, self.settings)
            self._groups.append(_Group(rollout, [worlds[number] for number in numbers]))
        self._streams |= {world: FrameStream(self.model.codec) for world in worlds}
        return [self._streams[world].push(start.visual) for world, start in zip(worlds, starts, strict=True)]

    def act(
        self, worlds: Sequence[int], actions: Int[Tensor, "worlds dimensions steps"]
    ) -> list[Moment]:
        """What some worlds become by the actions of one latent.

        Args:
            worlds: with a world all that were begun together with it, and not anew since.
            actions: codes, as many steps as `stride`.

        Raises:
            ValueError: if a world was not begun, or one is missing that goes on with these.
        """
        found = {}
        for group in [each for each in self._groups if set(each.owners) & set(worlds)]:
            if others := [each for each in group.owners if each is not None and each not in worlds]:
                raise ValueError(f"world {others[0]} goes on with world {worlds[0]}, and has no action")
            self._drop_others_if_free(group)
            rows = [None if owner is None else list(worlds).index(owner) for owner in group.owners]
            idle = torch.zeros_like(actions[0])
            made = group.rollout.advance(torch.stack([idle if row is None else actions[row] for row in rows]))
            for number, owner in enumerate(group.owners):
                if owner is not None:
                    found[owner] = self._moment(owner, made.visual[number], made.outcome[number])
        if missing := [world for world in worlds if world not in found]:
            raise ValueError(f"world {missing[0]} was not begun")
        return [found[world] for world in worlds]

    def context(self, world: int) -> Context:
        """What a world goes on from."""
        for group in self._groups:
            if world in group.owners:
                return group.rollout.contexts[group.owners.index(world)]
        raise ValueError(f"world {world} was not begun")

    def _drop_others_if_free(self, group: _Group) -> None:
        """Where a window begins anyway, leave out the rows of worlds that were begun anew."""
        if group.rollout.is_full and None in group.owners:
            rows = [row for row, owner in enumerate(group.owners) if owner is not None]
            group.rollout.only(rows)
            group.owners = [group.owners[row] for row in rows]

    def _moment(self, world: int, visual: Int[Tensor, "h w"], outcome: Int[Tensor, " steps"]) -> Moment:
        rewards, ends = self.space.decode_outcomes(outcome)
        return Moment(self._streams[world].push(visual[None]), rewards.tolist(), ends.tolist())
