"""The tokenizer that lies beside the sprites' code."""

from pathlib import Path

import torch

from videolm.tokenizers.video.protocol import load_video_tokenizer

FOLDER = Path(__file__).parents[3] / "examples" / "sprites" / "video_tokenizer"


def test_it_loads_and_keeps_a_figure_in_its_colours_on_its_ground():
    """A block of two colours where figures stand: far from its clips, so only what is coarse is asked for."""
    tokenizer = load_video_tokenizer(FOLDER)
    assert tokenizer.grid(17, 64, 64) == (5, 4, 4) and tokenizer.codebook_size == 2**20
    frames = torch.full((1, 3, 17, 64, 64), -1.0)
    frames[:, :, :, 16:34, 24:40] = torch.tensor([0.6, -0.2, -0.8]).view(1, 3, 1, 1, 1)  # hair and face
    frames[:, :, :, 34:60, 24:40] = torch.tensor([-0.6, -0.6, 0.2]).view(1, 3, 1, 1, 1)
    with torch.no_grad():
        made = tokenizer.decode(tokenizer.encode(frames))
    assert made[:, :, :, :12].mean() < -0.9 and made[:, :, :, :, :16].mean() < -0.9
    red, blue = made[:, 0], made[:, 2]
    assert (red - blue)[:, :, 18:32, 26:38].mean() > 0.2 > (red - blue)[:, :, 36:56, 26:38].mean()
