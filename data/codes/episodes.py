"""Codes of episodes: clips with actions, each of its own length, one behind the other in a shard.

    visual   (latents, h, w)        all clips' latents          counts   (clips)  latents of each
    actions  (steps, dimensions)    all clips' actions          outcome  (steps)
    audio    (frames, levels)       all clips' sound; zeros of a clip that has none

    codes_of(shard, row)["visual"]     (t h w)              latent 0 is a first frame's, the others are not
    codes_of(shard, row)["actions"]    (dimensions steps)   steps = (t - 1) * temporal stride
    codes_of(shard, row)["outcome"]    (steps)

With a temporal stride of s, actions s * (l - 1) … s * l - 1 lead from latent l - 1 to latent l, and so do
their outcomes: which action belongs to which frame says data/environments/action_space.py.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ..environments.action_space import ACTIONS, OUTCOME
from .clip_format import ClipFormat

COUNTS = "counts"
_ALONG = {"audio": 1, ACTIONS: 1}  # the axis of time; of other codes it is the first


class EpisodeRows:
    """The episodes of one shard, by number.

    Args:
        opened: a safetensors file.
        clips: their format.
        clips_there: how many there are.

    Raises:
        ValueError: if the tensors do not fit each other.
    """

    def __init__(self, opened: Any, clips: ClipFormat, clips_there: int):
        self._opened, self._clips = opened, clips
        held = opened.get_tensor(COUNTS) if COUNTS in set(opened.keys()) else torch.zeros(0)
        counts = [int(each) for each in held.reshape(-1)]
        if len(counts) != clips_there or min(counts) < 2:
            expected = f"expected {clips_there}, each of 2 latents or more"
            raise ValueError(f"it has lengths of {len(counts)} episodes; {expected}")
        self._spans: dict[str, list[tuple[int, int]]] = {}
        for name in clips.shapes:
            lengths = [clips.episode_shapes(count)[name][_ALONG.get(name, 0)] for count in counts]
            ends = torch.tensor(lengths).cumsum(0).tolist()
            rows = opened.get_slice(name).get_shape()[0]
            if rows != ends[-1]:
                raise ValueError(f"it has {rows} {name} codes; expected {ends[-1]}")
            self._spans[name] = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]

    def codes(self, row: int, name: str) -> Int[Tensor, "..."]:
        first, last = self._spans[name][row]
        return self._opened.get_slice(name)[first:last].movedim(0, _ALONG.get(name, 0)).long()


def joined(waiting: Sequence[dict[str, Tensor]], clips: ClipFormat) -> dict[str, Tensor]:
    """The tensors of a shard, all in 64 bits, from the codes of its episodes."""
    counts = [len(codes["visual"]) for codes in waiting]
    tensors = {COUNTS: torch.tensor(counts)}
    for name in clips.shapes:
        parts = (
            codes.get(name, torch.zeros(clips.episode_shapes(count)[name])).cpu().long()
            for codes, count in zip(waiting, counts, strict=True)
        )
        tensors[name] = torch.cat([part.movedim(_ALONG.get(name, 0), 0) for part in parts]).contiguous()
    return tensors


def check_episode(codes: dict[str, Tensor], clips: ClipFormat, name: str) -> None:
    """Raise a ValueError if the codes of an episode do not fit each other, or the format.

    Args:
        name: of the episode, for the message.
    """
    missing = [each for each in clips.shapes if each != "audio" and each not in codes]
    if missing:
        raise ValueError(f"{name} has no {missing[0]} codes")
    latents = len(codes["visual"])
    if latents < 2:
        raise ValueError(f"{name} has {latents} latents; an episode has 2 or more")
    shapes = clips.episode_shapes(latents)
    for part, found in codes.items():
        if tuple(found.shape) != shapes.get(part):
            raise ValueError(
                f"{part} codes of {name} have the shape {tuple(found.shape)}; expected "
                f"{shapes.get(part, 'none')} beside {latents} latents"
            )
    space = clips.action_space
    assert space is not None
    space.check(codes[ACTIONS])
    space.decode_outcomes(codes[OUTCOME])
