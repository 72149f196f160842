"""A moving picture of what a model makes of held-out captions: animated WebP, which plays on a page.

    python -m examples.moving_picture --out docs/moving-shapes.webp

Nothing is selected: the captions are the first of those that training held out, in their order, each with one
clip of a seed that follows from its place.
"""

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from videolm import Clip, Prompt, VideoLM
from videolm.data.runtime.files import replacing
from videolm.evaluation.protocols.shapes_exam import corpus_of
from videolm.generation.prompt_file import read_prompts
from videolm.generation.run_request import PromptOptions

from .sprites.command_line import run_command

_GAP, _LINE, _LINES, _LETTER = 8, 13, 2, 6  # pixels, but for the lines of text
_PAUSE = 500  # milliseconds that the last frame stays longer


def moving_picture(
    *,
    out: Path,
    model: str = "shapes",
    source: str = "synthetic-lasting",
    prompts: Path | None = None,
    clips: int = 12,
    columns: int = 4,
    scale: int = 3,
    seed: int = 0,
) -> list[Path]:
    """Generate clips of held-out captions and show them side by side, each over its caption.

    Args:
        out: .webp file to write.
        model: as for `videolm generate`.
        source: the embedded corpus whose held-out triples of colour, shape and motion give the captions.
        prompts: a file of prompts (as for `videolm generate --prompts`), whose first texts take their place.
        clips: how many.
        columns: clips side by side.
        scale: how much larger each pixel is shown.
        seed: of the corpus and of the first clip; the next clip has the next one.
    """
    if out.suffix != ".webp" or min(clips, columns, scale) < 1:
        raise ValueError(f"out is {out}; expected a .webp, and clips, columns and scale of 1 or more")
    loaded = VideoLM.from_pretrained(model, tasks=["text_to_video"])
    captions = _captions(loaded, source, seed, clips) if prompts is None else _texts(prompts)[:clips]
    made = loaded.generate_batch("text_to_video", [Prompt(text=text) for text in captions], seed=seed)
    pictures = [
        _picture([clip.frames[index].numpy() for clip in made], captions, columns, scale)
        for index in range(made[0].num_frames)
    ]
    _write(out, pictures, made[0])
    return [out]


def _captions(model: VideoLM, source: str, seed: int, count: int) -> list[str]:
    """The first captions of combinations that training never showed."""
    corpus = corpus_of(model, source, "triples", seed)
    return [corpus[number].caption for number in range(count)]


def _texts(prompts: Path) -> list[str]:
    texts = [each.options.text for each in read_prompts(prompts, PromptOptions())]
    if None in texts:
        raise ValueError(f"{prompts} has a line without text")
    return [text for text in texts if text is not None]


def _picture(frames: list, captions: list[str], columns: int, scale: int) -> Image.Image:
    """One frame of every clip."""
    height, width = (scale * side for side in frames[0].shape[:2])
    cell_height, cell_width = height + _LINE * _LINES + _GAP, width + _GAP
    rows = -(-len(frames) // columns)
    picture = Image.new("RGB", (columns * cell_width + _GAP, rows * cell_height + _GAP), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for number, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        left, top = _GAP + number % columns * cell_width, _GAP + number // columns * cell_height
        shown = Image.fromarray(frame).resize((width, height), Image.Resampling.NEAREST)
        picture.paste(shown, (left, top))
        lines = textwrap.wrap(caption, width // _LETTER, max_lines=_LINES, placeholder=" …")
        for line, text in enumerate(lines):
            draw.text((left, top + height + line * _LINE), text, fill="black", font=font)
    return picture


def _write(out: Path, pictures: list[Image.Image], clip: Clip) -> None:
    durations = [round(1000 / clip.fps)] * len(pictures)
    durations[-1] += _PAUSE
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        pictures[0].save(
            temporary, format="WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0,
            quality=85, method=6,
        )  # fmt: skip


if __name__ == "__main__":
    run_command(moving_picture, "moving_picture")
