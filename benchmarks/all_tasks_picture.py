"""Pictures of what a task was given, what a model made of it, and the real clip; curves of its training."""

from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from videolm.cli.training_curves import Curve, read_curves
from videolm.data.media.clip import Clip
from videolm.evaluation.protocols.shapes_all import ALL_PROBES, leading
from videolm.evaluation.protocols.shapes_exam import HeldOut, Result
from videolm.generation.pipeline import VideoLM

FRAMES, SCALE, LINE, GAP = 3, 2, 14, 6
HIGHEST_HZ = 2500

Frames = UInt8[Tensor, "frames height width 3"]


def picture_of(model: VideoLM, task: str, result: Result, index: int = 0) -> Image.Image:
    """given | generated | true, a few frames of each, of one held-out clip; sounds as spectrograms."""
    real = result.held_out["triples"]
    made, true = result.generated[task][index], real.clips[index]
    hears = all(portion.kind == "audio" for portion in model.config.task(task).outputs)
    seen = [heard(clip) if hears else clip.frames for clip in (made, true)]
    words = true.caption if "text" in ALL_PROBES[task].prompt(true, real.scenes[index], 1).given else ""
    cells = [strip(cell, model.clips.width) for cell in (given_to(model, task, real, index), *seen)]
    return row(cells, f"{task}: {words}" if words else task)


def given_to(model: VideoLM, task: str, real: HeldOut, index: int) -> Frames | None:
    """What a prompt shows besides its text."""
    clip, scene, probe = real.clips[index], real.scenes[index], ALL_PROBES[task]
    prompt = probe.prompt(clip, scene, probe.num_given(model))
    if altered := leading(model, task, real, index + 1):
        return altered[index].frames
    if isinstance(prompt.audio, Clip):
        return heard(prompt.audio)
    shown = prompt.video if isinstance(prompt.video, Clip) else prompt.image
    return shown.frames if isinstance(shown, Clip) else None


def heard(clip: Clip) -> Frames:
    """The spectrogram of a clip's sound as one frame: time to the right, frequency up."""
    assert clip.waveform is not None and clip.sample_rate is not None
    size = 512
    spectrum = torch.stft(
        clip.waveform.mean(0), size, size // 4, window=torch.hann_window(size), return_complex=True
    )
    shown = spectrum[: HIGHEST_HZ * size // clip.sample_rate].abs().clamp(min=1e-3).log10()
    grey = ((shown + 3) / (shown.amax() + 3) * 255).to(torch.uint8).flip(0)
    return grey[None, ..., None].expand(-1, -1, -1, 3)


def strip(frames: Frames | None, width: int) -> Image.Image:
    """A few frames side by side, as wide as FRAMES of them whatever there are; None is blank."""
    side = width * SCALE
    whole = Image.new("RGB", (side * FRAMES, side), "white")
    if frames is None:
        return whole
    count = min(FRAMES, len(frames))
    chosen = frames[torch.linspace(0, len(frames) - 1, count).round().long()]
    image = Image.fromarray(rearrange(chosen, "f h w c -> h (f w) c").numpy())
    is_square = frames.shape[1] == frames.shape[2]
    image = image.resize((side * count, side) if is_square else whole.size, Image.Resampling.NEAREST)
    whole.paste(image, (0, 0))
    return whole


def row(cells: Sequence[Image.Image], text: str) -> Image.Image:
    """Pictures side by side, with a line of text below."""
    width = sum(cell.width + GAP for cell in cells)
    picture = Image.new("RGB", (width, cells[0].height + LINE), "white")
    for number, cell in enumerate(cells):
        picture.paste(cell, (number * (cell.width + GAP), 0))
    ImageDraw.Draw(picture).text((2, cells[0].height + 1), text, fill="black")
    return picture


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures below each other."""
    width = max(picture.width for picture in pictures)
    whole = Image.new("RGB", (width, sum(picture.height for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole


def compact(picture: Image.Image) -> Image.Image:
    """In 256 colours."""
    return picture.quantize(256, dither=Image.Dither.NONE)


def draw_losses(metrics: Path, path: Path) -> None:
    """The loss of each task over the steps that drew it, a running mean of five, and its held-out loss."""
    from matplotlib.figure import Figure

    curves = read_curves(metrics)
    names = sorted(name.removeprefix("train/task/") for name in curves if name.startswith("train/task/"))
    columns = 4
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    panels = figure.subplots(-(-len(names) // columns), columns, sharex=True, squeeze=False).flatten()
    for panel, name in zip(panels, names, strict=False):
        steps, losses = zip(*drawn(curves[f"train/task/{name}"]), strict=True)
        means = [sum(losses[max(end - 5, 0) : end]) / min(end, 5) for end in range(1, len(losses) + 1)]
        panel.plot(steps, means, linewidth=1)
        held_out = curves.get(f"validation/task/{name}", [])
        panel.plot(*zip(*held_out, strict=True) if held_out else ((), ()), "o", markersize=4)
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=7)
    figure.supxlabel("step", fontsize=8)
    figure.supylabel("nats a target: training (line), held out (dots)", fontsize=8)
    figure.savefig(path, dpi=80)


def drawn(curve: Curve) -> Curve:
    """The points at which a task was drawn: in between its last loss is logged again."""
    return [point for number, point in enumerate(curve) if not number or point[1] != curve[number - 1][1]]
