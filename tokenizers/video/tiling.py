"""Frames too large to go through a tokenizer at once: tiles that overlap.

Codes are taken from the middle of each tile, and pixels blended where tiles overlap. Memory follows the
tile, not the frame. The result is not that of the whole: a tile does not see beyond its edge, and the norms
take their means from the tile alone. `videolm tokenizer reconstruct --tile` shows what that costs on a clip.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .protocol import StreamingVideoCodec, VideoCodec

Pixels = Float[Tensor, "batch 3 frames height width"]
Codes = Int[Tensor, "batch t h w"]
Tile = tuple[slice, slice]
"""Rows and columns of a tile, in codes."""


class TiledVideoTokenizer(nn.Module):
    """A tokenizer whose frames go through it in tiles, also of clips that come in parts.

    Args:
        tile: height and width of a tile in pixels, at most.
        overlap: pixels that neighbouring tiles share, at least.

    Raises:
        ValueError: if tile or overlap are no multiples of the tokenizer's spatial stride, or overlap is not
            smaller than tile.
    """

    def __init__(self, tokenizer: VideoCodec, tile: int, overlap: int):
        super().__init__()
        stride = tokenizer.spatial_stride
        if tile % stride or overlap % stride or not 0 <= overlap < tile:
            raise ValueError(
                f"tile is {tile} and overlap {overlap}; expected multiples of {stride}, "
                "the overlap the smaller"
            )
        self.tokenizer = tokenizer
        self.tile, self.overlap = tile // stride, overlap // stride

    @property
    def codebook_size(self) -> int:
        return self.tokenizer.codebook_size

    @property
    def factors(self) -> tuple[int, ...]:
        return self.tokenizer.factors

    @property
    def temporal_stride(self) -> int:
        return self.tokenizer.temporal_stride

    @property
    def spatial_stride(self) -> int:
        return self.tokenizer.spatial_stride

    @property
    def fingerprint(self) -> str:
        """That of the tokenizer: either way of coding understands the other's codes."""
        return self.tokenizer.fingerprint

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.tokenizer.grid(num_frames, height, width)

    def save_pretrained(self, folder: str | Path) -> None:
        self.tokenizer.save_pretrained(folder)

    @torch.no_grad()
    def encode(self, pixels: Pixels) -> Codes:
        return self._encoded(pixels, [self.tokenizer.encode] * len(self._tiles_of(pixels)))

    @torch.no_grad()
    def decode(self, codes: Codes) -> Pixels:
        return self._decoded(codes, [self.tokenizer.decode] * len(self._tiles(*codes.shape[2:])))

    def encoder_stream(self) -> "TiledEncoderStream":
        return TiledEncoderStream(self)

    def decoder_stream(self) -> "TiledDecoderStream":
        return TiledDecoderStream(self)

    def streaming(self) -> StreamingVideoCodec:
        """The tokenizer, if it codes clips that come in parts.

        Raises:
            ValueError: if it does not.
        """
        if not isinstance(self.tokenizer, StreamingVideoCodec):
            raise ValueError(f"{type(self.tokenizer).__name__} takes clips as a whole, so not in tiles")
        return self.tokenizer

    def _tiles_of(self, pixels: Pixels) -> list[Tile]:
        return self._tiles(*(size // self.spatial_stride for size in pixels.shape[3:]))

    def _tiles(self, height: int, width: int) -> list[Tile]:
        return [(rows, columns) for rows in self._spans(height) for columns in self._spans(width)]

    def _spans(self, size: int) -> list[slice]:
        """Tiles along one axis; the last one ends at its end."""
        spans, start = [], 0
        while start + self.tile < size:
            spans.append(slice(start, start + self.tile))
            start = min(start + self.tile - self.overlap, size - self.tile)
        return [*spans, slice(start, size)]

    def _encoded(self, pixels: Pixels, encoders: Sequence[Callable[[Tensor], Tensor]]) -> Codes:
        """Each tile's codes, without the half of the overlap next to the tile before it."""
        stride, margin = self.spatial_stride, self.overlap // 2
        codes = None
        for (rows, columns), encode in zip(self._tiles_of(pixels), encoders, strict=True):
            part = encode(pixels[:, :, :, *_scaled((rows, columns), stride)])
            if codes is None:
                size = (size // stride for size in pixels.shape[3:])
                codes = part.new_zeros(*part.shape[:2], *size)
            top, left = (margin if span.start else 0 for span in (rows, columns))
            place = (slice(rows.start + top, rows.stop), slice(columns.start + left, columns.stop))
            codes[:, :, *place] = part[:, :, top:, left:]
        assert codes is not None
        return codes

    def _decoded(self, codes: Codes, decoders: Sequence[Callable[[Tensor], Tensor]]) -> Pixels:
        """The weighted mean of the tiles' pixels; weights fall towards the edges of a tile."""
        stride = self.spatial_stride
        total = weight = None
        for tile, decode in zip(self._tiles(*codes.shape[2:]), decoders, strict=True):
            pixels = decode(codes[:, :, *tile])
            if total is None or weight is None:
                total = pixels.new_zeros(*pixels.shape[:3], *(size * stride for size in codes.shape[2:]))
                weight = pixels.new_zeros(total.shape[3:])
            rows, columns = (_ramp(size, self.overlap * stride) for size in pixels.shape[3:])
            share = (rows[:, None] * columns).to(pixels)
            place = _scaled(tile, stride)
            total[:, :, :, *place] += pixels * share
            weight[place] += share
        assert total is not None and weight is not None
        return total / weight


class TiledEncoderStream:
    """A stream for each tile; all tiles have seen the same frames."""

    def __init__(self, tiled: TiledVideoTokenizer):
        self.tiled, self.source = tiled, tiled.streaming()
        self.streams: list = []

    @property
    def pending(self) -> int:
        return self.streams[0].pending if self.streams else 0

    def push(self, pixels: Pixels) -> Codes:
        if not self.streams:
            self.streams = [self.source.encoder_stream() for _ in self.tiled._tiles_of(pixels)]
        return self.tiled._encoded(pixels, [stream.push for stream in self.streams])


class TiledDecoderStream:
    """A stream for each tile."""

    def __init__(self, tiled: TiledVideoTokenizer):
        self.tiled, self.source = tiled, tiled.streaming()
        self.streams: list = []

    def push(self, codes: Codes) -> Pixels:
        if not self.streams:
            self.streams = [self.source.decoder_stream() for _ in self.tiled._tiles(*codes.shape[2:])]
        return self.tiled._decoded(codes, [stream.push for stream in self.streams])


def _scaled(tile: Tile, stride: int) -> Tile:
    rows, columns = (slice(span.start * stride, span.stop * stride) for span in tile)
    return rows, columns


def _ramp(size: int, overlap: int) -> Float[Tensor, " size"]:
    """1 in the middle, falling to near 0 over the overlap towards both edges."""
    from_edge = torch.arange(1, size + 1).minimum(torch.arange(size, 0, -1))
    return (from_edge / (overlap + 1)).clamp(max=1.0)
