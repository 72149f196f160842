"""What a stage costs: floating-point operations (FLOPs) of a pass over a clip, and parameters by part.

Counted as for the language model (lm/training/costs.py): two operations for each multiplication that the
mathematics needs; pairs of a query and a key count if the key is no padding.
"""

from dataclasses import dataclass
from math import prod

from torch import nn

from ...lm.training.costs import matrix_weights
from ..transformer import StageConfig, SuperResolution
from ..windows import Windows


@dataclass(frozen=True)
class PassFlops:
    """Operations of one pass over one clip.

    Args:
        pairs: scores of attention and the sums of values, in windows and of the text.
        matrices: products with weights in the layers, and before them (`SuperResolution.spread`).
        heads: from hidden states to the logits of all positions.
    """

    pairs: int
    matrices: int
    heads: int

    @property
    def total(self) -> int:
        return self.pairs + self.matrices + self.heads


def pass_flops(model: SuperResolution, pieces: int | None = None) -> PassFlops:
    """Operations of a forward pass over one clip; with its backward pass three times as many.

    Args:
        pieces: of the text; as many as the stage reads at most if not given.
    """
    config = model.config
    large, low = (prod(clips.grid) for clips in (config.clips.large, config.clips.low))
    words = 0
    if config.clips.has_text:
        words = 1 + (config.clips.text_pieces if pieces is None else pieces)
    pairs = config.model.blocks * sum(window_pairs(config)) + len(model.layers) * large * words
    weights = low * matrix_weights(model.under)
    for layer in model.layer_list():
        weights += large * matrix_weights(layer)
        # Keys and values of what is seen are made once for each of its positions, not of the large clip's.
        weights += (low - large) * matrix_weights(layer.low_attention.project_in)
        if layer.text_attention is not None:
            weights += (words - large) * matrix_weights(layer.text_attention.project_in)
    heads = matrix_weights(model.head)
    if config.model.head == "tied":
        heads += config.model.dim * sum(model.block.factors)
    return PassFlops(2 * 2 * config.model.dim * pairs, 2 * weights, 2 * large * heads)


def window_pairs(config: StageConfig) -> list[int]:
    """Pairs of a query and a key in each layer of a block, the keys of low resolution included."""
    return [_pairs(large, large) + _pairs(large, low) for large, low in config.layer_windows()]


def full_pairs(config: StageConfig) -> int:
    """As `window_pairs` of a layer without windows."""
    large, low = (prod(clips.grid) for clips in (config.clips.large, config.clips.low))
    return large * (large + low)


@dataclass(frozen=True)
class StageParameters:
    """Number of parameters of each part.

    Args:
        body: the layers and the last norm.
        embeddings: of codes, places, noise and text.
        head: between hidden states and logits, without tied embeddings.
    """

    body: int
    embeddings: int
    head: int

    @classmethod
    def of(cls, model: SuperResolution) -> "StageParameters":
        body, head = _count(model.layers) + _count(model.norm), _count(model.head)
        return cls(body, _count(model) - body - head, head)

    @property
    def total(self) -> int:
        return self.body + self.embeddings + self.head


def _pairs(queries: Windows, keys: Windows) -> int:
    counts = [windows.mask() for windows in (queries, keys)]
    sizes = [
        [windows.length] * windows.count if mask is None else mask.sum(1).tolist()
        for windows, mask in zip((queries, keys), counts, strict=True)
    ]
    return sum(own * seen for own, seen in zip(*sizes, strict=True))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
