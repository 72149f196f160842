"""The super-resolution transformer: hidden codes of a large clip from the codes of a smaller one and a text.

A masked transformer over codes (Kondratyuk et al. 2024, arXiv:2312.14125, section 3.3): all positions see
each other, in windows, and each predicts its code. A block is three layers, whose windows are long in height,
in width and in time. Depth and width are not published; neither are positions: here they are rotary, and a
code of low resolution stands in the middle of the codes that it covers. It is also added to each of them
(`spread`), which the paper does not say: the layers attend to it, and need not find it first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Unpack, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..data.runtime.hub import HubOptions
from ..data.runtime.model_source import part_folder
from ..data.runtime.pretrained import PretrainedMixin
from ..data.runtime.typed_fields import check_fields, check_least
from ..lm.model.attention import Attention, Rotation, masked_attention, rotary_angles, rotation_of
from ..lm.model.embedding import CodeEmbedding
from ..lm.model.heads import Head
from ..lm.model.rms_norm import RMSNorm
from ..lm.vocabulary import Block
from .batch import Condition
from .heads import TiedHead
from .layer import CrossAttention, Seen, Sight, WindowedLayer
from .stage_clips import PART, StageClips
from .windows import Grid, WindowAttention, Windows

_MOST_BLOCKS = 300
_NOISE_WAVES = 4
Wavelengths = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class SuperResolutionConfig:
    """Sizes of the transformer.

    Args:
        dim: features of the residual stream.
        blocks: of three layers each.
        heads: of each attention; each has dim / heads features.
        hidden: width of the feed-forward block between its two matrices.
        vertical: window (t, h, w) of the first layer of a block; windows are cut where the grid ends, and
            those of low resolution are the same divided by the scale in height and width.
        horizontal: of the second layer.
        temporal: of the third layer.
        rotary_dims: features of a head that turn with time, row and column; even, at most dim / heads in all.
        rotary_wavelengths: shortest and longest wavelength of each axis, in latents and codes of the large
            clip.
        head: `tied` predicts the digits of a code independently, as the paper does; `conditional` the later
            ones given the first, as the language model does.
    """

    dim: int = 256
    blocks: int = 2
    heads: int = 8
    hidden: int = 704
    vertical: Grid = (1, 56, 4)
    horizontal: Grid = (1, 8, 32)
    temporal: Grid = (5, 8, 8)
    rotary_dims: tuple[int, int, int] = (8, 12, 12)
    rotary_wavelengths: Wavelengths = ((2.0, 64.0), (4.0, 512.0), (4.0, 512.0))
    head: Literal["tied", "conditional"] = "tied"

    def __post_init__(self) -> None:
        check_fields(self)
        names = ("dim", "blocks", "heads", "hidden", "vertical", "horizontal", "temporal")
        check_least(self, **dict.fromkeys(names, 1), rotary_dims=0)
        if self.blocks > _MOST_BLOCKS:
            raise ValueError(f"blocks is {self.blocks}; expected at most {_MOST_BLOCKS}")
        if self.dim % self.heads:
            raise ValueError(f"dim is {self.dim}; expected a multiple of heads, {self.heads}")
        head_dim = self.dim // self.heads
        if sum(self.rotary_dims) > head_dim or any(dim % 2 for dim in self.rotary_dims):
            raise ValueError(
                f"rotary_dims {self.rotary_dims} must be even and reach at most dim / heads = {head_dim}"
            )
        if any(not 0 < shortest <= longest for shortest, longest in self.rotary_wavelengths):
            raise ValueError(
                f"rotary_wavelengths {self.rotary_wavelengths} must be (shortest, longest) pairs"
            )

    @property
    def windows(self) -> tuple[Grid, Grid, Grid]:
        return (self.vertical, self.horizontal, self.temporal)


@dataclass(frozen=True)
class StageConfig:
    """A stage: sizes of its transformer, and what it turns into what.

    Raises:
        ValueError: if a window does not cover whole codes of low resolution.
    """

    model: SuperResolutionConfig
    clips: StageClips

    def __post_init__(self) -> None:
        for window in self.model.windows:
            _, h, w = Windows.of(self.clips.large.grid, window).window
            if h % self.clips.scale or w % self.clips.scale:
                raise ValueError(
                    f"a window is {window}; expected height and width in multiples of "
                    f"{self.clips.scale}, so that it covers whole codes of low resolution"
                )

    def layer_windows(self) -> list[tuple[Windows, Windows]]:
        """Of the three layers of a block: windows of the large codes and of those of low resolution."""
        scale, low = self.clips.scale, self.clips.low.grid
        found = []
        for window in self.model.windows:
            large = Windows.of(self.clips.large.grid, window)
            t, h, w = large.window
            found.append((large, Windows(low, (t, h // scale, w // scale))))
        return found


class SeenCondition(NamedTuple):
    """What a stage reads of a condition: the same in every step of decoding.

    Args:
        spread: added to the codes of the large clip.
        sights: how each layer sees.
        layers: keys and values of each layer.
    """

    spread: Float[Tensor, "batch positions dim"]
    sights: list[Sight]
    layers: list[tuple[Seen, Seen | None]]


class SuperResolution(PretrainedMixin, nn.Module):
    """One stage: codes of a large clip, some of them hidden, to a prediction of all."""

    kind: ClassVar[str] = "super_resolution"
    config_class: ClassVar[type] = StageConfig

    def __init__(self, config: StageConfig):
        super().__init__()
        self.config = config
        sizes, clips, dim = config.model, config.clips, config.model.dim
        self.block = Block("large", 0, clips.large.factors)
        self.codes = CodeEmbedding(self.block, dim)
        self.hidden_code = nn.Parameter(torch.zeros(dim))
        self.low_codes = CodeEmbedding(Block("low", 0, clips.low.factors), dim)
        self.no_low = nn.Parameter(torch.zeros(dim))
        self.under = nn.Linear(dim, clips.scale**2 * dim, bias=False)
        self.noise = nn.Linear(2 * _NOISE_WAVES, dim, bias=False)
        self.place = nn.Linear(sum(sizes.rotary_dims), dim, bias=False)
        self.text: nn.Embedding | nn.Linear | None = None
        if clips.has_text:
            self.text = (
                nn.Linear(clips.text_width, dim, bias=False)
                if clips.text_width
                else nn.Embedding(clips.text_size, dim)
            )
            self.text_places = nn.Embedding(clips.text_pieces, dim)
            self.no_text = nn.Parameter(torch.zeros(dim))
        self.layers = nn.ModuleList(
            WindowedLayer(dim, sizes.heads, sizes.hidden, clips.has_text) for _ in range(3 * sizes.blocks)
        )
        self.norm = RMSNorm(dim)
        self.head = TiedHead(self.codes, dim) if sizes.head == "tied" else Head(self.block.factors, dim)
        self._attends = [
            (WindowAttention(large, large), WindowAttention(large, low)) for large, low in
            config.layer_windows()
        ]
        self._initialise()

    def forward(
        self, codes: Int[Tensor, "batch t h w"], masked: Bool[Tensor, "batch t h w"], condition: Condition
    ) -> Float[Tensor, "batch positions dim"]:
        """Hidden states, by which `head` predicts the code of every position.

        Args:
            codes: of the large clip; what stands at masked positions does not matter.

        Raises:
            ValueError: if grids or texts are others than the stage's.
        """
        low, text = self.embed_condition(condition)
        hidden = self.embed(codes, masked) + self.spread(low)
        for layer, sight in zip(self.layer_list(), self.sights(condition), strict=True):
            hidden = layer(hidden, low, text, sight)
        return self.norm(hidden)

    def see(self, condition: Condition) -> SeenCondition:
        """What is read of a condition, to be used in several passes (`predict`)."""
        low, text = self.embed_condition(condition)
        sights = self.sights(condition)
        layers = [layer.see(low, text, sight) for layer, sight in zip(self.layer_list(), sights, strict=True)]
        return SeenCondition(self.spread(low), sights, layers)

    def predict(
        self,
        codes: Int[Tensor, "batch t h w"],
        masked: Bool[Tensor, "batch t h w"],
        seen: SeenCondition,
    ) -> Float[Tensor, "batch positions dim"]:
        """As `forward`, with what `see` gave of the condition."""
        hidden = self.embed(codes, masked) + seen.spread
        for layer, sight, read in zip(self.layer_list(), seen.sights, seen.layers, strict=True):
            hidden = layer.after_seeing(hidden, read, sight)
        return self.norm(hidden)

    def layer_list(self) -> list[WindowedLayer]:
        """The layers, the first one first."""
        return cast(list[WindowedLayer], list(self.layers))  # nn.ModuleList knows of modules only

    def embed(
        self, codes: Int[Tensor, "batch t h w"], masked: Bool[Tensor, "batch t h w"]
    ) -> Float[Tensor, "batch positions dim"]:
        """The input of the first layer, without what `spread` adds to it."""
        self._check_grid(codes, self.config.clips.large.grid, "codes of the large clip")
        masked = masked.flatten(1)
        # A code that is hidden may be anything; its embedding must not cost more than a look-up.
        known = self.codes(codes.flatten(1).masked_fill(masked, 0))
        return torch.where(masked[..., None], self.hidden_code.to(known.dtype), known) + self._place(scale=1)

    def embed_condition(
        self, condition: Condition
    ) -> tuple[Float[Tensor, "batch low_positions dim"], Float[Tensor, "batch pieces dim"] | None]:
        """Embeddings of the low-resolution codes and of the text, with one of no text before it."""
        self._check_grid(condition.low, self.config.clips.low.grid, "codes of low resolution")
        low = self.low_codes(condition.low.flatten(1))
        low = torch.where(condition.has_low[:, None, None], low, self.no_low.to(low.dtype))
        low = low + self._place(scale=self.config.clips.scale) + self._noise(condition.noise)[:, None]
        return low, self._embed_text(condition)

    def spread(self, low: Float[Tensor, "batch low_positions dim"]) -> Float[Tensor, "batch positions dim"]:
        """Features of each code of the large clip from the low-resolution code over it, by a matrix for each
        place under it. Cross-attention alone would have to learn which one this is."""
        (t, h, w), scale = self.config.clips.low.grid, self.config.clips.scale
        return rearrange(
            self.under(low), "b (t h w) (p q c) -> b (t h p w q) c", t=t, h=h, w=w, p=scale, q=scale
        )

    def sights(self, condition: Condition) -> list[Sight]:
        """How each layer sees."""
        text = None
        if self.text is not None:
            pieces = 0 if condition.text is None else condition.text.shape[1]
            text = _TextAttention(condition.text_length, pieces)
        large, low = self._rotation(scale=1), self._rotation(scale=self.config.clips.scale)
        of_block = [Sight(own, seen, text, large, low) for own, seen in self._attends]
        return of_block * self.config.model.blocks

    @classmethod
    def from_model(cls, model: str | Path, stage: str, **hub: Unpack[HubOptions]) -> "SuperResolution":
        """A stage of a model folder, by its name (`StageClips.name`); errors as `from_pretrained`.

        Args:
            model: a folder or a name, as `model_folder` takes them.
            hub: for a name on Hugging Face's hub.
        """
        return cls.from_pretrained(part_folder(model, f"{PART}/{stage}", **hub))

    def _embed_text(self, condition: Condition) -> Tensor | None:
        if self.text is None:
            if condition.text is not None:
                raise ValueError("a text is given, and this stage was trained without text")
            return None
        batch = len(condition.low)
        nothing = self.no_text.expand(batch, 1, -1)
        if condition.text is None:
            return nothing
        most = self.config.clips.text_pieces
        if condition.text.shape[1] > most:
            raise ValueError(f"a text has {condition.text.shape[1]} pieces; this stage reads {most} at most")
        text = condition.text
        if isinstance(self.text, nn.Linear):
            text = text.to(self.text.weight.dtype)
        embedded = self.text(text) + self.text_places.weight[: text.shape[1]]
        return torch.cat((nothing.to(embedded.dtype), embedded), dim=1)

    def _noise(self, level: Float[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        """An embedding of the level of noise; that of no noise is one too."""
        waves = torch.arange(1, _NOISE_WAVES + 1, device=level.device) * (torch.pi / 2)
        angles = level[:, None] * waves
        features = torch.cat((angles.cos(), angles.sin()), dim=-1)
        return self.noise(features.to(self.noise.weight.dtype))

    def _place(self, scale: int) -> Float[Tensor, "1 positions dim"]:
        """An embedding of each position of the large grid, or of the low-resolution one."""
        angles = self._angles(scale)
        return self.place(torch.cat((angles.cos(), angles.sin()), dim=-1).to(self.place.weight.dtype))

    def _rotation(self, scale: int) -> Rotation:
        angles = self._angles(scale)[:, None]
        half = self.config.model.dim // self.config.model.heads // 2
        return rotation_of(F.pad(angles, (0, half - angles.shape[-1])))

    def _angles(self, scale: int) -> Float[Tensor, "1 positions waves"]:
        grid = self.config.clips.large.grid if scale == 1 else self.config.clips.low.grid
        sizes, device = self.config.model, self.hidden_code.device
        coordinates = grid_coordinates(grid, scale).to(device)[None]
        return rotary_angles(coordinates, sizes.rotary_dims, sizes.rotary_wavelengths)

    def _check_grid(self, codes: Tensor, grid: Grid, what: str) -> None:
        if tuple(codes.shape[1:]) != grid:
            raise ValueError(f"{what} are {tuple(codes.shape[1:])}; this stage has {grid}")

    def _initialise(self) -> None:
        """Matrices keep the variance; heads start at zero, so that the first loss is that of guessing."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5)
        for linear in self.head.digits:
            nn.init.zeros_(linear.get_parameter("weight"))
        for module in self.modules():
            if isinstance(module, (Attention, CrossAttention, WindowedLayer)):
                nn.init.zeros_(module.project_out.weight)


class _TextAttention:
    """Attention to the embedding of no text, and to the pieces of each row's own text; an `Attend`."""

    def __init__(self, length: Int[Tensor, " batch"], pieces: int):
        places = torch.arange(pieces + 1, device=length.device)
        self.mask = (places <= length[:, None])[:, None, None]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return masked_attention(queries, keys, values, self.mask)


def grid_coordinates(grid: Grid, scale: int = 1) -> Float[Tensor, "positions 3"]:
    """(t, h, w) of every code of a grid, in codes of the large grid.

    Args:
        scale: large codes side by side that a code covers; it stands in the middle of them.
    """
    t, h, w = (torch.arange(size, dtype=torch.float32) for size in grid)
    middle = (scale - 1) / 2
    return torch.cartesian_prod(t, h * scale + middle, w * scale + middle)
