"""One position a pass through a function that is compiled once, since none of its shapes ever changes.

The whole cache is read in every pass, with a mask over the columns that are not filled yet, and what differs
between passes stands in tensors. Compiling takes a minute, once for every model, size of batch and length of
clip, and saves next to nothing on CPUs. On GPUs with CUDA a pass is recorded instead (graphs.py).
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
    """Read one column: its keys and values are put into the cache, its hidden state is returned."""
    return model.body(embedded, rotation, attend_at(*cached, column, seen))


@cache
def compiled_step(backend: str) -> Callable[..., Tensor]:
    """`step`, which is compiled when it is first called with tensors of some shapes."""
    return torch.compile(step, backend=backend, dynamic=False)
