import re
from dataclasses import replace

import pytest
import torch
from sounds import RATE, Means, noise, tone

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip, read_waveform
from videolm.data.media.waveform import write_wav
from videolm.evaluation.audio_reconstruct import reconstruct_sound, round_trip
from videolm.evaluation.metrics.sound_quality import sound_quality


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
    _, decoded = round_trip(codec, real)
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
    codes, decoded = round_trip(codec, sound)
    hops = -(-samples // 320)
    assert codes.shape == (2, hops) and decoded.shape == sound.shape
    whole = codec.encode(torch.nn.functional.pad(sound, (0, hops * 320 - samples))[None])
    assert (codes == whole[0]).float().mean() > 0.99
    torch.testing.assert_close(decoded, codec.decode(codes[None])[0][:, :samples], rtol=0, atol=1e-5)


def test_a_codec_without_streams_takes_the_sound_as_a_whole():
    sound = tone(200, 1001)
    codes, decoded = round_trip(Means(), sound)
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
