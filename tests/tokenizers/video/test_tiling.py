from dataclasses import replace

import pytest
import torch

from videolm.tokenizers.video.protocol import StreamingVideoCodec, VideoCodec
from videolm.tokenizers.video.tiling import TiledVideoTokenizer
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer


@pytest.fixture(scope="module")
def tokenizer(network) -> VideoTokenizer:
    torch.manual_seed(0)
    return VideoTokenizer(replace(network, blocks=1)).eval()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(1, 3, 5, 48, 72, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_one_tile_is_the_whole(tokenizer, pixels):
    tiled = TiledVideoTokenizer(tokenizer, tile=80, overlap=16)
    codes = tiled.encode(pixels)
    assert torch.equal(codes, tokenizer.encode(pixels))
    torch.testing.assert_close(tiled.decode(codes), tokenizer.decode(codes))


def test_tiles_have_the_size_of_the_whole_and_leave_no_gap(tokenizer, pixels):
    tiled = TiledVideoTokenizer(tokenizer, tile=32, overlap=16)
    codes = tiled.encode(pixels)
    assert codes.shape == (1, *tokenizer.grid(5, 48, 72))
    decoded = tiled.decode(codes)
    assert decoded.shape == pixels.shape and decoded.isfinite().all()


def test_codes_away_from_edges_are_those_of_the_tile_that_holds_them(tokenizer, pixels):
    """The last tile of a row begins at 40; half of its overlap, one code, is its neighbour's."""
    codes = TiledVideoTokenizer(tokenizer, tile=32, overlap=16).encode(pixels)
    assert torch.equal(codes[..., :3, 6:], tokenizer.encode(pixels[..., :32, 40:])[..., :3, 1:])
    assert torch.equal(codes[..., :3, :3], tokenizer.encode(pixels[..., :32, :32])[..., :3, :3])


def test_pixels_change_gradually_from_tile_to_tile(tokenizer, monkeypatch):
    """With a decoder whose tiles are even in the value of their last code."""

    def even(codes):
        size = (codes.shape[2] * 8, codes.shape[3] * 8)
        return codes[:, None, :, -1:, -1:].float().expand(-1, 3, -1, *size)

    monkeypatch.setattr(tokenizer, "decode", even)
    codes = torch.zeros(1, 1, 2, 6, dtype=torch.long)
    codes[..., 4:] = 1  # in the second of two tiles, of columns 0 to 3 and 2 to 5
    row = TiledVideoTokenizer(tokenizer, tile=32, overlap=16).decode(codes)[0, 0, 0, 0]
    assert (row[:16] == 0).all() and (row[32:] == 1).all()
    steps = row[15:33].diff()
    assert (steps > 0).all() and steps.max() < 0.1


def test_streamed_tiles_are_those_of_the_whole(tokenizer, pixels):
    tiled = TiledVideoTokenizer(tokenizer, tile=32, overlap=16)
    assert isinstance(tiled, VideoCodec) and isinstance(tiled, StreamingVideoCodec)
    encoder, decoder = tiled.encoder_stream(), tiled.decoder_stream()
    codes = torch.cat([encoder.push(part) for part in pixels.split([1, 2, 2], dim=2)], dim=1)
    assert torch.equal(codes, tiled.encode(pixels)) and encoder.pending == 0
    streamed = torch.cat([decoder.push(part) for part in codes.split(1, dim=1)], dim=2)
    torch.testing.assert_close(streamed, tiled.decode(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tile, overlap", [(30, 8), (32, 12), (32, 32), (32, -8)])
def test_tiles_that_do_not_fit_are_refused(tokenizer, tile, overlap):
    with pytest.raises(ValueError, match="expected multiples of 8, the overlap the smaller"):
        TiledVideoTokenizer(tokenizer, tile, overlap)
