"""How good an audio codec is on sounds it was not trained on: a table, a JSON file and spectrograms.

    videolm audio score SOURCE --model runs/mine/model --out runs/mine/audio_scores

The codec is scored with all of its levels and with its first ones only. Beside it stand two methods that
say what it is worth at its bit rate:

    mu-law             no network: samples of 1 to 8 bits, as many a second as the codec's bit rate allows.
                       Of the eight depths, the one with the best SI-SDR on these very sounds.
    random codebooks   an EnCodec network with codebooks drawn from normal distributions that have the mean
                       and deviation of what each level has to code: what training the codebooks gained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log1p, log2, prod
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.codes.clip_format import ClipFormat
from ..data.loading.clip_sources import Source, open_source
from ..data.runtime.files import replacing, write_json
from ..data.runtime.progress import progress
from ..tokenizers.audio.codec import AudioTokenizer
from ..tokenizers.audio.losses import magnitudes, mel_filterbank
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from ..tokenizers.video.lfq import code_statistics

CODEC, MU_LAW, RANDOM = "codec", "mu-law", "random codebooks"
_STFT_WINDOWS = (512, 1024, 2048)
_MEL_WINDOW, _NUM_MELS = 1024, 64
_SILENCE = 1e-3  # of a full-scale sine; magnitudes below these -60 dB must not outweigh what can be heard
_MOST_BITS = 8
_COLUMNS = (("si_sdr_db", "SI-SDR dB", ".2f"), ("stft", "STFT", ".3f"), ("log_mel_db", "log-mel dB", ".2f"))


@dataclass(frozen=True, eq=False)
class Heard:
    """Sounds, their codes, and what becomes of them by every method.

    Args:
        sample_rate: of all sounds.
        real: the sounds, cut to whole hops, each "1 samples".
        codes: of each sound, "levels frames".
        methods: by name, what comes back of each sound; the codec is the first.
        bits_per_second: of each method.
        mu_law: bits a sample and samples a second of that method.
    """

    sample_rate: int
    real: list[Tensor]
    codes: list[Tensor]
    methods: dict[str, list[Tensor]]
    bits_per_second: dict[str, float]
    mu_law: tuple[int, int]


def score_source(
    source: str,
    model: Path,
    out: Path,
    *,
    where: dict[str, str] | None = None,
    clips: int = 32,
    split: str = "triples",
    num_frames: int = 17,
    fps: float = 8.0,
    seed: int = 0,
) -> list[Path]:
    """Score the audio codec of a model folder on the last clips of a source; returns what was written.

    Args:
        where, split, seed: as `open_source`; the seed also draws the random codebooks.
        clips: how many; of a folder or list the last ones, which training holds out.
        num_frames, fps: the sound of a clip lasts num_frames / fps seconds.

    Raises:
        FileNotFoundError, ValueError: if model or source cannot be used, or none of the clips.
    """
    if clips < 1:
        raise ValueError(f"clips is {clips}; expected at least 1")
    codec = load_audio_tokenizer(model / "audio_tokenizer")
    entries = open_source(
        _sound_format(codec, num_frames, fps), source, where=where, count=clips, split=split, seed=seed
    )
    skipped: list[str] = []
    sounds = list(_sounds(entries, clips, skipped))
    if not sounds:
        raise ValueError(f"none of the last {clips} entries of {source} can be used; the first: {skipped[0]}")
    heard = listen(codec, sounds, seed)
    scores = scores_of(codec, heard)
    scores |= {"model": str(model), "skipped": skipped} | entries.description
    print(table(scores))
    return write_scores(out, scores, heard)


def score_audio_tokenizer(
    codec: AudioCodec, sounds: Sequence[Float[Tensor, "1 _"]], seed: int = 0
) -> dict[str, Any]:
    """Scores of a codec, of its first levels and of methods at its bit rate, as `scores_of`.

    Args:
        sounds: samples in [-1, 1] at the codec's rate and on its device, of any lengths; what is left of a
            hop is cut off.
        seed: of the random codebooks.

    Raises:
        ValueError: if there are no sounds, or one is shorter than a hop.
    """
    return scores_of(codec, listen(codec, sounds, seed))


@torch.no_grad()
def listen(codec: AudioCodec, sounds: Sequence[Float[Tensor, "1 _"]], seed: int = 0) -> Heard:
    """Every sound through every method; arguments and errors as `score_audio_tokenizer`."""
    if not sounds:
        raise ValueError("there are no sounds to score the codec on; expected at least one")
    whole = [_whole_hops(sound, codec.hop_length) for sound in sounds]
    num_levels = len(codec.codebook_sizes)
    names = {levels: _name(levels, num_levels) for levels in range(num_levels, 0, -1)}
    bits = {name: bits_per_second(codec, levels) for levels, name in names.items()}
    methods: dict[str, list[Tensor]] = {name: [] for name in names.values()}
    codes = []
    with progress("score", len(whole)) as report:
        for done, sound in enumerate(whole, start=1):
            coded = codec.encode(sound[None])
            codes.append(coded[0].cpu())
            for levels, name in names.items():
                methods[name].append(codec.decode(coded[:, :levels])[0].cpu())
            report(done)
    real = [sound.cpu() for sound in whole]
    sampling, methods[MU_LAW] = _best_mu_law(real, codec.sample_rate, bits[CODEC])
    bits[MU_LAW] = float(prod(sampling))
    if isinstance(codec, AudioTokenizer):
        methods[RANDOM], bits[RANDOM] = _random_codebooks(codec, whole, seed), bits[CODEC]
    return Heard(codec.sample_rate, real, codes, methods, bits, sampling)


def scores_of(codec: AudioCodec, heard: Heard) -> dict[str, Any]:
    """Means over the sounds, and how the codes are used.

    Returns:
        sounds, seconds (of all together), sample_rate, hop_length, codebook_sizes, bits_per_second,
        levels: for each, codes (how many were counted), code_use and perplexity as `code_statistics`,
        mu_law: bits a sample and sample_rate of that method, and
        methods: by name, bits_per_second and the means of `sound_quality`; None if no sound had the score.
    """
    levels = []
    for level, size in enumerate(codec.codebook_sizes):
        counts = torch.cat([codes[level] for codes in heard.codes]).bincount(minlength=size)
        statistics = code_statistics(counts)
        use = {name: statistics[name] for name in ("code_use", "perplexity")}
        levels.append({"codes": int(counts.sum()), **use})
    methods = {}
    for name, decoded in heard.methods.items():
        pairs = zip(decoded, heard.real, strict=True)
        qualities = [sound_quality(*pair, heard.sample_rate) for pair in pairs]
        means = {metric: _mean([quality[metric] for quality in qualities]) for metric in qualities[0]}
        methods[name] = {"bits_per_second": heard.bits_per_second[name], **means}
    return {
        "sounds": len(heard.real),
        "seconds": sum(sound.shape[1] for sound in heard.real) / heard.sample_rate,
        "sample_rate": heard.sample_rate,
        "hop_length": codec.hop_length,
        "codebook_sizes": list(codec.codebook_sizes),
        "bits_per_second": heard.bits_per_second[CODEC],
        "levels": levels,
        "mu_law": dict(zip(("bits", "sample_rate"), heard.mu_law, strict=True)),
        "methods": methods,
    }


def bits_per_second(codec: AudioCodec, levels: int | None = None) -> float:
    """What the codes of a second of sound take, of the first `levels` (all if not given)."""
    bits = sum(log2(size) for size in codec.codebook_sizes[:levels])
    return bits * codec.sample_rate / codec.hop_length


def sound_quality(
    decoded: Float[Tensor, "1 samples"], real: Float[Tensor, "1 samples"], sample_rate: int
) -> dict[str, float | None]:
    """si_sdr_db (more is better), stft and log_mel_db (less is better) of one sound.

    The first two compare with the loudness of the real sound; where that is silent they are None.
    """
    is_audible = bool(real.any())
    one, other = decoded[None], real[None]
    return {
        "si_sdr_db": float(si_sdr(one, other)) if is_audible else None,
        "stft": float(stft_distance(one, other)) if is_audible else None,
        "log_mel_db": float(log_mel_distance(one, other, sample_rate)),
    }


def si_sdr(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
) -> Float[Tensor, " batch"]:
    """Scale-invariant signal-to-distortion ratio in dB, of sounds that are not silent.

    Le Roux et al. 2019, "SDR – half-baked or well done?", arXiv:1811.02508, section 3.
    """
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    return scale_invariant_signal_distortion_ratio(decoded, real).flatten()


def stft_distance(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"]
) -> Float[Tensor, " batch"]:
    """Multi-resolution STFT distance of sounds that are not silent: 0 for equal ones.

    Mean over three resolutions of spectral convergence and the mean distance of log magnitudes (Yamamoto
    et al. 2020, arXiv:1910.11480). Windows are as long as the transform and a quarter of it apart, and
    what is below -60 dB counts as silence; the paper's are shorter, and its logarithms have no floor.
    """
    distances = []
    for window in _STFT_WINDOWS:
        ours, theirs = magnitudes(decoded, window), magnitudes(real, window)
        convergence = (ours - theirs).flatten(1).norm(dim=1) / theirs.flatten(1).norm(dim=1)
        log_distance = (torch.log(ours + _SILENCE) - torch.log(theirs + _SILENCE)).abs().mean((1, 2))
        distances.append(convergence + log_distance)
    return torch.stack(distances).mean(0)


def log_mel_distance(
    decoded: Float[Tensor, "batch 1 samples"], real: Float[Tensor, "batch 1 samples"], sample_rate: int
) -> Float[Tensor, " batch"]:
    """Mean distance in dB of mel spectrograms, 64 bands, windows of 1024 samples; below -60 dB is silence."""
    filters = mel_filterbank(_MEL_WINDOW, _NUM_MELS, sample_rate).to(real.device)
    ours, theirs = (
        20 * torch.log10(filters @ magnitudes(sound, _MEL_WINDOW) + _SILENCE) for sound in (decoded, real)
    )
    return (ours - theirs).abs().mean((1, 2))


def mu_law(sound: Float[Tensor, "1 samples"], bits: int) -> Float[Tensor, "1 samples"]:
    """Samples rounded to 2 ** bits values that lie the closer, the softer they are.

    The companding of ITU-T G.711, whose 8 bits have mu = 255, continuous; with mu = 2 ** bits - 1.
    """
    values = 2**bits
    scale = log1p(values - 1)
    compressed = sound.sign() * torch.log1p((values - 1) * sound.abs()) / scale
    index = ((compressed + 1) * values / 2).floor().clamp(0, values - 1)
    centre = (2 * index + 1) / values - 1
    return centre.sign() * torch.expm1(centre.abs() * scale) / (values - 1)


def randomly_quantized(
    latents: Float[Tensor, "frames dim"], codebook_sizes: Sequence[int], generator: torch.Generator
) -> Float[Tensor, "frames dim"]:
    """Latents as the sum of the nearest entries of random codebooks, one for each level.

    A codebook's entries are drawn channel by channel from the normal distribution with the mean and
    deviation of what the levels before have left over.
    """
    residual = latents
    for size in codebook_sizes:
        drawn = torch.randn(size, latents.shape[1], generator=generator)
        entries = residual.mean(0) + residual.std(0, correction=0) * drawn
        residual = residual - entries[torch.cdist(residual, entries).argmin(1)]
    return latents - residual


def table(scores: dict[str, Any]) -> str:
    """The scores as lines of text: a row for each method, then the codes of each level."""
    lines = [
        f"{scores['sounds']} sounds, {scores['seconds']:.1f} s at {scores['sample_rate']:,} Hz, "
        f"{len(scores['levels'])} levels, {scores['bits_per_second']:,.0f} bits per second",
        f"{'':24}{'bits/s':>10}" + "".join(f"{title:>12}" for _, title, _ in _COLUMNS),
    ]
    for name, measured in scores["methods"].items():
        values = [(measured[metric], form) for metric, _, form in _COLUMNS]
        cells = ["-" if value is None else format(value, form) for value, form in values]
        rate = format(measured["bits_per_second"], ",.0f")
        lines.append(f"{name:24}{rate:>10}" + "".join(f"{cell:>12}" for cell in cells))
    bits, low_rate = scores["mu_law"]["bits"], scores["mu_law"]["sample_rate"]
    lines.append(f"{MU_LAW}: {bits} bits a sample, {low_rate:,} samples a second")
    levels = zip(scores["levels"], scores["codebook_sizes"], strict=True)
    for level, (use, size) in enumerate(levels, start=1):
        lines.append(
            f"level {level}: {round(use['code_use'] * size):,} of {size:,} codes in use "
            f"({use['code_use']:.1%}) among {use['codes']:,}, perplexity {use['perplexity']:,.1f}"
        )
    if scores.get("skipped"):
        lines.append(f"left out {len(scores['skipped'])}, such as {scores['skipped'][0]}")
    return "\n".join(lines)


def write_scores(folder: Path, scores: dict[str, Any], heard: Heard) -> list[Path]:
    """Write scores.json and spectrograms.png, of the first sound that is not silent; returns their paths."""
    write_json(folder / "scores.json", scores)
    picture = folder / "spectrograms.png"
    with replacing(picture) as temporary:
        _draw_spectrograms(heard, temporary)
    return [folder / "scores.json", picture]


def _sound_format(codec: AudioCodec, num_frames: int, fps: float) -> ClipFormat:
    """What a source is to read: the sound at the codec's rate, and frames so small that they cost nothing."""
    return ClipFormat(
        height=16,
        width=16,
        num_frames=num_frames,
        fps=fps,
        grid=(1, 1, 1),
        temporal_stride=1,
        factors=(),
        video_tokenizer="",
        codebook_sizes=codec.codebook_sizes,
        sample_rate=codec.sample_rate,
        hop_length=codec.hop_length,
    )


def _sounds(entries: Source, count: int, skipped: list[str]) -> Iterator[Float[Tensor, "1 samples"]]:
    """The sounds of the last entries; `skipped` is told of those that have none."""
    held_out = range(max(0, len(entries) - count), len(entries))
    with progress("read", len(held_out)) as report:
        for done, index in enumerate(held_out, start=1):
            reading = entries[index]
            skipped.extend([reading.problem] if reading.problem else [])
            for clip in reading.clips:
                if clip.waveform is None:
                    skipped.append(f"{reading.name}: it has no sound")
                else:
                    yield clip.waveform
            report(done)


def _whole_hops(sound: Float[Tensor, "1 samples"], hop_length: int) -> Float[Tensor, "1 whole"]:
    samples = sound.shape[1]
    if samples < hop_length:
        raise ValueError(f"a sound has {samples} samples; expected at least a hop of {hop_length}")
    return sound[:, : samples // hop_length * hop_length]


def _name(levels: int, num_levels: int) -> str:
    return CODEC if levels == num_levels else f"{CODEC}, {levels} of {num_levels} levels"


def _best_mu_law(
    sounds: list[Tensor], sample_rate: int, bits_per_second: float
) -> tuple[tuple[int, int], list[Tensor]]:
    """Bits a sample, samples a second, and the sounds, of the depth whose SI-SDR is best.

    At each depth there are as many samples a second as the bit rate allows, at most as the sound has itself.
    """
    best: tuple[float, tuple[int, int], list[Tensor]] | None = None
    for bits in range(1, _MOST_BITS + 1):
        low_rate = min(sample_rate, int(bits_per_second / bits))
        if not low_rate:
            break
        coded = [_at_rate(sound, sample_rate, low_rate, bits) for sound in sounds]
        pairs = [(one, sound) for one, sound in zip(coded, sounds, strict=True) if sound.any()]
        quality = sum(float(si_sdr(one[None], sound[None])) for one, sound in pairs)
        if best is None or quality > best[0]:
            best = quality, (bits, low_rate), coded
    if best is None:
        raise ValueError(f"the codec has {bits_per_second:g} bits per second; expected at least 1")
    return best[1:]


def _at_rate(sound: Tensor, sample_rate: int, low_rate: int, bits: int) -> Tensor:
    num_samples = max(1, sound.shape[1] * low_rate // sample_rate)
    return _stretched(mu_law(_stretched(sound, num_samples), bits), sound.shape[1])


def _stretched(sound: Float[Tensor, "1 samples"], num_samples: int) -> Float[Tensor, "1 num_samples"]:
    """The sound in another number of samples, by its Fourier series.

    FFmpeg's resampler gives nothing for the few samples that a second may have here.
    """
    spectrum = torch.fft.rfft(sound)[:, : num_samples // 2 + 1]
    return torch.fft.irfft(spectrum, num_samples) * (num_samples / sound.shape[1])


def _random_codebooks(codec: AudioTokenizer, sounds: list[Tensor], seed: int) -> list[Tensor]:
    latents = [codec.latents(sound[None])[0].cpu() for sound in sounds]
    generator = torch.Generator().manual_seed(seed)
    quantized = randomly_quantized(torch.cat(latents), codec.codebook_sizes, generator)
    parts = quantized.split([len(each) for each in latents])
    return [codec.synthesize(part[None].to(sounds[0].device))[0].cpu() for part in parts]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _draw_spectrograms(heard: Heard, path: Path) -> None:
    from matplotlib.figure import Figure

    index = next((index for index, sound in enumerate(heard.real) if sound.any()), 0)
    rows = {"real": heard.real[index]}
    shown = [name for name in (CODEC, MU_LAW, RANDOM) if name in heard.methods]
    rows |= {name: heard.methods[name][index] for name in shown}
    figure = Figure(figsize=(7, 1.9 * len(rows)), layout="constrained")
    every_axes = figure.subplots(len(rows), 1, sharex=True)
    seconds = heard.real[index].shape[1] / heard.sample_rate
    for axes, (name, sound) in zip(every_axes, rows.items(), strict=True):
        decibels = 20 * torch.log10(magnitudes(sound[None], 512)[0] + _SILENCE)
        extent = (0, seconds, 0, heard.sample_rate / 2000)
        axes.imshow(decibels, origin="lower", aspect="auto", extent=extent, vmin=-60, vmax=0, cmap="magma")
        rate = f", {heard.bits_per_second[name]:,.0f} bits per second" if name in heard.methods else ""
        axes.set_title(f"{name}{rate}", loc="left", fontsize=9)
        axes.set_ylabel("kHz")
    every_axes[-1].set_xlabel("seconds")
    figure.savefig(path, format="png", dpi=120)
