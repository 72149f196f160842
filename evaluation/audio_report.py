"""`videolm audio score`: the scores of a codec as a table, a JSON file and spectrograms.

    videolm audio score SOURCE --model runs/mine/model --out runs/mine/audio_scores
"""

from pathlib import Path
from typing import Any

import torch

from ..data.codes.clip_format import ClipFormat
from ..data.media.timing import audio_latents
from ..data.runtime.files import replacing, write_json
from ..data.runtime.text_table import text_table
from ..data.sources.selection import ClipSelection
from ..tokenizers.audio.losses import magnitudes
from ..tokenizers.audio.protocol import AudioCodec, load_audio_tokenizer
from .audio_scores import CODEC, MU_LAW, RANDOM, CodedSounds, code_sounds, scores_of
from .held_out_clips import HeldOutClips
from .metrics.sound_quality import SILENCE

_COLUMNS = (("si_sdr_db", "SI-SDR dB", ".2f"), ("stft", "STFT", ".3f"), ("log_mel_db", "log-mel dB", ".2f"))


def score_source(selection: ClipSelection, model: Path, out: Path) -> list[Path]:
    """Score the audio codec of a model folder on held-out clips of a source; returns what was written.

    Args:
        selection: the sound of a clip lasts num_frames / fps seconds; height and width do not count. The seed
            also draws the random codebooks.

    Raises:
        FileNotFoundError, ValueError: if model or source cannot be used, or none of the clips.
    """
    codec = load_audio_tokenizer(model / "audio_tokenizer")
    held_out = HeldOutClips(selection, _sound_format(codec, selection.num_frames, selection.fps), "read")
    sounds = [clip.waveform for clip in held_out if clip.waveform is not None]
    coded = code_sounds(codec, sounds, selection.seed)
    scores = scores_of(codec, coded)
    scores |= {"model": str(model), "skipped": held_out.skipped} | held_out.description
    print(table(scores))
    if held_out.note:
        print(held_out.note)
    return write_scores(out, scores, coded)


def table(scores: dict[str, Any]) -> str:
    """The scores as lines of text: a row for each method, then the codes of each level."""
    lines = [
        f"{scores['sounds']} sounds, {scores['seconds']:.1f} s at {scores['sample_rate']:,} Hz, "
        f"{len(scores['levels'])} levels, {scores['bits_per_second']:,.0f} bits per second"
    ]
    rows = []
    for name, measured in scores["methods"].items():
        values = [(measured[metric], form) for metric, _, form in _COLUMNS]
        cells = ("-" if value is None else format(value, form) for value, form in values)
        rows.append((name, format(measured["bits_per_second"], ",.0f"), *cells))
    lines += text_table(rows, ("", "bits/s", *(title for _, title, _ in _COLUMNS)))
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


def write_scores(folder: Path, scores: dict[str, Any], coded: CodedSounds) -> list[Path]:
    """Write scores.json and spectrograms.png, of the first sound that is not silent; returns their paths."""
    write_json(folder / "scores.json", scores)
    picture = folder / "spectrograms.png"
    with replacing(picture) as temporary:
        _draw_spectrograms(coded, temporary)
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
        factors=(2,),  # of no picture codes
        video_tokenizer="",
        codebook_sizes=codec.codebook_sizes,
        audio_frames=audio_latents(num_frames, fps, codec.sample_rate, codec.hop_length),
        sample_rate=codec.sample_rate,
        hop_length=codec.hop_length,
    )


def _draw_spectrograms(coded: CodedSounds, path: Path) -> None:
    from matplotlib.figure import Figure

    index = next((index for index, sound in enumerate(coded.real) if sound.any()), 0)
    rows = {"real": coded.real[index]}
    shown = [name for name in (CODEC, MU_LAW, RANDOM) if name in coded.methods]
    rows |= {name: coded.methods[name][index] for name in shown}
    figure = Figure(figsize=(7, 1.9 * len(rows)), layout="constrained")
    every_axes = figure.subplots(len(rows), 1, sharex=True)
    seconds = coded.real[index].shape[1] / coded.sample_rate
    for axes, (name, sound) in zip(every_axes, rows.items(), strict=True):
        decibels = 20 * torch.log10(magnitudes(sound[None], 512)[0] + SILENCE)
        extent = (0, seconds, 0, coded.sample_rate / 2000)
        axes.imshow(decibels, origin="lower", aspect="auto", extent=extent, vmin=-60, vmax=0, cmap="magma")
        rate = f", {coded.bits_per_second[name]:,.0f} bits per second" if name in coded.methods else ""
        axes.set_title(f"{name}{rate}", loc="left", fontsize=9)
        axes.set_ylabel("kHz")
    every_axes[-1].set_xlabel("seconds")
    figure.savefig(path, format="png", dpi=120)
