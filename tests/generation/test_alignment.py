"""The clicks of the corpus' bounces stay with the picture, through a file and through codes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.media.timing import audio_latents
from videolm.data.synthetic.reading_sound import read_clicks
from videolm.data.synthetic.sonification import click_times
from videolm.generation.pipeline import VideoLM

RATE, HOP = 16_000, 320


class Samples(torch.nn.Module):
    """A codec whose levels are the samples of a hop, in 1,024 steps: as good as 320 levels can be."""

    sample_rate, hop_length, codebook_sizes, fingerprint = RATE, HOP, (1024,) * HOP, "samples"

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        steps = ((waveform[:, 0] + 1) * 512).long().clamp(0, 1023)
        return steps.unflatten(-1, (-1, HOP)).transpose(1, 2)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return (codes.transpose(1, 2).flatten(1)[:, None] + 0.5) / 512 - 1

    def save_pretrained(self, folder: str | Path) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def bounces(corpus) -> list[tuple[Clip, float]]:
    """Clips with the moment at which the object hits the ground."""
    found = [index for index in range(200) if corpus.scene(index).motion == "bounce"][:6]
    times = [click_times(corpus.scene(index), corpus.num_frames, corpus.fps)[0] for index in found]
    return [(corpus[index], time) for index, time in zip(found, times, strict=True)]


def through_codes(model: VideoLM, clip: Clip) -> Clip:
    sound = {"codebook_sizes": Samples.codebook_sizes, "audio_tokenizer": Samples.fingerprint}
    sound["audio_frames"] = audio_latents(9, 8.0, RATE, HOP)
    other = VideoLM(
        replace(model.config, clips=replace(model.clips, **sound)),
        model.vocabulary,
        model.lm,
        model.video_tokenizer,
        Samples(),
        model.text_tokenizer,
    )
    return other.decode(other.encode(clip))


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("is_coded", [False, True])
def test_a_click_is_heard_within_ten_milliseconds_of_the_impact(
    model: VideoLM, bounces, tmp_path: Path, suffix: str, is_coded: bool
) -> None:
    for clip, impact in bounces:
        write_clip(through_codes(model, clip) if is_coded else clip, tmp_path / f"a{suffix}")
        again = read_clip(tmp_path / f"a{suffix}", sample_rate=RATE)
        assert again.num_frames == clip.num_frames and again.fps == clip.fps
        assert again.waveform is not None
        (heard,) = read_clicks(again.waveform[0].numpy(), RATE)
        assert heard == pytest.approx(impact, abs=0.01)
