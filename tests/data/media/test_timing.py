"""Counting frames, samples and latents."""

import pytest

from videolm.data.media.timing import (
    audio_latents,
    audio_samples,
    exact_rate,
    shown_frames,
    video_frames,
    video_latents,
    whole_frames,
)


@pytest.mark.parametrize(("num_frames", "latents"), [(1, 1), (5, 2), (9, 3), (17, 5), (41, 11)])
def test_latents_and_frames_are_inverse(num_frames, latents):
    assert video_latents(num_frames) == latents
    assert video_frames(latents) == num_frames
    assert whole_frames(num_frames) == whole_frames(num_frames + 3) == num_frames


@pytest.mark.parametrize(("num_frames", "nearest"), [(0, 1), (8, 5), (16, 13)])
def test_broken_groups_of_frames_are_refused_with_a_length_that_works(num_frames, nearest):
    with pytest.raises(ValueError, match=f"clip has {num_frames} frames; .* such as {nearest}$"):
        video_latents(num_frames)


def test_audio_latents_are_the_design_s_numbers():
    assert [audio_latents(frames, 8.0, 16000, 320) for frames in (17, 9, 41, 1)] == [106, 56, 256, 6]


@pytest.mark.parametrize("fps", [8.0, 7.5, 23.976, 25.0, 30000 / 1001, 60.0])
def test_latents_cover_the_sound_up_to_one_hop(fps):
    for num_frames in range(1, 60):
        rest = audio_samples(num_frames, fps, 16000) - 320 * audio_latents(num_frames, fps, 16000, 320)
        assert 0 <= rest <= 320


def test_samples_do_not_drift_at_ntsc_rates():
    assert audio_samples(30_000, 30000 / 1001, 48000) == 1001 * 48000
    assert exact_rate(29.97002997) * 1001 == 30000


def test_shown_frames_is_the_latest_at_or_before_each_instant():
    for fps, new_fps in [(25.0, 8.0), (8.0, 25.0), (30000 / 1001, 24.0), (8.0, 8.0), (10.0, 5.0)]:
        indices = shown_frames(40, fps, new_fps)
        for index, shown in enumerate(indices):
            assert shown / fps <= index / new_fps + 1e-9 < (shown + 1) / fps
        assert (len(indices) - 1) / new_fps < 40 / fps <= len(indices) / new_fps + 1e-9
