import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from videolm.data.media.timing import audio_latents, audio_samples
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig

CONFIG = AudioTokenizerConfig(num_filters=4, hidden_size=8, num_levels=3, codebook_size=16)
HOP = 320


def tokenizer_with_codes(config: AudioTokenizerConfig = CONFIG) -> AudioTokenizer:
    """Random weights, with entries near the latents, so that many different codes occur.

    Each level holds residuals that really occur, with a little noise (random entries give one code only).
    """
    torch.manual_seed(0)
    tokenizer = AudioTokenizer.of_config(config).eval()
    with torch.no_grad():
        residual = tokenizer.latents(torch.randn(1, 1, 400 * config.hop_length))[0]
    codebooks = []
    for _ in range(config.num_levels):
        entries = residual[torch.randperm(len(residual))[: config.codebook_size]]
        entries = entries + 0.05 * residual.std() * torch.randn_like(entries)
        codebooks.append(entries)
        residual = residual - entries[torch.cdist(residual, entries).argmin(1)]
    tokenizer.set_codebooks(torch.stack(codebooks))
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> AudioTokenizer:
    return tokenizer_with_codes()


def noise(hops: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 1, hops * HOP, generator=torch.Generator().manual_seed(hops))


@pytest.mark.parametrize(("num_frames", "latents"), [(1, 6), (9, 56), (17, 106), (41, 256)])
def test_a_clip_has_the_latents_that_timing_says(tokenizer, num_frames, latents):
    assert audio_latents(num_frames, 8.0, tokenizer.sample_rate, tokenizer.hop_length) == latents
    waveform = torch.randn(1, 1, audio_samples(num_frames, 8.0, tokenizer.sample_rate))
    codes = tokenizer.encode(waveform[..., : latents * tokenizer.hop_length])
    assert codes.shape == (1, 3, latents)
    assert tokenizer.decode(codes).shape == (1, 1, latents * HOP)


def test_codes_fill_their_range(tokenizer):
    codes = tokenizer.encode(noise(200, batch=2))
    assert codes.dtype == torch.int64 and codes.shape == (2, 3, 200)
    assert tokenizer.codebook_sizes == (16, 16, 16)
    assert codes.min() >= 0 and codes.max() < 16
    assert all(len(level.unique()) > 8 for level in codes.unbind(1))


@pytest.mark.parametrize("samples", [0, 1, HOP - 1, 5 * HOP + 1])
def test_samples_that_are_not_whole_hops_are_refused(tokenizer, samples):
    with pytest.raises(ValueError, match=f"{samples} samples; expected whole hops of 320"):
        tokenizer.encode(torch.zeros(1, 1, samples))


def test_a_latent_never_sees_samples_from_its_end_on():
    tokenizer = AudioTokenizer.of_config(CONFIG)
    waveform = noise(10).requires_grad_()
    latents = tokenizer.latents(waveform)
    for frame in range(10):
        (gradient,) = torch.autograd.grad(latents[0, frame].sum(), waveform, retain_graph=True)
        assert not gradient[..., (frame + 1) * HOP :].any()
        assert gradient[..., frame * HOP : (frame + 1) * HOP].any()


def test_a_sample_is_decoded_from_its_own_and_earlier_latents():
    tokenizer = AudioTokenizer.of_config(CONFIG)
    latents = torch.randn(1, 10, CONFIG.hidden_size, requires_grad=True)
    waveform = tokenizer.synthesize(latents)
    for frame in range(10):
        last = waveform[0, 0, (frame + 1) * HOP - 1]
        (gradient,) = torch.autograd.grad(last, latents, retain_graph=True)
        assert gradient[0, frame].any() and not gradient[0, frame + 1 :].any()


def test_codes_of_the_beginning_do_not_change_when_sound_is_added(tokenizer):
    waveform = noise(40)
    assert torch.equal(tokenizer.encode(waveform)[..., :15], tokenizer.encode(waveform[..., : 15 * HOP]))


def test_plain_transformers_loads_a_saved_folder_and_gives_the_same_codes(tokenizer, tmp_path):
    from transformers import EncodecModel

    tokenizer.save_pretrained(tmp_path / "codec")
    plain = EncodecModel.from_pretrained(tmp_path / "codec").eval()
    waveform = noise(30, batch=2)
    bandwidth = plain.config.target_bandwidths[-1]
    codes = tokenizer.encode(waveform)
    with torch.no_grad():
        (theirs,) = plain.encode(waveform, bandwidth=bandwidth).audio_codes
        sound = plain.decode([theirs], [None]).audio_values
    assert torch.equal(theirs, codes)
    assert torch.equal(sound, tokenizer.decode(codes))


def test_a_saved_tokenizer_is_loaded_equal_and_in_evaluation_mode(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "codec")
    loaded = AudioTokenizer.from_pretrained(tmp_path / "codec")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codec"]  # no temporary folder stays
    assert not loaded.encodec.training
    assert loaded.fingerprint == tokenizer.fingerprint
    assert torch.equal(loaded.encode(noise(20)), tokenizer.encode(noise(20)))


def test_the_fingerprint_follows_weights_and_settings(tokenizer):
    other = tokenizer_with_codes()
    assert other.fingerprint == tokenizer.fingerprint
    other.encodec.quantizer.layers[2].codebook.embed[0, 0] += 1
    assert other.fingerprint != tokenizer.fingerprint
    other = tokenizer_with_codes()
    other.encodec.config.sampling_rate = 24_000
    assert other.fingerprint != tokenizer.fingerprint


def test_somebody_elses_encodec_folder_is_read(tmp_path):
    from transformers import EncodecConfig, EncodecModel

    # The 24 kHz model's settings, narrower: reflecting padding, several bandwidths.
    settings = {"num_filters": 2, "hidden_size": 4, "target_bandwidths": [1.5, 3.0]}
    EncodecModel(EncodecConfig(**settings)).save_pretrained(tmp_path / "theirs")
    tokenizer = AudioTokenizer.from_pretrained(tmp_path / "theirs")
    assert (tokenizer.sample_rate, tokenizer.hop_length) == (24_000, 320)
    assert tokenizer.codebook_sizes == (1024,) * 4
    assert tokenizer.encode(noise(7)).shape == (1, 4, 7)


@pytest.mark.parametrize(
    "settings", [{"audio_channels": 2}, {"normalize": True}, {"chunk_length_s": 1.0, "overlap": 0.01}]
)
def test_codecs_whose_codes_are_not_the_whole_sound_are_refused(settings):
    from transformers import EncodecConfig, EncodecModel

    encodec = EncodecModel(EncodecConfig(num_filters=2, hidden_size=4, **settings))
    with pytest.raises(ValueError, match="expected"):
        AudioTokenizer(encodec)


def test_broken_folders_are_refused(tokenizer, tmp_path):
    folder = tmp_path / "codec"
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        AudioTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "checksums.json").unlink()
    weights = load_file(folder / "model.safetensors")
    name = "decoder.layers.1.lstm.bias_hh_l0"
    lacking = {key: value for key, value in weights.items() if key != name}
    for state in (lacking, weights | {name: torch.zeros(3)}, weights | {"more": torch.zeros(3)}):
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match="does not fit"):
            AudioTokenizer.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be loaded"):
        AudioTokenizer.from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "dac"}))
    with pytest.raises(ValueError, match="'dac'; expected 'encodec'"):
        AudioTokenizer.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        AudioTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("levels", [1, 2, 11, 22, 31])
@pytest.mark.parametrize("size", [128, 1024, 2048])
def test_every_level_is_stored_and_coded(levels, size):
    # EncodecModel counts levels by rounding a bandwidth down; 11 of 2048 at 13 Hz lose one to rounding.
    config = AudioTokenizerConfig(
        sample_rate=13, ratios=(1,), num_filters=2, hidden_size=2, num_levels=levels, codebook_size=size
    )
    tokenizer = AudioTokenizer.of_config(config)
    assert tokenizer.num_levels == levels
    assert tokenizer.encode(torch.zeros(1, 1, 4)).shape == (1, levels, 4)


@pytest.mark.parametrize(
    "settings",
    [
        {"codebook_size": 100},
        {"codebook_size": 1},
        {"num_filters": 1},
        {"num_lstm_layers": 0},
        {"num_levels": 0},
        {"ratios": ()},
    ],
)
def test_sizes_that_make_no_codec_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        AudioTokenizerConfig(**settings)
