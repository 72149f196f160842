"""Seeds as people give them: numbers of Python or numpy, or None for a drawn one."""

import secrets
from collections.abc import Sequence
from operator import index
from typing import SupportsIndex

import numpy as np

from ..data.runtime.notes import notify

# What torch.Generator.manual_seed takes.
_LEAST, _MOST = -(2**63), 2**64 - 1
_DRAWN_BELOW = 2**32

Seed = SupportsIndex | None
Seeds = Seed | Sequence[SupportsIndex] | np.ndarray


def seed_of(seed: Seed, count: int = 1) -> int:
    """The first of `count` consecutive seeds; None draws it, and a warning says which it is.

    Raises:
        ValueError: if it is no whole number, or there are no such seeds.
    """
    if seed is None:
        drawn = secrets.randbelow(_DRAWN_BELOW)
        notify(f"no seed is given; {drawn} is drawn, which makes the same again")
        return drawn
    try:
        first = index(seed)
    except TypeError:
        raise ValueError(f"the seed is {seed!r}; expected a whole number or None") from None
    if not _LEAST <= first <= _MOST - count + 1:
        raise ValueError(f"the seed is {first}; expected {_LEAST} to {_MOST} for every clip")
    return first


def seeds_of(seeds: Seeds, count: int) -> list[int]:
    """A seed for each of `count` clips: those given, or the first one's successors.

    Raises:
        ValueError: as `seed_of`, and if other than `count` are given.
    """
    if isinstance(seeds, np.ndarray) and seeds.ndim == 0:
        seeds = seeds.item()
    if seeds is None or not isinstance(seeds, (Sequence, np.ndarray)):
        first = seed_of(seeds, count)
        return list(range(first, first + count))
    if len(seeds) != count:
        raise ValueError(f"{len(seeds)} seeds are given for {count} clips; expected one each")
    return [seed_of(each) for each in seeds]
