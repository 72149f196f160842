import math

import pytest
import torch
from sounds import RATE, Means, noise, tone

from videolm.evaluation.audio_scores import bits_per_second, code_sounds, score_audio_tokenizer
from videolm.evaluation.metrics.sound_quality import sound_quality


def test_every_level_is_scored_and_makes_the_sound_better():
    scores = score_audio_tokenizer(Means(), [tone(200), noise(RATE)])
    assert list(scores["methods"]) == ["codec", "codec, 1 of 2 levels", "mu-law"]
    whole, first = scores["methods"]["codec"], scores["methods"]["codec, 1 of 2 levels"]
    assert whole["si_sdr_db"] > first["si_sdr_db"] + 1
    assert whole["stft"] < first["stft"] and whole["log_mel_db"] < first["log_mel_db"]


def test_bits_are_those_of_the_levels_used():
    assert bits_per_second(Means()) == 9 * 4000 and bits_per_second(Means(), 1) == 5 * 4000
    methods = score_audio_tokenizer(Means(), [tone(200)])["methods"]
    assert methods["codec"]["bits_per_second"] == 36_000
    assert methods["codec, 1 of 2 levels"]["bits_per_second"] == 20_000


def test_scores_are_the_means_of_all_sounds():
    codec, sounds = Means(), [tone(200), tone(333, 8000), noise(4000)]
    measured = score_audio_tokenizer(codec, sounds)["methods"]["codec"]
    qualities = [sound_quality(codec.decode(codec.encode(each[None]))[0], each, RATE) for each in sounds]
    for metric in ("si_sdr_db", "stft", "log_mel_db"):
        assert measured[metric] == pytest.approx(sum(each[metric] for each in qualities) / 3)


def test_silent_sounds_do_not_count_where_they_have_no_score():
    scores = score_audio_tokenizer(Means(), [tone(200), torch.zeros(1, RATE)])["methods"]["codec"]
    alone = score_audio_tokenizer(Means(), [tone(200)])["methods"]["codec"]
    assert scores["si_sdr_db"] == pytest.approx(alone["si_sdr_db"])
    assert scores["log_mel_db"] != pytest.approx(alone["log_mel_db"])
    only = score_audio_tokenizer(Means(), [torch.zeros(1, RATE)])["methods"]["codec"]
    assert only["si_sdr_db"] is None and only["log_mel_db"] is not None


def test_codes_are_counted_level_by_level_over_all_sounds():
    sounds = [torch.full((1, 400), value) for value in (0.125, 0.125, -0.5)]
    sounds[0][:, :4] += 1 / 128
    levels = score_audio_tokenizer(Means(), sounds)["levels"]
    assert [level["codes"] for level in levels] == [300, 300]
    assert [level["code_use"] for level in levels] == [2 / 32, 2 / 16]
    shares = torch.tensor([200 / 300, 100 / 300])
    assert levels[0]["perplexity"] == pytest.approx(math.exp(-float((shares * shares.log()).sum())))


@pytest.mark.parametrize("sizes", [(4,), (32, 16), (1024,) * 4])
def test_mu_law_stays_just_below_the_bit_rate_of_the_codec(monkeypatch, sizes):
    monkeypatch.setattr(Means, "hop_length", 4 if sizes == (32, 16) else 320)
    monkeypatch.setattr(Means, "codebook_sizes", sizes)
    monkeypatch.setattr(Means, "encode", lambda self, sound: torch.zeros(1, len(sizes), 2, dtype=torch.long))
    monkeypatch.setattr(Means, "decode", lambda self, codes: tone(200, 9600)[None])
    scores = score_audio_tokenizer(Means(), [tone(200, 9600)])
    bits, rate = scores["mu_law"]["bits"], scores["mu_law"]["sample_rate"]
    assert 1 <= bits <= 8
    assert 0 <= scores["bits_per_second"] - bits * rate < bits
    assert scores["methods"]["mu-law"]["bits_per_second"] == bits * rate


def test_mu_law_of_enough_bits_comes_near_the_sound():
    # 36,000 bits a second are 9,000 samples of 4 bits: a tone of 200 Hz survives.
    methods = score_audio_tokenizer(Means(), [tone(200)])["methods"]
    assert methods["mu-law"]["si_sdr_db"] > 10


def test_our_codec_is_compared_with_itself_with_random_codebooks(codec):
    sounds = [tone(200), noise(9600)]
    coded = code_sounds(codec, sounds)
    assert list(coded.methods) == ["codec", "codec, 1 of 2 levels", "mu-law", "random codebooks"]
    for each in coded.methods.values():
        assert [sound.shape for sound in each] == [sound.shape for sound in coded.real]
    again, other = code_sounds(codec, sounds), code_sounds(codec, sounds, seed=1)
    for one, two, three in zip(
        *(which.methods["random codebooks"] for which in (coded, again, other)), strict=True
    ):
        assert torch.equal(one, two) and not torch.allclose(one, three)


def test_sounds_are_cut_to_whole_hops(codec):
    coded = code_sounds(codec, [tone(200, 1000)])
    assert coded.real[0].shape == (1, 960) and coded.codes[0].shape == (2, 3)


@pytest.mark.parametrize(
    "sounds, said", [([], "no sounds"), ([torch.ones(1, 319)], "319 samples; expected at least a hop of 320")]
)
def test_sounds_that_cannot_be_scored_are_refused(codec, sounds, said):
    with pytest.raises(ValueError, match=said):
        score_audio_tokenizer(codec, sounds)
