"""A compiled tokenizer gives the latents and pixels of a plain one.

In a process of its own: the checks of shapes that wrap every function in tests cannot be compiled.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer
from videolm.tokenizers.video.config import VideoTokenizerConfig

torch.set_num_threads(1)
torch.manual_seed(0)
sizes = {"multipliers": (1, 1), "spatial_strides": (2,), "temporal_strides": (2,)}
tokenizer = VideoTokenizer(VideoTokenizerConfig(bits=6, channels=8, **sizes)).eval()
encoder, decoder = (
    torch.compile(half, backend="eager", fullgraph=True) for half in (tokenizer.encoder, tokenizer.decoder)
)
with torch.no_grad():
    for frames in (1, 3):
        pixels = torch.rand(1, 3, frames, 16, 16) * 2 - 1
        latents = tokenizer.encoder(pixels)
        torch.testing.assert_close(encoder(pixels), latents, atol=1e-5, rtol=1e-5)
        values = tokenizer.quantizer.quantize(tokenizer.quantizer.normalised(latents))
        torch.testing.assert_close(decoder(values), tokenizer.decoder(values), atol=1e-5, rtol=1e-5)
"""


@pytest.mark.long
def test_latents_and_pixels_of_a_compiled_compact_network_are_those_of_the_plain_one():
    """Each half is one graph without breaks, for images and for videos."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
