"""Sounds faded into each other, and what is measured where they meet."""

import math

import pytest
import torch

from videolm.generation.long_video.crossfade import join_sounds, picture_join

RATE = 16000


def tone(samples: int, start: int = 0, hertz: float = 220.0, loudness: float = 0.2) -> torch.Tensor:
    return loudness * torch.sin(2 * math.pi * hertz * (start + torch.arange(samples)) / RATE)[None]


def test_windows_of_one_sound_make_that_sound_again():
    whole = tone(12000)
    joined, join = join_sounds(whole[:, :8000], whole[:, 4000:], 4000, RATE)
    assert torch.allclose(joined, whole, atol=1e-6)
    assert join.shift == 0
    assert join.agreement == pytest.approx(1, abs=1e-4)
    assert join.level_db == pytest.approx(0, abs=0.1)
    assert join.step == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("late", [-30, -7, 11, 36])
def test_a_tone_out_of_phase_is_moved_into_phase(late):
    earlier, later = tone(8000), tone(8000, 4000 - late)
    joined, join = join_sounds(earlier, later, 4000, RATE, most_shift=80)
    assert join.shift == late
    assert torch.allclose(joined[:, :11900], tone(11900), atol=1e-4)
    _, unmoved = join_sounds(earlier, later, 4000, RATE)
    assert unmoved.shift == 0 and unmoved.agreement < join.agreement


def test_sound_before_and_after_the_fade_stays_as_it_is():
    earlier, later = torch.randn(1, 900), torch.randn(1, 800)
    joined, join = join_sounds(earlier, later, 600, RATE)
    assert joined.shape == (1, 1100)
    assert torch.equal(joined[:, :580], earlier[:, :580])
    assert torch.equal(joined[:, 900:], later[:, 600:])
    assert abs(join.agreement) < 0.5


def test_what_does_not_fit_is_measured():
    _, louder = join_sounds(tone(8000), 2 * tone(8000, 4000), 4000, RATE)
    assert louder.level_db == pytest.approx(6.02, abs=0.2)
    clicking = tone(8000, 4000)
    clicking[:, 3900] += 0.5
    _, click = join_sounds(tone(8000), clicking, 4000, RATE)
    assert click.step is not None and click.step > 5
    _, silent = join_sounds(torch.zeros(1, 8000), tone(8000, 4000), 4000, RATE, most_shift=80)
    assert silent.level_db is None and silent.agreement == 0 and silent.shift == 0


@pytest.mark.parametrize("overlap", [0, 1, 9001, 8000])
def test_sounds_that_do_not_overlap_are_refused(overlap):
    with pytest.raises(ValueError, match="cannot overlap by"):
        join_sounds(tone(9000), tone(8000), overlap, RATE)


def test_a_jump_of_the_picture_is_told_from_its_usual_change():
    levels = torch.tensor([10, 12, 14, 44, 46], dtype=torch.uint8)
    frames = levels[:, None, None, None].expand(5, 8, 8, 3)
    join = picture_join(frames, 3)
    assert (join.change, join.usual) == (30, 2)
    assert picture_join(frames, 2).change == 2
