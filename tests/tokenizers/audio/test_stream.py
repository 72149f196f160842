import pytest
import torch

from videolm.data.media.timing import audio_latents, audio_samples
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.audio.stream import advance, is_streamable

SMALL = {"num_filters": 4, "hidden_size": 8, "num_levels": 3, "codebook_size": 16}
# The networks of configs/audio, narrower: plain and fast; with residual blocks; EnCodec's two recurrent
# layers; and dilated convolutions, which two blocks before a stride have.
NETWORKS = {
    "debug": AudioTokenizerConfig(**SMALL, ratios=(5, 8, 8), num_residual_layers=0),
    "demo": AudioTokenizerConfig(**SMALL, ratios=(8, 5, 4, 2)),
    "full": AudioTokenizerConfig(**SMALL, ratios=(8, 5, 4, 2), num_lstm_layers=2),
    "dilated": AudioTokenizerConfig(**SMALL, ratios=(8, 5, 4, 2), num_residual_layers=2),
}
HOP = 320
HOPS = 12


@pytest.fixture(scope="module", params=NETWORKS)
def tokenizer(request) -> AudioTokenizer:
    """Random weights; its codebooks hold residuals that really occur, so that codes differ."""
    torch.manual_seed(0)
    config = NETWORKS[request.param]
    tokenizer = AudioTokenizer.of_config(config).eval()
    for weight in tokenizer.parameters():
        if weight.ndim == 1:  # some biases begin at zero, where they would not be missed
            torch.nn.init.normal_(weight, std=0.1)
    codebooks = []
    with torch.no_grad():
        residual = tokenizer.latents(torch.randn(1, 1, 60 * HOP))[0]
    for _ in range(config.num_levels):
        chosen = residual[torch.randperm(len(residual))[: config.codebook_size]]
        codebooks.append(chosen + 0.05 * residual.std() * torch.randn_like(chosen))
        residual = residual - codebooks[-1][torch.cdist(residual, codebooks[-1]).argmin(1)]
    tokenizer.set_codebooks(torch.stack(codebooks))
    return tokenizer


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    return torch.randn(2, 1, HOPS * HOP, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    return torch.randint(16, (2, 3, HOPS), generator=torch.Generator().manual_seed(2))


def parts_of(whole: torch.Tensor, cuts: list[int]) -> tuple[torch.Tensor, ...]:
    return whole.tensor_split(cuts, dim=-1)


def is_clear(tokenizer: AudioTokenizer, waveform: torch.Tensor) -> torch.Tensor:
    """Where, "batch levels frames", the nearest entry is nearer than any other by more than rounding, at
    this level and at those before."""
    residual, clear = tokenizer.latents(waveform).detach(), []
    for layer in tokenizer.encodec.quantizer.layers:
        entries = layer.codebook.embed
        distances = torch.cdist(residual, entries.expand(len(residual), -1, -1))
        nearest, second = distances.topk(2, largest=False).values.unbind(-1)
        clear.append(second - nearest > 1e-3 * second)
        residual = residual - entries[distances.argmin(-1)]
    return torch.stack(clear, dim=1).cumprod(1).bool()


CUTS = [[HOP], [3 * HOP, 4 * HOP], [1, 2, 700], [0, 0, 3839], list(range(100, HOPS * HOP, 100))]


@pytest.mark.parametrize("cuts", CUTS)
def test_streamed_codes_are_those_of_the_whole(tokenizer, waveform, cuts):
    stream = tokenizer.encoder_stream()
    streamed = torch.cat([stream.push(part) for part in parts_of(waveform, cuts)], dim=-1)
    whole, clear = tokenizer.encode(waveform), is_clear(tokenizer, waveform)
    assert streamed.shape == whole.shape and streamed.dtype == torch.int64
    assert torch.equal(streamed[clear], whole[clear]) and clear.float().mean() > 0.9
    assert all(len(level.unique()) > 3 for level in whole.unbind(1))
    assert stream.pending == 0


@pytest.mark.parametrize("cuts", [[HOP], [HOP, 2 * HOP], [5 * HOP, 11 * HOP]])
def test_streamed_latents_agree_before_they_are_quantised(tokenizer, waveform, cuts):
    memory, layers = {}, tokenizer.encodec.encoder.layers
    parts = [advance(layers, part, memory) for part in parts_of(waveform, cuts)]
    whole = tokenizer.latents(waveform).transpose(1, 2)
    torch.testing.assert_close(torch.cat(parts, dim=-1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cuts", [[1], [3, 4], [0, 7], list(range(1, HOPS))])
def test_streamed_sound_is_that_of_the_whole(tokenizer, codes, cuts):
    stream = tokenizer.decoder_stream()
    parts = [stream.push(part) for part in parts_of(codes, cuts)]
    torch.testing.assert_close(torch.cat(parts, dim=-1), tokenizer.decode(codes), rtol=0, atol=1e-5)


def test_fewer_levels_are_streamed_as_they_are_decoded(tokenizer, codes):
    stream = tokenizer.decoder_stream()
    parts = [stream.push(part) for part in parts_of(codes[:, :1], [4])]
    torch.testing.assert_close(torch.cat(parts, -1), tokenizer.decode(codes[:, :1]), rtol=0, atol=1e-5)


def test_a_stream_says_how_many_samples_no_code_covers(tokenizer, waveform):
    stream = tokenizer.encoder_stream()
    assert stream.pending == 0
    pushed = [stream.push(part).shape[-1] for part in parts_of(waveform[..., :1000], [300, 330])]
    assert pushed == [0, 1, 2] and stream.pending == 1000 - 3 * HOP


def test_a_part_is_coded_without_waiting_for_the_next(tokenizer, codes):
    stream = tokenizer.decoder_stream()
    assert [stream.push(part).shape[-1] for part in parts_of(codes, [1, 5])] == [HOP, 4 * HOP, 7 * HOP]


def test_what_a_stream_remembers_grows_neither_with_the_sound_nor_with_its_parts(tokenizer, waveform):
    encoder, decoder, sizes = tokenizer.encoder_stream(), tokenizer.decoder_stream(), []
    for hops in (1, HOPS, 5):
        decoder.push(encoder.push(waveform[..., : hops * HOP]))
        kept = [*encoder.memory.values(), *decoder.memory.values(), encoder.waiting]
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in kept))
    assert sizes[0] == sizes[1] == sizes[2] > 0


def test_two_streams_do_not_hear_each_other(tokenizer, waveform):
    one, other = tokenizer.encoder_stream(), tokenizer.encoder_stream()
    first, second = parts_of(waveform, [6 * HOP])
    alone = one.push(first)
    other.push(second)
    together = torch.cat([alone, one.push(second)], dim=-1)
    clear = is_clear(tokenizer, waveform)
    assert torch.equal(together[clear], tokenizer.encode(waveform)[clear])


@pytest.mark.parametrize(
    "settings",
    [
        {"use_causal_conv": False},
        {"pad_mode": "reflect"},
        {"norm_type": "time_group_norm"},
        {"trim_right_ratio": 0.5},
    ],
)
def test_a_codec_that_hears_ahead_is_refused(settings):
    from transformers import EncodecConfig, EncodecModel

    causal = {"pad_mode": "constant", "num_filters": 2, "hidden_size": 4}
    tokenizer = AudioTokenizer(EncodecModel(EncodecConfig(**causal | settings)))
    (name, value) = next(iter(settings.items()))
    assert not is_streamable(tokenizer.encodec)
    for stream in (tokenizer.encoder_stream, tokenizer.decoder_stream):
        with pytest.raises(ValueError, match=f"has {name} {value!r} and cannot be streamed; expected"):
            stream()
    assert is_streamable(EncodecModel(EncodecConfig(**causal)))


def test_a_latent_hears_no_sample_from_its_end_on_and_all_of_its_own_hop(tokenizer, waveform):
    waveform = waveform[:1].clone().requires_grad_()
    latents = tokenizer.latents(waveform)
    for frame in range(HOPS):
        (gradient,) = torch.autograd.grad(latents[0, frame].square().sum(), waveform, retain_graph=True)
        end = (frame + 1) * HOP
        assert not gradient[..., end:].any() and (gradient[..., end - HOP : end] != 0).all()
        assert gradient[..., :HOP].any()  # the recurrent layers remember the beginning


def test_a_sample_is_made_from_its_own_latent_and_all_before_but_none_after(tokenizer):
    latents = torch.randn(1, HOPS, 8, generator=torch.Generator().manual_seed(3)).requires_grad_()
    waveform = tokenizer.synthesize(latents)[0, 0]
    for sample in (0, 1, HOP - 1, HOP, 5 * HOP - 1, 5 * HOP, 5 * HOP + 100, HOPS * HOP - 1):
        (gradient,) = torch.autograd.grad(waveform[sample], latents, retain_graph=True)
        heard = gradient[0].abs().sum(1) > 0
        assert heard[: sample // HOP + 1].all() and not heard[sample // HOP + 1 :].any()


def test_zero_padding_is_what_makes_a_codec_causal():
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(0)
    reflecting = AudioTokenizer(EncodecModel(EncodecConfig(num_filters=2, hidden_size=4, codebook_size=16)))
    waveform = torch.randn(1, 1, HOPS * HOP).requires_grad_()
    (gradient,) = torch.autograd.grad(reflecting.latents(waveform)[0, 0].square().sum(), waveform)
    assert gradient[..., HOP:].any()


@pytest.mark.parametrize(("num_frames", "latents"), [(1, 6), (9, 56), (17, 106), (41, 256)])
def test_the_codes_of_a_clip_s_sound_are_as_many_as_timing_says(tokenizer, num_frames, latents):
    rate, hop = tokenizer.sample_rate, tokenizer.hop_length
    assert audio_latents(num_frames, 8.0, rate, hop) == latents
    sound = torch.randn(1, 1, audio_samples(num_frames, 8.0, rate))
    stream = tokenizer.encoder_stream()
    codes = stream.push(sound)
    assert codes.shape == tokenizer.encode(sound[..., : latents * hop]).shape == (1, 3, latents)
    assert stream.pending == sound.shape[-1] - latents * hop < hop
    decoded = tokenizer.decode(codes)
    assert decoded.shape == tokenizer.decoder_stream().push(codes).shape == (1, 1, latents * hop)
    assert 0 <= sound.shape[-1] - decoded.shape[-1] < hop
