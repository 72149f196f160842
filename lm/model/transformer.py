"""The prefix language model: from ids and their layout to hidden states, which the heads turn into logits."""

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import ClassVar, Literal, Unpack, cast

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...data.runtime.hub import HubOptions
from ...data.runtime.model_source import part_folder
from ...data.runtime.pretrained import PretrainedMixin, check_fit, load_weights, read_config
from ...data.runtime.typed_fields import check_fields, check_least
from ..batch import Batch
from ..vocabulary import Block, Vocabulary
from .attention import Attend, Attention, Rotation, rotary_angles, rotation_of
from .embedding import PlaceEmbedding, TokenEmbedding
from .heads import Head
from .layer import Layer
from .prefix_attention import prefix_attention
from .rms_norm import RMSNorm

_MOST_LAYERS = 1000
Wavelengths = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class LMConfig:
    """Sizes of the model.

    Learning rates found at one width hold at another if that of the layers' matrices (Muon's) stays as it is
    and that of everything else (AdamW's) falls as 1 / dim: activations and logits then change at one pace.
    An orthogonal update changes what a matrix gives by one share at every width, whereas AdamW moves each
    of the dim weights behind a logit equally far (Yang et al. 2022, arXiv:2203.03466, table 3).

    Args:
        dim: features of the residual stream.
        layers: number of layers.
        heads: query heads; each has dim / heads features.
        kv_heads: heads of keys and values, each shared by heads / kv_heads query heads.
        hidden: width of the feed-forward block between its two matrices.
        rotary_dims: features of a head that turn with time, row and column; even, at most dim / heads in all.
            The other features do not turn: by them a code finds the words of a text from any position.
        rotary_wavelengths: shortest and longest wavelength of each axis. Grids are small: rows and columns
            number at most 64, so wavelengths from 4 (a quarter turn a step) to 256 (no whole turn over the
            grid) tell all distances apart; with the usual 10,000 most features would hardly turn. Time is
            in video latents: an audio code is about 1/20 after the last, so wavelengths start at 0.5.
        segments: roles that a position may have.
        head: `factorized` predicts a code digit by digit, `full` by one softmax over its whole block.
        visual_factors: sizes of the digits of a visual code, the lowest first, where they are not to be the
            tokenizer's, such as (64, 4096) for 6 + 12 bits in place of 9 + 9.
        feature_width: of the features that come with a batch, such as a frozen text encoder's; 0 without.
    """

    dim: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 4
    hidden: int = 704
    rotary_dims: tuple[int, int, int] = (8, 8, 8)
    rotary_wavelengths: Wavelengths = ((0.5, 512.0), (4.0, 256.0), (4.0, 256.0))
    segments: int = 32
    head: Literal["factorized", "full"] = "factorized"
    visual_factors: tuple[int, ...] | None = None
    feature_width: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        names = ("dim", "heads", "kv_heads", "hidden", "segments")
        check_least(self, **dict.fromkeys(names, 1), layers=0, rotary_dims=0, feature_width=0)
        if self.layers > _MOST_LAYERS:
            raise ValueError(f"layers is {self.layers}; expected at most {_MOST_LAYERS}")
        if self.dim % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"dim {self.dim}, heads {self.heads} and kv_heads {self.kv_heads}: "
                "each must be a multiple of the next"
            )
        if sum(self.rotary_dims) > self.head_dim or any(dim % 2 for dim in self.rotary_dims):
            raise ValueError(
                f"rotary_dims {self.rotary_dims} must be even and reach at most dim / heads = {self.head_dim}"
            )
        if any(not 0 < shortest <= longest for shortest, longest in self.rotary_wavelengths):
            raise ValueError(
                f"rotary_wavelengths {self.rotary_wavelengths} must be (shortest, longest) pairs"
            )
        if self.head not in ("factorized", "full"):
            raise ValueError(f"head is {self.head!r}; expected 'factorized' or 'full'")
        if self.visual_factors is not None and self.head == "full":
            raise ValueError(f"head 'full' splits no codes; visual_factors is {self.visual_factors}")

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


class PrefixLM(PretrainedMixin, nn.Module):
    """Transformer over a `Batch`; it knows ranges of ids and coordinates, never what they mean.

    Args:
        config: sizes.
        vocabulary: the blocks of ids. Every block but `special`, whose ids are always given, has a head.
    """

    kind: ClassVar[str] = "prefix_lm"
    config_class: ClassVar[type] = LMConfig

    def __init__(self, config: LMConfig, vocabulary: Vocabulary):
        super().__init__()
        self.config = config
        self.blocks = tuple(_as_predicted(block, config) for block in vocabulary.blocks)
        self.tokens = TokenEmbedding(self.blocks, config.dim)
        self.places = PlaceEmbedding(config.segments, sum(config.rotary_dims) // 2, config.dim)
        # One linear map, as VideoPoet has it (Kondratyuk et al. 2024, arXiv:2312.14125, section 3.1).
        width = config.feature_width
        self.features = nn.Linear(width, config.dim, bias=False) if width else None
        sizes = (config.dim, config.heads, config.kv_heads, config.hidden)
        self.layers = nn.ModuleList(Layer(index, *sizes) for index in range(config.layers))
        self.norm = RMSNorm(config.dim)
        self.heads = nn.ModuleDict(
            {block.name: Head(block.factors, config.dim) for block in self.blocks if block.name != "special"}
        )
        self.initialise()

    def forward(self, batch: Batch) -> Float[Tensor, "batch length dim"]:
        """Hidden states; the one at position i is read by the head of position i + 1."""
        return self.body(
            self.tokens(batch.ids, batch.block) + self.place(batch),
            self.rotation(batch.coordinates),
            prefix_attention(batch, self.config.head_dim),
        )

    def head(self, block: str) -> Head:
        """The head of the block of this name."""
        return cast(Head, self.heads[block])  # nn.ModuleDict knows of modules only

    def layer_list(self) -> list[Layer]:
        """The layers, the first one first."""
        return cast(list[Layer], list(self.layers))  # nn.ModuleList knows of modules only

    def place(self, batch: Batch) -> Float[Tensor, "batch length dim"]:
        """The part of the input that no id changes: what the layout fixes, and given features."""
        following = F.pad(batch.example[:, 1:], (0, 1), value=-1)
        has_next = ((following == batch.example) & (following >= 0)).float()
        placed = self.places(batch.segment, self._angles(batch.coordinates), has_next)
        return self._with_features(placed, batch)

    def rotation(self, coordinates: Float[Tensor, "batch length 3"]) -> Rotation:
        """What `rotate` turns queries and keys by."""
        angles = self._angles(coordinates)[:, None]
        angles = F.pad(angles, (0, self.config.head_dim // 2 - angles.shape[-1]))
        return rotation_of(angles)

    def body(
        self, embedded: Float[Tensor, "batch length dim"], rotation: Rotation, attend: Attend
    ) -> Float[Tensor, "batch length dim"]:
        """All layers and the last norm; `attend` knows which keys and values a layer's queries see."""
        hidden = embedded
        for layer in self.layers:
            hidden = layer(hidden, rotation, attend)
        return self.norm(hidden)

    def _with_features(self, placed: Tensor, batch: Batch) -> Tensor:
        given, places = batch.features, batch.features_at
        if self.features is None:
            if given is not None:
                raise ValueError(f"the batch has features of width {given.shape[1]}; this model takes none")
            return placed
        if given is None or places is None:
            # It takes part all the same, so that it has a gradient on every process.
            given = placed.new_zeros(0, self.config.feature_width)
            places = batch.row.new_zeros(0, 2)
        projected = self.features(given.to(self.features.weight.dtype)).to(placed.dtype)
        return placed.index_put(tuple(places.unbind(1)), projected, accumulate=True)

    def _angles(self, coordinates: Tensor) -> Tensor:
        return rotary_angles(coordinates, self.config.rotary_dims, self.config.rotary_wavelengths)

    def initialise(self) -> None:
        """Matrices keep the variance; heads start at zero, so that the first loss is that of guessing."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5)
            elif isinstance(module, RMSNorm):
                nn.init.ones_(module.weight)
        for module in self.modules():
            if isinstance(module, Head):
                for linear in module.digits:
                    nn.init.zeros_(linear.get_parameter("weight"))
            elif isinstance(module, (Attention, Layer)):
                nn.init.zeros_(module.project_out.weight)

    @classmethod
    def from_pretrained(  # pyright: ignore
        cls, model: str | Path, vocabulary: Vocabulary | None = None, **hub: Unpack[HubOptions]
    ) -> "PrefixLM":
        """Load a folder that `save_pretrained` wrote, in evaluation mode.

        Args:
            model: that folder, or a model that has it: a folder or a name, as `model_folder` takes them.
            vocabulary: if not given, vocabulary.json of the model.
            hub: for a name on Hugging Face's hub.

        Raises:
            FileNotFoundError: if there is no such model, or a file is missing.
            ValueError: if it holds another kind of model or weights that do not fit config and vocabulary.
        """
        folder = part_folder(model, "lm", **hub)
        vocabulary = vocabulary or Vocabulary.load(folder.parent / "vocabulary.json")
        config = read_config(folder, cls.kind, cls.config_class)
        check_fit(lambda: cls(config, vocabulary), folder, "its config.json and this vocabulary")
        loaded = cls(config, vocabulary)
        load_weights(loaded, folder)
        return loaded


def _as_predicted(block: Block, config: LMConfig) -> Block:
    """The block with the digits by which the model reads and predicts its codes: one for the full head."""
    if config.head == "full":
        return replace(block, factors=(block.size,))
    if block.name != "visual" or config.visual_factors is None:
        return block
    if prod(config.visual_factors) != block.size:
        raise ValueError(
            f"visual_factors {config.visual_factors} make {prod(config.visual_factors)} codes; "
            f"expected {block.size}, as the vocabulary has them"
        )
    return replace(block, factors=config.visual_factors)
