"""Pretrained audio codecs in the place of ours: random weights, sizes of a few channels, real rates."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from videolm.cli.main import main
from videolm.data.media.timing import audio_latents, audio_samples
from videolm.data.synthetic.corpus import Corpus
from videolm.generation.pipeline import VideoLM
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary, audio_block
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tokenizers.audio import foreign as audio_foreign
from videolm.tokenizers.audio.foreign import adopt, first_levels
from videolm.tokenizers.audio.protocol import AudioCodec, as_codec, load_audio_tokenizer
from videolm.tokenizers.audio.torchaudio_guard import tolerate_torchaudio
from videolm.tokenizers.audio.transformers_folder import read_codec, write_codec
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

KINDS = ("dac", "mimi", "encodec")
# Of the models below: samples per second, per latent; levels; codes; levels that adoption keeps by itself.
RATES = {"dac": (16_000, 320), "mimi": (24_000, 1920), "encodec": (24_000, 320)}
LEVELS, SIZE, KEPT = 10, 16, {"dac": 4, "mimi": 8, "encodec": 4}


def noise(kind: str, hops: int, batch: int = 1) -> torch.Tensor:
    samples = hops * RATES[kind][1]
    return torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(hops))


def random_model(kind: str) -> Any:
    """One of transformers' codecs whose codebooks hold latents that occur, so that many codes do too."""
    tolerate_torchaudio()
    from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel, MimiConfig, MimiModel

    torch.manual_seed(0)
    if kind == "dac":
        sizes = {"encoder_hidden_size": 2, "decoder_hidden_size": 32, "codebook_dim": 4}
        model = DacModel(
            DacConfig(downsampling_ratios=[2, 4, 5, 8], n_codebooks=LEVELS, codebook_size=SIZE, **sizes)
        )
        for weight in model.parameters():  # the original ones are so small that nothing of the sound is left
            if (weight.ndim == 3 and weight.shape[2] > 1) or weight.ndim == 2:
                torch.nn.init.kaiming_normal_(weight)
    elif kind == "mimi":
        sizes = {"num_filters": 2, "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
        sizes |= {"codebook_dim": 8, "vector_quantization_hidden_dimension": 8, "num_hidden_layers": 1}
        sizes |= {"intermediate_size": 16, "upsample_groups": 16}
        model = MimiModel(MimiConfig(num_quantizers=LEVELS, codebook_size=SIZE, **sizes))
    else:
        bandwidths = [levels * 4 * 75 / 1000 for levels in (2, 4, LEVELS)]
        sizes = {"num_filters": 2, "hidden_size": 8, "codebook_size": SIZE, "num_lstm_layers": 1}
        model = EncodecModel(EncodecConfig(target_bandwidths=bandwidths, **sizes))
    fill_codebooks(kind, model.eval())
    return model


@torch.no_grad()
def fill_codebooks(kind: str, model: Any) -> None:
    waveform = noise(kind, 100)

    def entries(latents: torch.Tensor) -> torch.Tensor:
        """SIZE of the latents (1 dim frames), a little moved."""
        chosen = latents[0].T[torch.randperm(latents.shape[2])[:SIZE]]
        return chosen + 0.05 * latents.std() * torch.randn_like(chosen)

    if kind == "dac":
        residual = model.encoder(waveform)
        for layer in model.quantizer.quantizers:
            layer.codebook.weight.copy_(entries(layer.in_proj(residual)))
            residual = residual - layer(residual)[0]
        return
    if kind == "mimi":
        latents = model.encoder(waveform).latents
        split = model.quantizer
        parts = (split.semantic_residual_vector_quantizer, split.acoustic_residual_vector_quantizer)
        stacks = [(part.input_proj(latents), part.layers, "embed_sum") for part in parts]
    else:
        stacks = [(model.encoder(waveform), model.quantizer.layers, "embed")]
    for residual, layers, name in stacks:
        for layer in layers:
            getattr(layer.codebook, name).copy_(entries(residual))
            residual = residual - layer.decode(layer.encode(residual))


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {kind: random_model(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def folders(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each kind as transformers writes it."""
    root = tmp_path_factory.mktemp("codecs")
    for kind, model in models.items():
        write_codec(model, root / kind)
    return {kind: root / kind for kind in KINDS}


@pytest.fixture(scope="module")
def codecs(folders: dict[str, Path]) -> dict[str, AudioCodec]:
    return {kind: load_audio_tokenizer(folder) for kind, folder in folders.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hops", [1, 2, 7, 50])
def test_whole_hops_become_as_many_latents_and_come_back(codecs, kind, hops):
    codec = codecs[kind]
    assert isinstance(codec, AudioCodec)
    assert (codec.sample_rate, codec.hop_length) == RATES[kind]
    assert codec.codebook_sizes == (SIZE,) * LEVELS
    waveform = noise(kind, hops, batch=2)
    codes = codec.encode(waveform)
    assert codes.shape == (2, LEVELS, hops) and codes.dtype == torch.int64
    assert codes.min() >= 0 and codes.max() < SIZE
    sound = codec.decode(codes)
    assert sound.shape == waveform.shape and sound.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_many_codes_occur_at_every_level(codecs, kind):
    codes = codecs[kind].encode(noise(kind, 60))
    assert all(len(level.unique()) > SIZE // 4 for level in codes[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rest", [1, -1])
def test_broken_hops_are_refused(codecs, kind, rest):
    hop = RATES[kind][1]
    with pytest.raises(ValueError, match=f"{3 * hop + rest} samples; expected whole hops of {hop}"):
        codecs[kind].encode(torch.zeros(1, 1, 3 * hop + rest))
    with pytest.raises(ValueError, match="0 samples"):
        codecs[kind].encode(torch.zeros(1, 1, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_sound_are_those_of_plain_transformers(models, codecs, kind):
    waveform = noise(kind, 40)
    codes = codecs[kind].encode(waveform)
    with torch.no_grad():
        if kind == "encodec":
            bandwidth = models[kind].config.target_bandwidths[-1]
            theirs = models[kind].encode(waveform, bandwidth=bandwidth).audio_codes[0]
            sound = models[kind].decode([theirs], [None]).audio_values
        else:
            theirs = models[kind].encode(waveform).audio_codes
            sound = models[kind].decode(audio_codes=theirs).audio_values.reshape(1, 1, -1)
    assert torch.equal(codes, theirs)
    # Our DAC computes the samples that an odd stride loses at the end; they are heard a little before it.
    same = 36 * RATES[kind][1] if kind == "dac" else sound.shape[-1]
    assert sound.shape[-1] == 40 * RATES[kind][1] - (8 if kind == "dac" else 0)
    assert torch.allclose(codecs[kind].decode(codes)[..., :same], sound[..., :same], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_levels_are_decoded_to_another_sound_of_the_same_length(codecs, kind):
    codes = codecs[kind].encode(noise(kind, 20))
    whole, coarse = codecs[kind].decode(codes), codecs[kind].decode(codes[:, :1])
    assert whole.shape == coarse.shape and not torch.allclose(whole, coarse)


@pytest.mark.parametrize("kind", ["dac", "mimi"])
def test_codes_that_the_codec_does_not_have_are_refused(codecs, kind):
    codes = codecs[kind].encode(noise(kind, 3))
    with pytest.raises(ValueError, match=f"11 levels; expected 1 to {LEVELS}"):
        codecs[kind].decode(torch.cat([codes, codes[:, :1]], dim=1))
    with pytest.raises(ValueError, match=rf"expected \[0, {SIZE}\)"):
        codecs[kind].decode(codes + SIZE)


def test_codes_of_a_beginning_do_not_change_when_mimi_hears_more(codecs):
    waveform = noise("mimi", 30)
    beginning = codecs["mimi"].encode(waveform[..., : 12 * 1920])
    assert torch.equal(codecs["mimi"].encode(waveform)[..., :12], beginning)


def test_mimis_codebooks_follow_it_to_another_type(models):
    codec = as_codec(first_levels(models["mimi"], 3))
    codes = codec.encode(noise("mimi", 4))  # from here on each codebook has a copy of its entries
    codec.double()
    assert torch.equal(codec.encode(noise("mimi", 4).double()), codes)
    assert codec.decode(codes).dtype == torch.float64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("levels", [2, LEVELS, None])
def test_an_adopted_codec_gives_the_first_levels_of_the_whole_ones_codes(
    codecs, folders, tmp_path, kind, levels
):
    adopted = adopt(str(folders[kind]), tmp_path / "model" / "audio_tokenizer", levels)
    levels = levels or KEPT[kind]
    assert adopted.codebook_sizes == (SIZE,) * levels
    waveform = noise(kind, 20)
    whole = codecs[kind].encode(waveform)
    assert torch.equal(adopted.encode(waveform), whole[:, :levels])
    assert torch.equal(adopted.decode(whole[:, :levels]), codecs[kind].decode(whole[:, :levels]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_levels_is_stored_and_part_of_the_fingerprint(codecs, folders, tmp_path, kind):
    three = adopt(str(folders[kind]), tmp_path / "three", 3)
    two = adopt(str(tmp_path / "three"), tmp_path / "two", 2)
    loaded = load_audio_tokenizer(tmp_path / "three")
    loaded.save_pretrained(tmp_path / "again")
    again = load_audio_tokenizer(tmp_path / "again")
    assert len(again.codebook_sizes) == 3
    assert three.fingerprint == loaded.fingerprint == again.fingerprint
    assert len({two.fingerprint, three.fingerprint, codecs[kind].fingerprint}) == 3
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("two", "three")]
    assert sizes[0] < sizes[1] < (folders[kind] / "model.safetensors").stat().st_size


@pytest.mark.parametrize("kind", ["dac", "mimi"])
def test_the_fingerprint_follows_weights_and_settings(models, kind):
    codec = as_codec(first_levels(models[kind], 3))
    before = codec.fingerprint
    codec.model.config.sampling_rate += 1
    settings = codec.fingerprint
    with torch.no_grad():
        next(codec.parameters()).add_(1)
    assert len({before, settings, codec.fingerprint}) == 3


@pytest.mark.parametrize(("kind", "levels"), [("dac", 0), ("dac", LEVELS + 1), ("mimi", 1), ("encodec", -1)])
def test_levels_that_the_codec_cannot_have_are_refused(models, kind, levels):
    least = 2 if kind == "mimi" else 1
    with pytest.raises(ValueError, match=f"levels is {levels}; expected {least} to {LEVELS}"):
        first_levels(models[kind], levels)


def test_codecs_with_settings_that_do_not_fit_are_refused(tmp_path):
    from transformers import EncodecConfig, EncodecModel, MimiConfig, MimiModel

    sizes = {"num_filters": 2, "hidden_size": 16, "num_hidden_layers": 1, "upsample_groups": 16}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16, "codebook_size": 4}
    with pytest.raises(ValueError, match="2 channels; expected a mono Mimi"):
        as_codec(MimiModel(MimiConfig(audio_channels=2, **sizes)))
    with pytest.raises(ValueError, match="half a Mimi"):
        as_codec(MimiModel(MimiConfig(decoder_config=None, **sizes)))
    stereo = EncodecConfig(audio_channels=2, num_filters=2, hidden_size=4, num_lstm_layers=1)
    write_codec(EncodecModel(stereo), tmp_path / "stereo")
    with pytest.raises(ValueError, match="expected a mono EnCodec"):
        adopt(str(tmp_path / "stereo"), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kind", ["dac", "mimi"])
def test_broken_folders_are_refused(folders, tmp_path, kind):
    folder = tmp_path / "codec"
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_audio_tokenizer(folder)
    write_codec(read_codec(folders[kind]), folder)
    (folder / "checksums.json").unlink()
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    lacking = {key: value for key, value in weights.items() if key != name}
    for state in (lacking, weights | {name: torch.zeros(3)}):
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match="does not fit"):
            load_audio_tokenizer(folder)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_audio_tokenizer(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        load_audio_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "vocos"}))
    with pytest.raises(ValueError, match="'vocos'; expected one of encodec, dac, mimi"):
        load_audio_tokenizer(folder)


def test_weights_of_sixteen_bits_are_read_as_floats(folders, tmp_path):
    folder = tmp_path / "half"
    write_codec(read_codec(folders["dac"]).half(), folder)
    assert {weight.dtype for weight in load_audio_tokenizer(folder).parameters()} == {torch.float32}


def test_a_name_of_the_hub_is_fetched_as_settings_and_weights_only(folders, tmp_path, monkeypatch):
    asked = []

    def cached_file(name: str, file: str) -> str:
        asked.append((name, file))
        if name == "nobody/nothing":
            raise OSError("nobody/nothing is not a model\nof the hub")
        return str(folders["dac"] / file)

    monkeypatch.setattr("transformers.utils.cached_file", cached_file)
    codec = adopt("descript/dac_16khz", tmp_path / "codec", 2)
    assert asked == [("descript/dac_16khz", name) for name in ("config.json", "model.safetensors")]
    assert len(codec.codebook_sizes) == 2
    with pytest.raises(FileNotFoundError, match=r"hub gives none: nobody/nothing is not a model$"):
        adopt("nobody/nothing", tmp_path / "none")
    asked.clear()
    with pytest.raises(FileNotFoundError, match="there is no runs/my/codec; expected a folder or"):
        adopt("runs/my/codec", tmp_path / "none")
    assert not asked


def test_what_stands_at_the_target_is_not_overwritten(folders, tmp_path):
    (tmp_path / "codec").mkdir()
    with pytest.raises(ValueError, match="is there already"):
        adopt(str(folders["dac"]), tmp_path / "codec")
    assert not list((tmp_path / "codec").iterdir())


def test_the_command_adopts_into_the_model_folder_of_a_run(folders, tmp_path, capsys):
    run = ["audio", "adopt", str(folders["mimi"]), "--out", str(tmp_path / "run")]
    assert main([*run, "--levels", "3"]) == 0
    printed = capsys.readouterr().out
    assert "24000 Hz, 12.5 latents a second, 3 levels of 16 codes" in printed
    assert len(load_audio_tokenizer(tmp_path / "run/model/audio_tokenizer").codebook_sizes) == 3
    assert main(run) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("fps", [8.0, 23.976, 25.0])
@pytest.mark.parametrize("rate", RATES.values())
def test_latents_of_any_rate_cover_the_sound_up_to_one_hop(rate, fps):
    for num_frames in range(1, 60):
        latents = audio_latents(num_frames, fps, *rate)
        assert -1 <= audio_samples(num_frames, fps, rate[0]) - latents * rate[1] <= rate[1]


def video_tokenizer() -> VideoTokenizer:
    return VideoTokenizer(
        VideoTokenizerConfig(bits=6, channels=8, multipliers=(1, 1, 1), patch=4, spatial_strides=(2, 1))
    )


@pytest.mark.parametrize(("kind", "latents"), [("dac", 56), ("mimi", 14), ("encodec", 84)])
def test_a_model_with_an_adopted_codec_encodes_generates_and_decodes(folders, tmp_path, kind, latents):
    sizes = {"height": 32, "width": 32, "num_frames": 9, "fps": 8.0}
    torch.manual_seed(0)
    video_tokenizer().save_pretrained(tmp_path / "video_tokenizer")
    adopt(str(folders[kind]), tmp_path / "audio_tokenizer", 3)
    encoder = ClipEncoder.from_pretrained(tmp_path, **sizes)
    clip = Corpus(**sizes, sample_rate=encoder.clips.sample_rate, split="triples")[0]
    (codes,) = encoder.encode([clip])
    assert codes["audio"].shape == (3, latents)

    vocabulary = Vocabulary.of_sizes(encoder.clips.factors, encoder.clips.codebook_sizes)
    assert [vocabulary.block(audio_block(level)).size for level in range(3)] == [SIZE] * 3
    lm = PrefixLM(
        LMConfig(dim=32, layers=1, heads=2, kv_heads=1, hidden=32, rotary_dims=(4, 6, 6)), vocabulary
    )
    config = ModelConfig(encoder.clips, ("video_to_audio", "audio_to_video"))
    VideoLM(config, vocabulary, lm, encoder.video, encoder.audio).save_pretrained(tmp_path / "model")
    model = VideoLM.from_pretrained(tmp_path / "model")
    assert torch.equal(model.encode(clip)["audio"], codes["audio"])

    samples = audio_samples(9, 8.0, RATES[kind][0])
    assert model.decode(codes).waveform.shape == (1, samples)
    made = model.generate("video_to_audio", video=clip)
    assert made.waveform.shape == (1, samples) and made.sample_rate == RATES[kind][0]
    assert model.generate("audio_to_video", audio=clip).frames.shape == (9, 32, 32, 3)


def test_adoption_knows_every_kind_that_can_be_loaded():
    assert sorted(audio_foreign._LEVELS) == sorted(KINDS)
