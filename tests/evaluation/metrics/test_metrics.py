import math
from collections import Counter

import pytest
import torch

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardWriter
from videolm.data.media.psnr import psnr
from videolm.data.synthetic.scene import COLOURS
from videolm.evaluation.metrics.entropy import entropy_bits, unigram_nats
from videolm.evaluation.metrics.reconstruction import ssim
from videolm.evaluation.metrics.shapes import agreement, score, variety


@pytest.fixture
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=generator)


def test_psnr_of_a_known_error_is_its_formula(frames: torch.Tensor) -> None:
    other = frames.clone()
    other[1] = torch.where(frames[1] < 250, frames[1] + 5, frames[1] - 5)
    values = psnr(frames, other)
    assert values[1] == pytest.approx(10 * math.log10(255**2 / 25), abs=1e-3)


def test_identical_frames_have_the_best_scores_and_they_are_finite(frames: torch.Tensor) -> None:
    assert psnr(frames, frames).tolist() == pytest.approx([10 * math.log10(255**2 * 12)] * 3)
    assert ssim(frames, frames).tolist() == pytest.approx([1.0] * 3)


def test_psnr_and_ssim_fall_with_noise_and_are_of_each_frame(frames: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    noise = (
        torch.randn(frames.shape, generator=generator) * torch.tensor([5.0, 20.0, 60.0])[:, None, None, None]
    )
    other = (frames + noise).clamp(0, 255).to(torch.uint8)
    for values in (psnr(frames, other), ssim(frames, other)):
        assert values[0] > values[1] > values[2]


def test_right_words_score_one_and_an_abstention_is_wrong() -> None:
    population = list(COLOURS) * 10
    wanted = ["red", "blue", "green", "red"]
    assert score(wanted, wanted, population) == {"score": 1.0, "chance": pytest.approx(1 / 8), "n": 4}
    assert score(wanted, ["red", None, None, "blue"], population)["score"] == 0.25
    with pytest.raises(ValueError, match="4 words wanted, 3 found"):
        score(wanted, wanted[:3], population)


def test_shuffled_words_score_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    words = [list(COLOURS)[index] for index in torch.randint(0, 5, (20_000,), generator=generator)]
    shuffled = [words[index] for index in torch.randperm(len(words), generator=generator)]
    result = score(words, shuffled, population=words)
    assert result["score"] == pytest.approx(result["chance"], abs=0.01)


def test_agreement_is_the_share_of_equal_pairs() -> None:
    ours, theirs = ["a", "a", "b"], ["a", "b", "b", "c"]
    equal = sum(one == other for one in ours for other in theirs)
    assert agreement(ours, theirs) == equal / 12


def test_variety_is_one_for_even_readings_and_zero_for_one_word_or_none() -> None:
    assert variety(list(COLOURS) * 3, "colour") == pytest.approx(1.0)
    assert variety(["red", None, "red"], "colour") == 0.0
    assert variety([None, None], "colour") == 0.0


def test_entropy_of_counts_is_that_of_the_shares() -> None:
    counts = Counter("aabbbbcc")
    expected = -sum(count / 8 * math.log2(count / 8) for count in counts.values())
    assert entropy_bits(torch.tensor([2, 4, 0, 2])) == pytest.approx(expected)


def test_unigram_nats_of_even_codes_is_the_logarithm_of_their_number(tmp_path) -> None:
    clips = ClipFormat(
        height=16, width=16, num_frames=5, fps=8.0, grid=(2, 2, 2), temporal_stride=4, factors=(4, 4),
        video_tokenizer="v", codebook_sizes=(4, 4), audio_frames=4, sample_rate=16000, hop_length=320,
        audio_tokenizer="a",
    )  # fmt: skip
    writer = ShardWriter(tmp_path / "shards", clips, {"source": "test"})
    audio = torch.stack([torch.arange(4), torch.zeros(4, dtype=torch.int64)])
    loud = CodedClip({"visual": torch.arange(8).reshape(2, 2, 2), "audio": audio})
    writer.write(0, [loud, CodedClip({"visual": torch.arange(8, 16).reshape(2, 2, 2)})])
    writer.finish()
    assert unigram_nats(tmp_path / "shards") == {
        "visual": pytest.approx(math.log(16)),
        "audio_0": pytest.approx(math.log(4)),
        "audio_1": 0.0,
    }
