import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip, read_waveform
from videolm.data.media.waveform import write_wav
from videolm.evaluation.audio_reconstruct import reconstruct_sound, there_and_back
from videolm.evaluation.audio_scores import (
    bits_per_second,
    listen,
    log_mel_distance,
    mu_law,
    randomly_quantized,
    score_audio_tokenizer,
    scores_of,
    si_sdr,
    sound_quality,
    stft_distance,
    table,
    write_scores,
)
from videolm.tokenizers.audio.codec import AudioTokenizer

RATE = 16_000


def noise(samples: int, seed: int = 0, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed)) / 4


def tone(hertz: float, samples: int = RATE) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(samples) / RATE)[None] / 2


class Means(torch.nn.Module):
    """A codec whose first level rounds the mean of every 4 samples to 1/8, and the second to 1/128."""

    sample_rate, hop_length, codebook_sizes, fingerprint = RATE, 4, (32, 16), "0"

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        means = waveform[:, 0].unflatten(-1, (-1, 4)).mean(-1)
        fine = ((means + 2) * 128).round().long().clamp(0, 511)
        return torch.stack([fine // 16, fine % 16], dim=1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        fine = codes[:, 0] * 16 + (codes[:, 1] if codes.shape[1] > 1 else 8)
        return (fine / 128 - 2).repeat_interleave(4, -1)[:, None].float()

    def save_pretrained(self, folder: str | Path) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def codec(model_folder) -> AudioTokenizer:
    return AudioTokenizer.from_pretrained(model_folder / "audio_tokenizer")


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


@pytest.mark.parametrize("bits", range(1, 9))
def test_mu_law_has_as_many_values_as_its_bits_allow_the_closer_the_softer(bits):
    sound = torch.linspace(-1, 1, 20_001)[None]
    coded = mu_law(sound, bits)
    values = coded.unique()
    assert len(values) == 2**bits and values.abs().max() <= 1
    torch.testing.assert_close(mu_law(coded, bits), coded)
    steps = values[values > 0].diff()
    assert (steps.diff() > 0).all()


def test_mu_law_of_eight_bits_has_the_ratio_of_telephony_at_any_loudness():
    # The theory of mu-law, 6.02 b + 4.77 - 20 log10(ln(1 + mu)) = 38 dB, for all but the softest sounds.
    for loudness in (1.0, 0.3, 0.1):
        sound = loudness * tone(440) * 2
        assert float(si_sdr(mu_law(sound, 8)[None], sound[None])) == pytest.approx(38, abs=2)


def test_random_codebooks_lie_where_the_latents_do():
    latents = 5 + torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 0.1])
    errors = []
    for sizes in ((64,), (64, 64)):
        quantized = randomly_quantized(latents, sizes, torch.Generator().manual_seed(1))
        errors.append(float((quantized - latents).square().mean().sqrt()))
    one_level = randomly_quantized(latents, (64,), torch.Generator().manual_seed(1))
    assert 8 < len(one_level.unique(dim=0)) <= 64
    assert 0 < errors[1] < 0.8 * errors[0] < 0.1 * float(latents.std())
    still = latents[:1].expand(10, -1)
    torch.testing.assert_close(randomly_quantized(still, (4,), torch.Generator().manual_seed(1)), still)


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
    heard = listen(codec, sounds)
    assert list(heard.methods) == ["codec", "codec, 1 of 2 levels", "mu-law", "random codebooks"]
    for each in heard.methods.values():
        assert [sound.shape for sound in each] == [sound.shape for sound in heard.real]
    again, other = listen(codec, sounds), listen(codec, sounds, seed=1)
    for one, two, three in zip(
        *(which.methods["random codebooks"] for which in (heard, again, other)), strict=True
    ):
        assert torch.equal(one, two) and not torch.allclose(one, three)


def test_sounds_are_cut_to_whole_hops(codec):
    heard = listen(codec, [tone(200, 1000)])
    assert heard.real[0].shape == (1, 960) and heard.codes[0].shape == (2, 3)


@pytest.mark.parametrize(
    "sounds, said", [([], "no sounds"), ([torch.ones(1, 319)], "319 samples; expected at least a hop of 320")]
)
def test_sounds_that_cannot_be_scored_are_refused(codec, sounds, said):
    with pytest.raises(ValueError, match=said):
        score_audio_tokenizer(codec, sounds)


def test_the_table_has_a_row_for_each_method_and_level(codec):
    scores = score_audio_tokenizer(codec, [tone(200)])
    lines = table(scores).splitlines()
    assert lines[0] == "1 sounds, 1.0 s at 16,000 Hz, 2 levels, 400 bits per second"
    for (name, measured), line in zip(scores["methods"].items(), lines[2:6], strict=True):
        assert line.startswith(name)
        assert f"{measured['si_sdr_db']:.2f}" in line and f"{measured['log_mel_db']:.2f}" in line
    assert [line.split(":")[0] for line in lines[6:]] == ["mu-law", "level 1", "level 2"]
    silent = score_audio_tokenizer(codec, [torch.zeros(1, RATE)])
    assert "-" in table(silent).splitlines()[2].split()


@pytest.mark.parametrize("seconds", [0, 1])
def test_written_scores_read_back_and_the_spectrograms_are_a_picture(codec, tmp_path, seconds):
    from PIL import Image

    heard = listen(codec, [torch.zeros(1, RATE), seconds * tone(200, 8000)])
    scores = scores_of(codec, heard)
    written = write_scores(tmp_path / "scores", scores, heard)
    assert [path.name for path in written] == ["scores.json", "spectrograms.png"]
    assert json.loads(written[0].read_text()) == scores
    with Image.open(written[1]) as picture:
        assert picture.size == (840, 912)


def test_the_command_scores_the_embedded_corpus(model_folder, tmp_path, capsys):
    out = tmp_path / "scores"
    command = f"audio score synthetic --model {model_folder} --out {out} --clips 2 --num-frames 5"
    assert main(command.split()) == 0
    text = capsys.readouterr().out
    assert "2 sounds, 1.2 s at 16,000 Hz" in text and "random codebooks" in text
    assert text.strip().splitlines()[-1] == f"wrote {out / 'spectrograms.png'}"
    scores = json.loads((out / "scores.json").read_text())
    assert (scores["split"], scores["seed"], scores["skipped"]) == ("triples", 0, [])
    assert scores["seconds"] == 2 * 31 * 320 / RATE  # 5 frames at 8 fps hold 31 whole hops


def test_the_command_scores_the_last_files_of_a_folder_and_names_the_unusable(
    clip, model_folder, tmp_path, capsys
):
    clips = tmp_path / "clips"
    clips.mkdir()
    for index in range(2):
        write_clip(clip, clips / f"{index}.mp4")
    write_clip(replace(clip, waveform=None, sample_rate=None), clips / "2.mp4")
    (clips / "3.mp4").write_text("not a video")
    command = f"audio score {clips} --model {model_folder} --out {tmp_path / 'x'} --num-frames 9 --clips"
    assert main([*command.split(), "3"]) == 0
    text = capsys.readouterr().out
    assert "1 sounds" in text and "left out 2, such as" in text and "2.mp4: it has no sound" in text
    assert main([*command.split(), "1"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "none of the last 1 entries" in error and "3.mp4" in error


@pytest.mark.parametrize("suffix", [".wav", ".mp4"])
def test_a_sound_comes_back_as_long_as_it_was_with_what_it_costs(
    clip, model_folder, codec, tmp_path, capsys, suffix
):
    source, target = tmp_path / "clip.mp4", tmp_path / f"again{suffix}"
    write_clip(clip, source)
    assert reconstruct_sound(source, target, model_folder) == target
    real = read_waveform(source, sample_rate=RATE, channels=1)[0]
    if suffix == ".mp4":
        real = read_clip(source, sample_rate=RATE, channels=1).waveform
        assert read_clip(target).frames.shape == clip.frames.shape
    _, decoded = there_and_back(codec, real)
    back = read_waveform(target, sample_rate=RATE)[0]
    assert back.shape[0] == 1 and abs(back.shape[1] - real.shape[1]) <= (0 if suffix == ".wav" else 1024)
    if suffix == ".wav":
        torch.testing.assert_close(back, decoded.clamp(-1, 1), rtol=0, atol=1e-4)
    text = capsys.readouterr().out
    assert f"{real.shape[1] / RATE:.2f} s at 16,000 Hz" in text
    assert "2 levels of 50 codes a second, 400 bits per second" in text
    quality = sound_quality(decoded, real, RATE)
    assert float(re.search(r"SI-SDR (-?[\d.]+) dB", text)[1]) == pytest.approx(quality["si_sdr_db"], abs=0.01)
    assert float(re.search(r"distance ([\d.]+) dB", text)[1]) == pytest.approx(
        quality["log_mel_db"], abs=0.01
    )


def test_a_file_of_sound_alone_goes_through_the_command(model_folder, tmp_path, capsys):
    write_wav(torch.stack([tone(200, 5000)[0], tone(300, 5000)[0]]), RATE, tmp_path / "stereo.wav")
    command = f"audio reconstruct {tmp_path}/stereo.wav {tmp_path}/again.wav --model {model_folder}"
    assert main(command.split()) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1] == f"wrote {tmp_path}/again.wav"
    back, rate = read_waveform(tmp_path / "again.wav")
    assert back.shape == (1, 5000) and rate == RATE


def test_silence_is_reconstructed_without_a_ratio(model_folder, tmp_path, capsys):
    write_wav(torch.zeros(1, 5000), RATE, tmp_path / "silence.wav")
    reconstruct_sound(tmp_path / "silence.wav", tmp_path / "again.wav", model_folder)
    assert "no SI-SDR, the sound is silent, log-mel distance" in capsys.readouterr().out


@pytest.mark.parametrize("samples", [1, 320, 700, 21 * RATE + 5])
def test_a_long_sound_in_parts_is_as_if_whole(codec, samples):
    sound = noise(samples)
    codes, decoded = there_and_back(codec, sound)
    hops = -(-samples // 320)
    assert codes.shape == (2, hops) and decoded.shape == sound.shape
    whole = codec.encode(torch.nn.functional.pad(sound, (0, hops * 320 - samples))[None])
    assert (codes == whole[0]).float().mean() > 0.99
    torch.testing.assert_close(decoded, codec.decode(codes[None])[0][:, :samples], rtol=0, atol=1e-5)


def test_a_codec_without_streams_takes_the_sound_as_a_whole():
    sound = tone(200, 1001)
    codes, decoded = there_and_back(Means(), sound)
    assert codes.shape == (2, 251) and decoded.shape == (1, 1001)
    assert (decoded - sound)[:, :1000].abs().max() < 0.1


BAD = {
    "no clips": ("score synthetic --model {model} --out {tmp}/x --clips 0", "clips is 0"),
    "no source": ("score {tmp}/none --model {model} --out {tmp}/x", "none"),
    "no codec to score": ("score synthetic --model {tmp} --out {tmp}/x", "audio_tokenizer"),
    "no codec": ("reconstruct {tmp}/clip.mp4 {tmp}/x.wav --model {tmp}", "audio_tokenizer"),
    "no sound": ("reconstruct {tmp}/mute.mp4 {tmp}/x.wav --model {model}", "mute.mp4: it has no sound"),
    "no sound for a film": ("reconstruct {tmp}/mute.mp4 {tmp}/x.mp4 --model {model}", "mute.mp4: it has no"),
    "no pictures": ("reconstruct {tmp}/tone.wav {tmp}/x.mp4 --model {model}", "tone.wav: it is sound only"),
    "a silent format": (
        "reconstruct {tmp}/clip.mp4 {tmp}/x.gif --model {model}",
        "x.gif would hold no",
    ),
    "no format": ("reconstruct {tmp}/clip.mp4 {tmp}/x.flv --model {model}", "names no format"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_line_and_leaves_no_file(name, clip: Clip, model_folder, tmp_path, capsys):
    write_clip(clip, tmp_path / "clip.mp4")
    write_clip(replace(clip, waveform=None, sample_rate=None), tmp_path / "mute.mp4")
    write_wav(tone(200), RATE, tmp_path / "tone.wav")
    command, said = BAD[name]
    assert main(["audio", *command.format(tmp=tmp_path, model=model_folder).split()]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not list(tmp_path.glob("x*"))
