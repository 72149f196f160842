import json

import pytest
import torch
from transformers import Emu3VQVAE, Emu3VQVAEConfig

from videolm.tokenizers.video.emu3 import Emu3VideoTokenizer
from videolm.tokenizers.video.protocol import VideoCodec, bit_factors, load_video_tokenizer
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer, VideoTokenizerConfig

SIZES = {
    "codebook_size": 64, "base_channels": 32, "channel_multiplier": (1, 1, 1, 1), "num_res_blocks": 1,
    "attn_resolutions": (3,), "hidden_size": 32,
}  # fmt: skip


def emu3(seed: int, **changes) -> Emu3VQVAE:
    """Random weights of the released layout, and a codebook that spreads over the latents."""
    torch.manual_seed(seed)
    model = Emu3VQVAE(Emu3VQVAEConfig(**SIZES | changes))
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)
    with torch.no_grad():
        latents = model.quant_conv(model.encoder(torch.rand(1, 16, 3, 32, 32) * 2 - 1).transpose(1, 2))
        spread = latents.transpose(0, 1).flatten(1)
        model.quantize.embedding.weight.copy_(spread[:, torch.randperm(spread.shape[1])[:64]].T)
    return model


@pytest.fixture(scope="module")
def tokenizer() -> Emu3VideoTokenizer:
    return Emu3VideoTokenizer(emu3(0))


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign") / "video_tokenizer"
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 9, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_ours_and_the_adapter_are_video_codecs(tokenizer):
    assert isinstance(tokenizer, VideoCodec)
    assert isinstance(VideoTokenizer(VideoTokenizerConfig(bits=4, channels=8)), VideoCodec)
    assert not isinstance(torch.nn.Linear(1, 1), VideoCodec)


def test_sizes_are_those_that_the_grid_says(tokenizer, pixels):
    codes = tokenizer.encode(pixels)
    assert codes.shape == (2, *tokenizer.grid(9, 16, 24)) == (2, 3, 2, 3)
    assert codes.dtype == torch.int64 and codes.min() >= 0 and codes.max() < 64
    assert len(codes.unique()) > 8
    assert tokenizer.decode(codes).shape == pixels.shape
    assert (tokenizer.temporal_stride, tokenizer.spatial_stride, tokenizer.codebook_size) == (4, 8, 64)
    assert tokenizer.factors == (8, 8)


def test_the_released_sizes_are_4x8x8_and_32768_codes():
    with torch.device("meta"):
        released = Emu3VideoTokenizer(Emu3VQVAE(Emu3VQVAEConfig()))
    assert (released.temporal_stride, released.spatial_stride, released.codebook_size) == (4, 8, 32768)
    assert released.factors == (128, 256)


def test_codes_are_those_of_transformers_for_the_clip_with_its_first_frame_repeated(tokenizer, pixels):
    frames = torch.cat([pixels[:, :, [0, 0, 0]], pixels], dim=2).transpose(1, 2)
    everything = torch.full((2, 2), 1000)  # or Emu3VQVAE.encode cuts latents off
    theirs = tokenizer.emu3.encode(frames, image_sizes=everything).image_tokens
    assert torch.equal(tokenizer.encode(pixels), torch.stack(theirs))


def test_an_image_has_the_codes_that_transformers_gives_it(tokenizer, pixels):
    theirs = tokenizer.emu3.encode(pixels[:, :, 0], image_sizes=torch.tensor([[16, 24]] * 2)).image_tokens
    assert torch.equal(tokenizer.encode(pixels[:, :, :1])[:, 0], torch.stack(theirs))


@pytest.mark.parametrize("num_frames", [1, 5])
def test_codes_of_a_beginning_ignore_later_frames(tokenizer, pixels, num_frames):
    whole, beginning = tokenizer.encode(pixels), tokenizer.encode(pixels[:, :, :num_frames])
    assert torch.equal(beginning, whole[:, : beginning.shape[1]])
    changed = tokenizer.encode(torch.cat([pixels[:, :, :-1], -pixels[:, :, -1:]], dim=2))
    assert torch.equal(changed[:, :2], whole[:, :2]) and not torch.equal(changed, whole)


@pytest.mark.parametrize("num_latents", [1, 2])
def test_decoding_a_prefix_gives_a_prefix(tokenizer, pixels, num_latents):
    codes = tokenizer.encode(pixels)
    whole, prefix = tokenizer.decode(codes), tokenizer.decode(codes[:, :num_latents])
    assert prefix.shape[2] == 1 + 4 * (num_latents - 1)
    torch.testing.assert_close(prefix, whole[:, :, : prefix.shape[2]], rtol=0, atol=1e-4)


@pytest.mark.parametrize("layer, first", [(0, 0), (1, 1), (2, 5)])
def test_a_layer_of_codes_is_first_seen_in_the_frames_that_it_covers(tokenizer, pixels, layer, first):
    codes = tokenizer.encode(pixels)
    changed = codes.clone()
    changed[:, layer] = (changed[:, layer] + 1) % 64
    difference = (tokenizer.decode(changed) - tokenizer.decode(codes)).abs().amax((0, 1, 3, 4))
    assert difference[first] > 1e-2 and (difference[:first] < 1e-4).all()


def test_a_saved_folder_loads_as_the_same_tokenizer_here_and_in_transformers(tokenizer, folder, pixels):
    loaded = load_video_tokenizer(folder)
    assert isinstance(loaded, Emu3VideoTokenizer) and not loaded.training
    assert loaded.fingerprint == tokenizer.fingerprint
    codes = tokenizer.encode(pixels)
    assert torch.equal(loaded.encode(pixels), codes)
    torch.testing.assert_close(loaded.decode(codes), tokenizer.decode(codes), rtol=0, atol=1e-4)
    theirs = Emu3VideoTokenizer(Emu3VQVAE.from_pretrained(folder))
    assert theirs.fingerprint == tokenizer.fingerprint


def test_the_fingerprint_changes_with_weights_and_settings(tokenizer):
    other = emu3(0)
    assert Emu3VideoTokenizer(other).fingerprint == tokenizer.fingerprint
    with torch.no_grad():
        other.quantize.embedding.weight[3, 1] += 1e-3
    assert Emu3VideoTokenizer(other).fingerprint != tokenizer.fingerprint
    assert Emu3VideoTokenizer(emu3(0, num_attention_heads=2)).fingerprint != tokenizer.fingerprint


@pytest.mark.parametrize("size, said", [((8, 16, 16), "8 frames; expected 1"), ((9, 20, 16), "20x16")])
def test_sizes_that_do_not_fit_are_refused(tokenizer, size, said):
    with pytest.raises(ValueError, match=said):
        tokenizer.encode(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("code", [-1, 64])
def test_codes_outside_the_codebook_are_refused(tokenizer, code):
    with pytest.raises(ValueError, match=r"expected \[0, 64\)"):
        tokenizer.decode(torch.full((1, 1, 2, 2), code))


def test_our_own_folder_loads_as_our_tokenizer(tmp_path):
    ours = VideoTokenizer(VideoTokenizerConfig(bits=4, channels=8))
    ours.save_pretrained(tmp_path / "ours")
    loaded = load_video_tokenizer(tmp_path / "ours")
    assert isinstance(loaded, VideoTokenizer) and loaded.fingerprint == ours.fingerprint


@pytest.mark.parametrize(
    "config, said",
    [
        ({"kind": "audio_tokenizer"}, "describes kind 'audio_tokenizer'; expected kind 'video_tokenizer' or"),
        ({"model_type": "bert"}, "describes model_type 'bert'; expected"),
        ({"model_type": ["emu3_vqgan"]}, "expected"),
        ([], "describes no known model"),
        ({"model_type": "emu3_vqgan", "codebook_size": "many"}, "makes no Emu3VQVAE.*codebook_size"),
        ({"model_type": "emu3_vqgan", "temporal_downsample_factor": 3}, "expected a power of two"),
        ({"model_type": "emu3_vqgan", "base_channels": 30}, "makes no Emu3VQVAE"),
        ({"model_type": "emu3_vqgan", "double_latent": True}, "expected 3, 3, False"),
    ],
)
def test_a_folder_of_anything_else_is_refused_in_one_line(tmp_path, config, said):
    small = {**SIZES, **config} if isinstance(config, dict) and "model_type" in config else config
    (tmp_path / "config.json").write_text(json.dumps(small))
    with pytest.raises(ValueError, match=said) as error:
        load_video_tokenizer(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_settings_or_weights_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"it has no config\.json"):
        load_video_tokenizer(tmp_path / "none")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        load_video_tokenizer(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"does not fit its config\.json"):
        load_video_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "size, factors",
    [(2, (2,)), (4, (2, 2)), (32, (4, 8)), (1000, (1000,)), (1024, (32, 32)), (2**18, (512, 512))],
)
def test_bit_factors_are_the_halves_of_the_bits(size, factors):
    assert bit_factors(size) == factors
