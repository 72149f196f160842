"""Clips in notebooks: one line as text, a film or picture as HTML that holds all of it."""

import re
from base64 import b64decode

import torch

from videolm import Clip, read_clip


def noise(num_frames):
    return torch.randint(
        0, 256, (num_frames, 16, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_a_clip_is_one_line():
    frames = torch.zeros(5, 16, 24, 3, dtype=torch.uint8)
    assert repr(Clip(frames, 8.0)) == "<Clip 5 frames of 24x16 at 8 per second>"
    with_sound = Clip(frames, 8.0, torch.zeros(2, 100), 16_000, "a cat")
    assert repr(with_sound).endswith("at 8 per second, 2 channels of sound at 16000 Hz, 'a cat'>")
    assert "\n" not in repr(with_sound)


def test_the_film_on_the_page_is_the_clip(tmp_path):
    frames = noise(5)
    page = Clip(frames, 8.0, caption="<b>bold</b>")._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page
    (kind, data), = re.findall(r'src="data:([\w/]+);base64,([^"]+)"', page)
    assert kind == "video/mp4"
    path = tmp_path / "clip.mp4"
    path.write_bytes(b64decode(data))
    assert read_clip(path).frames.shape == frames.shape


def test_a_picture_is_exact(tmp_path):
    frames = noise(1)
    (kind, data), = re.findall(r'src="data:([\w/]+);base64,([^"]+)"', Clip(frames, 8.0)._repr_html_())
    assert kind == "image/png"
    (tmp_path / "clip.png").write_bytes(b64decode(data))
    assert torch.equal(read_clip(tmp_path / "clip.png").frames, frames)
