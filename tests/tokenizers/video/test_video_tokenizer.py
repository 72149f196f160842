import pytest
import torch

from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer


@pytest.fixture(scope="module")
def tokenizer(network) -> VideoTokenizer:
    """Small, with no weight left at zero, so that whatever is connected shows."""
    torch.manual_seed(0)
    model = VideoTokenizer(network)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 9, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_sizes(tokenizer, pixels):
    codes = tokenizer.encode(pixels)
    assert codes.shape == (2, 3, 2, 3) and codes.dtype == torch.int64
    assert tokenizer.grid(9, 16, 24) == (3, 2, 3)
    assert tokenizer.decode(codes).shape == pixels.shape
    assert (tokenizer.temporal_stride, tokenizer.spatial_stride, tokenizer.codebook_size) == (4, 8, 64)


def test_latents_have_no_gradient_from_later_frames(tokenizer, pixels):
    pixels = pixels.clone().requires_grad_()
    latents = tokenizer.latents(pixels)
    for t in range(latents.shape[1]):
        (gradient,) = torch.autograd.grad(latents[:, t].square().sum(), pixels, retain_graph=True)
        reached = gradient.abs().sum((0, 1, 3, 4))
        assert (reached[: 4 * t + 1] > 0).all() and (reached[4 * t + 1 :] == 0).all()


@pytest.mark.parametrize("frame", range(9))
def test_a_changed_frame_changes_no_earlier_latent(tokenizer, pixels, frame):
    changed = pixels.clone()
    changed[:, :, frame] = -changed[:, :, frame]
    before, after = tokenizer.latents(pixels), tokenizer.latents(changed)
    first = -(-frame // 4)
    torch.testing.assert_close(after[:, :first], before[:, :first], rtol=0, atol=1e-5)
    assert not torch.allclose(after[:, first], before[:, first], atol=1e-3)


def test_an_image_has_the_latents_of_a_first_frame(tokenizer, pixels):
    image = tokenizer.latents(pixels[:, :, :1])
    torch.testing.assert_close(image, tokenizer.latents(pixels)[:, :1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_latents", [1, 2])
def test_decoding_a_prefix_gives_a_prefix(tokenizer, num_latents):
    codes = torch.randint(64, (2, 3, 2, 3), generator=torch.Generator().manual_seed(2))
    frames = 1 + 4 * (num_latents - 1)
    whole, prefix = tokenizer.decode(codes), tokenizer.decode(codes[:, :num_latents])
    assert prefix.shape[2] == frames
    torch.testing.assert_close(prefix, whole[:, :, :frames], rtol=0, atol=1e-5)


def test_forward_reconstructs_what_decode_gives_for_the_codes(tokenizer, pixels):
    reconstruction, latents = tokenizer(pixels)
    torch.testing.assert_close(reconstruction, tokenizer.decode(tokenizer.encode(pixels)), rtol=0, atol=1e-4)
    torch.testing.assert_close(latents, tokenizer.latents(pixels))


@pytest.mark.parametrize(
    "size, said",
    [
        ((8, 16, 16), "8 frames; expected 1 \\+ a multiple of 4, such as 5"),
        ((9, 20, 16), "20x16; expected height and width in multiples of 8"),
        ((9, 16, 4), "16x4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tokenizer, size, said):
    with pytest.raises(ValueError, match=said):
        tokenizer.encode(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("code", [-1, 64])
def test_codes_outside_the_codebook_are_refused(tokenizer, code):
    with pytest.raises(ValueError, match=r"expected \[0, 64\)"):
        tokenizer.decode(torch.full((1, 1, 2, 2), code))


@pytest.mark.parametrize("bits, factors", [(1, (2,)), (5, (4, 8)), (10, (32, 32)), (18, (512, 512))])
def test_factors_split_the_bits_into_halves_lowest_first(bits, factors):
    assert VideoTokenizer(VideoTokenizerConfig(bits=bits, channels=4)).factors == factors


def split_at(clip: torch.Tensor, cuts: list[int], dim: int) -> list[torch.Tensor]:
    sizes = [end - start for start, end in zip([0, *cuts], [*cuts, clip.shape[dim]], strict=True)]
    return list(clip.split(sizes, dim))


@pytest.mark.parametrize("cuts", [[1], [5], [3, 4], [0, 2, 7], list(range(1, 9))])
def test_streamed_codes_are_those_of_the_whole(tokenizer, pixels, cuts):
    stream = tokenizer.encoder_stream()
    parts = [stream.push(part) for part in split_at(pixels, cuts, dim=2)]
    latents, codes = tokenizer.latents(pixels), torch.cat(parts, dim=1)
    is_clear = (latents.abs() > 1e-4).all(-1)
    assert torch.equal(codes[is_clear], tokenizer.encode(pixels)[is_clear]) and is_clear.float().mean() > 0.9
    assert stream.pending == 0


def test_streamed_latents_agree_before_the_sign(tokenizer, pixels):
    memory = {}
    parts = [tokenizer.latents(part, memory) for part in split_at(pixels, [1, 5], dim=2)]
    torch.testing.assert_close(torch.cat(parts, 1), tokenizer.latents(pixels), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cuts", [[1], [2], [1, 1], [0, 1, 2]])
def test_streamed_pixels_are_those_of_the_whole(tokenizer, cuts):
    codes = torch.randint(64, (2, 3, 2, 3), generator=torch.Generator().manual_seed(2))
    stream = tokenizer.decoder_stream()
    parts = [stream.push(part) for part in split_at(codes, cuts, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=2), tokenizer.decode(codes), rtol=0, atol=1e-5)


def test_a_stream_says_which_frames_no_code_covers(tokenizer, pixels):
    stream = tokenizer.encoder_stream()
    assert [stream.push(pixels[:, :, part]).shape[1] for part in (slice(0, 4), slice(4, 7))] == [1, 1]
    assert stream.pending == 2


def test_what_a_stream_remembers_does_not_grow_with_the_clip(tokenizer, pixels):
    stream, sizes = tokenizer.encoder_stream(), []
    for _ in range(4):
        stream.push(pixels[:, :, 1:])
        sizes.append(sum(frames.numel() for frames in stream.memory.values()) + stream.waiting.numel())
    assert sizes[1] == sizes[2] == sizes[3]


def test_a_saved_tokenizer_gives_the_same_codes(tokenizer, pixels, tmp_path):
    tokenizer.save_pretrained(tmp_path / "video_tokenizer")
    loaded = VideoTokenizer.from_pretrained(tmp_path / "video_tokenizer")
    assert loaded.config == tokenizer.config and loaded.fingerprint == tokenizer.fingerprint
    codes = tokenizer.encode(pixels)
    assert torch.equal(loaded.encode(pixels), codes)
    assert torch.equal(loaded.decode(codes), tokenizer.decode(codes))
