"""Which kinds of examples share a row of a packed batch: the same for every block of steps.

    shares of the kinds  ->  how many of each in a block  ->  rows, each filled with the longest that fit
                                                              (NaViT's patch n' pack, Dehghani et al. 2023,
                                                              arXiv:2307.06304)

A block holds every kind as often as its share says and has a fixed number of steps, so that the examples of
any step have numbers that follow from the step alone, without a gap between one step's and the next one's.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...data.loading.buckets import whole_parts

_LEAST, _MOST = 256, 10_000  # examples of a block
_PACKING = 7  # first word of the seed of the order of rows; mixture.py has those up to 6
Row = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """The rows of so many steps, all processes' together.

    Args:
        rows: kinds of the examples in each row.
        steps: over which the rows are dealt out evenly.
    """

    rows: tuple[Row, ...]
    steps: int

    @property
    def counts(self) -> Counter[int]:
        """Examples of each kind."""
        return Counter(kind for row in self.rows for kind in row)

    def order(self, *seed: int) -> np.ndarray:
        """Of the rows, in the block of this seed."""
        return np.random.default_rng((_PACKING, *seed)).permutation(len(self.rows))


@lru_cache(maxsize=16)
def plan_block(
    shares: tuple[float, ...], lengths: tuple[int, ...], room: int, rows_a_step: int
) -> Block:
    """The block of kinds that are drawn by these shares.

    Args:
        shares: of the examples, by kind.
        lengths: positions that an example of each kind is given, none more than `room`.
        room: positions of a row.
        rows_a_step: of all processes together.
    """
    wanted = min(max(_LEAST, round(2 / min(share for share in shares if share))), _MOST)
    steps = -(-len(_rows(shares, lengths, room, wanted)) // rows_a_step)
    fewest, most = steps * rows_a_step, steps * rows_a_step * max(room // min(lengths), 1)
    while fewest < most:  # the most examples that these steps have room for
        middle = (fewest + most + 1) // 2
        fits = len(_rows(shares, lengths, room, middle)) <= steps * rows_a_step
        fewest, most = (middle, most) if fits else (fewest, middle - 1)
    rows = _rows(shares, lengths, room, fewest)
    while len(rows) < steps * rows_a_step:  # a row for everybody, at the cost of the fullest
        rows.sort(key=len)
        fullest = rows.pop()
        rows += [fullest[: len(fullest) // 2], fullest[len(fullest) // 2 :]]
    return Block(tuple(rows), steps)


def _rows(shares: Sequence[float], lengths: Sequence[int], room: int, examples: int) -> list[Row]:
    left = dict(enumerate(whole_parts(shares, examples)))
    longest_first = sorted(left, key=lambda kind: -lengths[kind])
    rows = []
    while any(left.values()):
        row, free = [], room
        for kind in longest_first:
            count = min(left[kind], free // lengths[kind])
            row += [kind] * count
            left[kind] -= count
            free -= count * lengths[kind]
        rows.append(tuple(row))
    return rows
