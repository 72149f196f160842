"""Decoding by CUDA graphs: one replay for each position, with the ids of sequential decoding.

A position takes hundreds of kernels, each done sooner than Python can launch the next. So the work between
two ids of a block is recorded once a clip, which takes some hundredths of a second, and then replayed:

    id before -> embedding -> layers -> head -> choice -> id,   column + 1

Nothing in it waits for the CPU: the column is a tensor, and noise is drawn ahead for many positions. A few
rows go through kernels of their own (kernels.py), more rows through `InferenceBody`, which then reads the
whole cache under a mask, since shapes in a graph never change.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .cache import attend_at
from .choice import Chooser
from .decoder import Decoder
from .drawing import POSITIONS_AT_ONCE

_SHORTEST = 16
"""Consecutive positions of one block from which recording pays."""


@torch.inference_mode()
def decide_by_graphs(decoder: Decoder, chooser: Chooser) -> Iterator[int]:
    """Fill in the columns to sample, one after the other; yields how many are launched after each."""
    done, total = 0, len(decoder.rows.sampled)
    graphs: dict[int, PositionGraph] = {}
    while done < total:
        chooser.fill(done)
        done += 1
        yield done
        stop = chooser.stop_of_run(done - 1)
        if stop - done < _SHORTEST or chooser.waits(done):
            continue
        block = decoder.rows.block_of[decoder.rows.sampled[done]]
        if block not in graphs:
            graphs[block] = PositionGraph(decoder, chooser, block, done)
        yield from graphs[block].fill(done, stop)
        done = stop


class PositionGraph:
    """The work between two ids of a block, recorded at the sampled position `first`.

    Args:
        block: of the position and of the one before it.
        first: index of a sampled position; the one before it stands in the column before.
    """

    def __init__(self, decoder: Decoder, chooser: Chooser, block: int, first: int):
        self.decoder, self.chooser, self.block = decoder, chooser, block
        rows = decoder.rows
        device = rows.ids.device
        self.index, self.slot = (torch.zeros(1, dtype=torch.long, device=device) for _ in range(2))
        numbers = sum(chooser.block(first).factors)
        self.noise = torch.zeros(chooser.count, POSITIONS_AT_ONCE, numbers, device=device)
        self.body = _body_of(decoder)
        self.index.fill_(first)
        self.replay = recorded(self._step)

    def fill(self, first: int, stop: int) -> Iterator[int]:
        """Fill in the sampled positions from the one of index `first` up to `stop`."""
        for begin in range(first, stop, POSITIONS_AT_ONCE):
            end = min(begin + POSITIONS_AT_ONCE, stop)
            if self.chooser.settings.temperature:
                self.noise[:, : end - begin].copy_(self.chooser.noise.at(begin, end))
            self.index.fill_(begin)
            self.slot.zero_()
            for done in range(begin, end):
                self.replay()
                self.decoder.cache.length += 1
                yield done + 1

    def _step(self) -> None:
        """Read the column before the position, choose its id, and go on to the next."""
        rows, chooser = self.decoder.rows, self.chooser
        column = chooser.columns[self.index] - 1
        embedded = self.decoder.model.tokens.of_block(self.block, rows.ids.index_select(1, column))
        hidden = self.body(embedded + rows.place.index_select(1, column), column)
        noise = self.noise.index_select(1, self.slot) if chooser.settings.temperature else None
        chosen = chooser.choose(hidden, self.block, self.index, noise)
        rows.ids.index_copy_(1, column + 1, chosen.repeat(len(rows.ids) // len(chosen), 1))
        self.index += 1
        self.slot += 1


def recorded(step: Callable[[], None]) -> Callable[[], None]:
    """A function that replays what `step` does now, on the same tensors. `step` runs once before."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # the set-up and compilation of a first call cannot be recorded
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _body_of(decoder: Decoder) -> Callable[[Tensor, Tensor], Tensor]:
    """(embedded, column) -> hidden state, by kernels for a few rows, else by the decoder's own body."""
    try:
        from . import kernels
    except ImportError:  # PyTorch's CUDA builds bring Triton where there is one
        return partial(_read_column, decoder)
    if not kernels.can_run(decoder.model, len(decoder.rows.ids)):
        return partial(_read_column, decoder)
    return kernels.KernelBody(decoder.model, decoder.cache, decoder.rows.turn, decoder.rows.start)


def _read_column(
    decoder: Decoder, embedded: Float[Tensor, "rows 1 dim"], column: Int[Tensor, " 1"]
) -> Float[Tensor, "rows 1 dim"]:
    """`Decoder.read` of one column that stands in a tensor."""
    cache = decoder.cache
    attend = attend_at(cache.keys, cache.values, column, cache.seen_from(column))
    cosine, sine = (each.index_select(1, column) for each in decoder.rows.turn)
    return decoder.body(embedded, (cosine, sine), attend, 1)
