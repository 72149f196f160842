"""Jacobi decoding: several positions in a pass, with exactly the ids of sequential decoding.

The id of a position is a function of the ids before it and of the position's own noise (drawing.py). So a
pass may read guesses of the next ids and choose an id behind each. Up to the first choice that disagrees with
its guess, and including it, the choices are those of sequential decoding; the later ones are the guesses of
the next pass. This is a fixed-point iteration (Song et al. 2021, arXiv:2002.03629). The noise is the same in
every pass: then a context that is nearly right hardly ever changes a choice, while fresh noise would change
every uncertain one.

    read     a b | c' d' e'       b was chosen last; c' d' e' are guesses
    chosen         c  d  e  f     c = c' and d = d', but e is not e': c, d and e stay, f is a guess

The first guess at a position is the id at its place in a clip that is given, or else one latent earlier.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from .choice import Chooser
from .decoder import Decoder


@torch.inference_mode()
def decide_in_parallel(decoder: Decoder, chooser: Chooser, window: int) -> Iterator[int]:
    """Fill in the columns to sample, up to `window` in a pass; yields how many are filled after each pass.

    Rows advance together, by the number of ids that agree in all of them.
    """
    rows = decoder.rows
    sources = rows.at_same_place([0, 1])
    done = guessed = 0
    while done < len(rows.sampled):
        first = rows.sampled[done]
        stop = first + (1 if decoder.cache.length == 0 else _reach(decoder, done, window))
        for column in range(max(first, guessed), stop - 1):
            rows.ids[:, column] = _guess(decoder, column, sources[column])
        guessed = stop
        guesses = rows.ids[: chooser.count, first:stop].clone()
        chosen = chooser(decoder.read(stop - 1, wanted=stop - first), done)
        rows.ids[:, first:stop] = chosen.repeat(len(rows.ids) // chooser.count, 1)
        agreed = _agreed(guesses[:, :-1], chosen[:, :-1])
        # The column that was read with a wrong guess is read again; what was read behind it, too.
        decoder.cache.length = first + agreed
        done += agreed + 1
        yield done


def _reach(decoder: Decoder, done: int, window: int) -> int:
    """How many consecutive columns of one block, at most `window`, follow from sampled index `done` on."""
    rows = decoder.rows
    first = rows.sampled[done]
    for count in range(1, min(window, len(rows.sampled) - done)):
        column = rows.sampled[done + count]
        if column != first + count or rows.block_of[column] != rows.block_of[first]:
            return count
    return min(window, len(rows.sampled) - done)


def _guess(decoder: Decoder, column: int, source: int) -> Int[Tensor, " rows"]:
    """Ids from the column `source`, or the one before; the first of the block where these are of another."""
    rows = decoder.rows
    block = decoder.model.blocks[rows.block_of[column]]
    ids = rows.ids[:, source if source >= 0 else column - 1]
    return ids.where((ids >= block.start) & (ids < block.stop), block.start)


def _agreed(guesses: Int[Tensor, "rows guesses"], chosen: Int[Tensor, "rows guesses"]) -> int:
    """How many of the first guesses were right in every row."""
    return int((guesses == chosen).all(0).cumprod(0).sum())
