"""How good an audio codec is on sounds that it was not trained on, in numbers.

The codec is scored with all of its levels and with its first ones only, beside two methods of the same bit
rate:

    mu-law             no network: samples of 1 to 8 bits, as many a second as the codec's bit rate allows.
                       Of the eight depths, the one with the best SI-SDR on the same sounds.
    random codebooks   an EnCodec network with codebooks drawn from normal distributions that have the mean
                       and deviation of each level's input: what training the codebooks gained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.runtime.progress import progress
from ..tokenizers.audio.codec import AudioTokenizer
from ..tokenizers.audio.protocol import AudioCodec
from ..tokenizers.video.lfq import code_statistics
from .audio_baselines import best_mu_law, random_codebooks
from .metrics.sound_quality import sound_quality

CODEC, MU_LAW, RANDOM = "codec", "mu-law", "random codebooks"


@dataclass(frozen=True, eq=False)
class CodedSounds:
    """Sounds, their codes, and what every method decodes them to.

    Args:
        sample_rate: of all sounds.
        real: the sounds, cut to whole hops, each "1 samples".
        codes: of each sound, "levels frames".
        methods: by name, the decoded sounds; the codec is the first.
        bits_per_second: of each method.
        mu_law: bits a sample and samples a second of that method.
    """

    sample_rate: int
    real: list[Tensor]
    codes: list[Tensor]
    methods: dict[str, list[Tensor]]
    bits_per_second: dict[str, float]
    mu_law: tuple[int, int]


def score_audio_tokenizer(
    codec: AudioCodec, sounds: Sequence[Float[Tensor, "1 _"]], seed: int = 0
) -> dict[str, Any]:
    """Scores of a codec, of its first levels and of methods at its bit rate, as `scores_of`.

    Args:
        sounds: samples in [-1, 1] at the codec's rate and on its device, of any lengths; the part of a hop
            at the end is cut off.
        seed: of the random codebooks.

    Raises:
        ValueError: if there are no sounds, or one is shorter than a hop.
    """
    return scores_of(codec, code_sounds(codec, sounds, seed))


@torch.no_grad()
def code_sounds(codec: AudioCodec, sounds: Sequence[Float[Tensor, "1 _"]], seed: int = 0) -> CodedSounds:
    """Code and decode every sound by every method; arguments and errors as `score_audio_tokenizer`."""
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
    sampling, methods[MU_LAW] = best_mu_law(real, codec.sample_rate, bits[CODEC])
    bits[MU_LAW] = float(prod(sampling))
    if isinstance(codec, AudioTokenizer):
        methods[RANDOM], bits[RANDOM] = random_codebooks(codec, whole, seed), bits[CODEC]
    return CodedSounds(codec.sample_rate, real, codes, methods, bits, sampling)


def scores_of(codec: AudioCodec, coded: CodedSounds) -> dict[str, Any]:
    """Means over the sounds, and how the codes are used.

    Returns:
        sounds, seconds (of all together), sample_rate, hop_length, codebook_sizes, bits_per_second,
        levels: for each, codes (how many were counted), code_use and perplexity as `code_statistics`,
        mu_law: bits a sample and sample_rate of that method, and
        methods: by name, bits_per_second and the means of `sound_quality`; None if no sound had the score.
    """
    levels = []
    for level, size in enumerate(codec.codebook_sizes):
        counts = torch.cat([codes[level] for codes in coded.codes]).bincount(minlength=size)
        statistics = code_statistics(counts)
        use = {name: statistics[name] for name in ("code_use", "perplexity")}
        levels.append({"codes": int(counts.sum()), **use})
    methods = {}
    for name, decoded in coded.methods.items():
        pairs = zip(decoded, coded.real, strict=True)
        qualities = [sound_quality(*pair, coded.sample_rate) for pair in pairs]
        means = {metric: _mean([quality[metric] for quality in qualities]) for metric in qualities[0]}
        methods[name] = {"bits_per_second": coded.bits_per_second[name], **means}
    return {
        "sounds": len(coded.real),
        "seconds": sum(sound.shape[1] for sound in coded.real) / coded.sample_rate,
        "sample_rate": coded.sample_rate,
        "hop_length": codec.hop_length,
        "codebook_sizes": list(codec.codebook_sizes),
        "bits_per_second": coded.bits_per_second[CODEC],
        "levels": levels,
        "mu_law": dict(zip(("bits", "sample_rate"), coded.mu_law, strict=True)),
        "methods": methods,
    }


def bits_per_second(codec: AudioCodec, levels: int | None = None) -> float:
    """What the codes of a second of sound take, of the first `levels` (all if not given)."""
    bits = sum(log2(size) for size in codec.codebook_sizes[:levels])
    return bits * codec.sample_rate / codec.hop_length


def _whole_hops(sound: Float[Tensor, "1 samples"], hop_length: int) -> Float[Tensor, "1 whole"]:
    samples = sound.shape[1]
    if samples < hop_length:
        raise ValueError(f"a sound has {samples} samples; expected at least a hop of {hop_length}")
    return sound[:, : samples // hop_length * hop_length]


def _name(levels: int, num_levels: int) -> str:
    return CODEC if levels == num_levels else f"{CODEC}, {levels} of {num_levels} levels"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
