import pytest
import torch

from videolm.data.media.psnr import psnr
from videolm.super_resolution.low_resolution import enlarged, reduced


def test_detail_finer_than_the_small_clip_does_not_come_back_as_a_pattern():
    """A chessboard of single pixels becomes grey; without the filter it would be black or white."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 255
    small = reduced(board[None, :, :, None].expand(3, 32, 32, 3).to(torch.uint8), 2)
    assert small.shape == (3, 16, 16, 3)
    inner = small[:, 2:-2, 2:-2].float()
    assert (inner - 127.5).abs().max() < 3


def test_smooth_frames_survive_both_ways():
    ramp = torch.linspace(20, 230, 64)[None, None, :, None].expand(2, 64, 64, 3).to(torch.uint8)
    assert psnr(ramp, enlarged(reduced(ramp, 2), 2)).min() > 40


def test_sizes_must_be_multiples():
    with pytest.raises(ValueError, match="frames are 30x32; expected multiples of 4"):
        reduced(torch.zeros(1, 30, 32, 3, dtype=torch.uint8), 4)
