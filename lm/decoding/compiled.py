"""Decoding by torch.compile: the pass over one position is compiled once, since its shapes never change.

Every pass reads the whole cache under a mask over the unfilled columns, and whatever differs between passes
is a tensor. Compiling takes a minute for each model, batch size and clip length, and saves next to nothing on
CPUs. With CUDA a pass is recorded instead (graphs.py).
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..model.attention import Rotation
from ..model.transformer import PrefixLM
from .cache import attend_at
from .decoder import Decoder
from .rows import Rows


class CompiledDecoder(Decoder):
    """A `Decoder` whose passes behind the prompts read one column each.

    Args:
        backend: of torch.compile.
    """

    def __init__(self, model: PrefixLM, rows: Rows, backend: str = "inductor"):
        super().__init__(model, rows)
        for layer in model.layer_list():
            layer.attention.read_uncompiled()
        self._step = compiled_step(backend)

    def read(self, stop: int, wanted: int = 1) -> Float[Tensor, "rows {wanted} dim"]:
        if self.cache.length == 0:
            return super().read(stop, wanted)
        assert wanted == 1
        for column in range(self.cache.length, stop - 1):  # markers between blocks
            self._read_column(column)
        return self._read_column(stop - 1)

    def _read_column(self, first: int) -> Float[Tensor, "rows 1 dim"]:
        stop = self.cache.length = first + 1
        column = torch.tensor([first], device=self.rows.ids.device)
        return self._step(
            self.model,
            self._embedded(first, stop) + self.rows.place[:, first:stop],
            self.rows.rotation(first, stop),
            (self.cache.keys, self.cache.values),
            column,
            self.cache.seen_from(column),
        )


def step(
    model: PrefixLM,
    embedded: Float[Tensor, "rows 1 dim"],
    rotation: Rotation,
    cached: tuple[list[Tensor], list[Tensor]],
    column: Int[Tensor, " 1"],
    seen: Bool[Tensor, "#rows 1 1 columns"],
) -> Float[Tensor, "rows 1 dim"]:
    """Read one column: puts its keys and values into the cache and returns its hidden state."""
    return model.body(embedded, rotation, attend_at(*cached, column, seen))


@cache
def compiled_step(backend: str) -> Callable[..., Tensor]:
    """`step`, compiled at the first call with tensors of some shapes."""
    return torch.compile(step, backend=backend, dynamic=False)
