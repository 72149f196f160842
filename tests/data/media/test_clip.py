"""Clips in memory."""

import pytest
import torch

from videolm.data.media.clip import Clip
from videolm.data.media.framing import covering_size
from videolm.data.media.timing import audio_samples


def numbered(num_frames, height=4, width=6, fps=8.0, sample_rate=16000):
    """A clip whose frames are filled with their number and whose samples with their time in seconds."""
    frames = torch.arange(num_frames, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    samples = audio_samples(num_frames, fps, sample_rate)
    waveform = torch.arange(samples).reshape(1, -1) / sample_rate
    return Clip(frames.expand(-1, height, width, 3).contiguous(), fps, waveform, sample_rate, "numbers")


def test_contradictions_are_refused():
    frames = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"fps is 0\.0"):
        Clip(frames, 0.0)
    with pytest.raises(ValueError, match="together"):
        Clip(frames, 8.0, torch.zeros(1, 10))


def test_window_takes_frames_with_their_sound():
    part = numbered(9).window(2, 3)
    assert part.frames[:, 0, 0, 0].tolist() == [2, 3, 4]
    assert part.waveform[0, 0] == 2 / 8
    assert part.waveform.shape[1] == 3 * 2000
    assert part.seconds == 3 / 8


@pytest.mark.parametrize(("start", "num_frames"), [(-1, 2), (0, 10), (8, 2), (3, 0)])
def test_window_outside_is_refused(start, num_frames):
    with pytest.raises(ValueError, match="outside a clip of 9"):
        numbered(9).window(start, num_frames)


def test_windows_side_by_side_hold_every_sample_once():
    clip = numbered(9, fps=7.3, sample_rate=11025)
    parts = [clip.window(start, 3).waveform for start in (0, 3, 6)]
    assert torch.equal(torch.cat(parts, dim=1), clip.waveform)


def test_sound_is_cut_or_filled_with_silence():
    clip = numbered(2)
    assert torch.equal(clip.sound(100), clip.waveform[:, :100])
    assert torch.equal(clip.sound(5000)[:, :4000], clip.waveform)
    assert clip.sound(5000)[:, 4000:].abs().max() == 0
    with pytest.raises(ValueError, match="no sound"):
        Clip(clip.frames, 8.0).sound(10)


def test_a_clip_of_the_size_asked_for_is_not_touched():
    clip = numbered(3)
    assert clip.resized(4, 6) is clip


@pytest.mark.parametrize("size", [(8, 8), (3, 5), (2, 6), (16, 6), (5, 40)])
def test_resized_has_the_size_and_keeps_plain_areas(size):
    small = numbered(3).resized(*size)
    assert small.frames.shape == (3, *size, 3)
    assert torch.equal(small.frames[:, :, :, 0].amin((1, 2)), torch.tensor([0, 1, 2], dtype=torch.uint8))
    assert torch.equal(small.frames[:, :, :, 0].amax((1, 2)), torch.tensor([0, 1, 2], dtype=torch.uint8))


def test_resized_keeps_the_middle_of_the_longer_side():
    frames = torch.zeros(1, 10, 30, 3, dtype=torch.uint8)
    frames[:, :, 10:20] = 200
    assert Clip(frames, 8.0).resized(10, 10).frames.unique().tolist() == [200]


def test_shrinking_does_not_alias():
    stripes = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    stripes[:, :, ::2] = 254
    small = Clip(stripes, 8.0).resized(16, 16).frames[:, 2:-2, 2:-2].float()
    assert (small - 127).abs().max() <= 16


def test_covering_size_covers_in_the_same_shape():
    assert covering_size(480, 640, 64, 64) == (64, 85)
    assert covering_size(100, 50, 32, 64) == (128, 64)


def test_other_rate_shows_the_latest_frame_and_lasts_as_long():
    clip = numbered(9)
    slow = clip.at_fps(4.0)
    assert slow.frames[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 8]
    fast = clip.at_fps(16.0)
    assert fast.frames[:, 0, 0, 0].tolist() == [index // 2 for index in range(18)]
    assert torch.equal(fast.waveform, clip.waveform)
    assert slow.waveform.shape[1] == audio_samples(5, 4.0, 16000)
    assert slow.waveform[:, clip.waveform.shape[1] :].abs().max() == 0


def test_resampled_keeps_what_is_heard():
    time = torch.arange(16000) / 16000
    clip = Clip(
        torch.zeros(8, 2, 2, 3, dtype=torch.uint8), 8.0, torch.sin(2 * torch.pi * 440 * time)[None], 16000
    )
    both = clip.resampled(44100, channels=2)
    again = torch.sin(2 * torch.pi * 440 * torch.arange(44100) / 44100)
    assert both.waveform.shape == (2, 44100)
    assert (both.waveform[:, 500:-500] - again[500:-500]).abs().max() < 1e-3
    silent = Clip(clip.frames, 8.0)
    assert silent.resampled(8000) is silent
