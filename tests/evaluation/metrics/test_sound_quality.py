import math

import pytest
import torch
from sounds import RATE, noise, tone

from videolm.evaluation.metrics.sound_quality import log_mel_distance, si_sdr, sound_quality, stft_distance


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 20.0])
def test_si_sdr_is_the_ratio_of_energies_at_any_scale(scale):
    real, other = noise(4000)[None], noise(4000, seed=1)[None]
    distortion = other - (other * real).sum() / real.square().sum() * real  # what a scale cannot explain
    expected = 10 * math.log10(float(real.square().sum() / (0.1 * distortion).square().sum()))
    assert float(si_sdr(scale * (real + 0.1 * distortion), real)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_distances_of_a_louder_or_softer_sound_are_those_of_its_scale(scale):
    real = 2 * noise(2 * RATE)[None]  # loud in every frequency, so that the floor plays no part
    expected = abs(1 - scale) + abs(math.log(scale))
    assert float(stft_distance(scale * real, real)) == pytest.approx(expected, rel=0.04)
    decibels = 20 * abs(math.log10(scale))
    assert float(log_mel_distance(scale * real, real, RATE)) == pytest.approx(decibels, rel=0.06)


def test_a_stft_distance_is_that_of_plain_transforms():
    real, other = noise(8000)[0], noise(8000, seed=1)[0]
    expected = []
    for window in (512, 1024, 2048):
        ours, theirs = (
            torch.stft(
                sound,
                window,
                window // 4,
                window=torch.hann_window(window),
                pad_mode="constant",
                return_complex=True,
            ).abs()
            / torch.hann_window(window).sum()
            * 2
            for sound in (other, real)
        )
        log_distance = ((ours + 1e-3).log() - (theirs + 1e-3).log()).abs().mean()
        expected.append((ours - theirs).norm() / theirs.norm() + log_distance)
    measured = stft_distance(other[None, None], real[None, None])
    torch.testing.assert_close(measured, torch.stack(expected).mean()[None], rtol=1e-4, atol=0)


def test_distances_are_nothing_for_the_sound_itself_and_grow_with_noise():
    real = tone(440)[None]
    for distance in (stft_distance, lambda one, other: log_mel_distance(one, other, RATE)):
        grown = [float(distance(real + loudness * noise(RATE)[None], real)) for loudness in (0, 0.01, 0.1, 1)]
        assert grown[0] == 0 and grown == sorted(grown) and grown[3] > 2 * grown[1]


def test_each_sound_of_a_batch_is_measured_by_itself():
    real, other = noise(8000, batch=3)[:, None], noise(8000, seed=1, batch=3)[:, None]
    for distance in (si_sdr, stft_distance, lambda one, two: log_mel_distance(one, two, RATE)):
        apart = torch.cat([distance(one[None], two[None]) for one, two in zip(other, real, strict=True)])
        torch.testing.assert_close(distance(other, real), apart, rtol=1e-4, atol=1e-4)


def test_silence_has_no_ratio_to_compare_with_but_hears_a_hum():
    quality = sound_quality(tone(100), torch.zeros(1, RATE), RATE)
    assert quality["si_sdr_db"] is None and quality["stft"] is None
    assert quality["log_mel_db"] is not None and quality["log_mel_db"] > 1
