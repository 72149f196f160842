"""The first page of the demo: what the packaged model makes, to look at while the training goes on."""

from dataclasses import replace
from pathlib import Path

from ...data.runtime.model_source import DEFAULT, model_folder
from ...evaluation.evaluate_model import example_rows
from ...evaluation.first_clips import write_enlarged_clips, write_first_clips
from ...evaluation.html_report import ClipRow, ClipRows, Page, Section, write_page
from ...generation.pipeline import VideoLM
from ..command_line import in_words

_FROM_TEXT = {"text_to_video": ".mp4", "text_to_image": ".png"}


def write_first_page(folder: Path, *, source: str, seed: int) -> None:
    """Write FOLDER/index.html with one clip of each task of the packaged model, and say where it is.

    Args:
        source: name of the embedded corpus that prompts are drawn from.

    Raises:
        FileNotFoundError: if this installation holds no packaged model.
    """
    model = VideoLM.from_pretrained(model_folder())
    examples = example_rows(write_first_clips(model, folder / "clips", source=source, seed=seed))
    rows = [replace(row, command=_command(row, seed)) for row in examples.rows]
    section = Section(
        "Clips",
        [ClipRows(rows)],
        "Real clips are held out: training never showed their combination of colour, shape and motion. "
        "Reconstructed: the real clip after a trip through the tokenizers. Press sound to hear.",
    )
    sections = [section]
    large = write_enlarged_clips(model, folder / "clips", source=source, seed=seed)
    if large:
        said = (
            "Held-out clips at half their size, as they are given, enlarged bicubically, and by the model's "
            "stage of super-resolution (videolm upscale, or videolm generate --upscale 2)."
        )
        sections.append(Section("Twice as large", [example_rows(large)], said))
    text = (
        f"One clip of each task, made by {DEFAULT}, the model that comes with videolm. The demo goes on to "
        "train another from nothing, which index.html in the folder above this one will show."
    )
    numbers = [(str(len(rows)), "tasks")]
    heading = f"The packaged model {DEFAULT}"
    write_page(folder / "index.html", Page(f"videolm: {DEFAULT}", heading, text, numbers, sections))
    print(f"open {folder / 'index.html'} while the training goes on", flush=True)


def _command(row: ClipRow, seed: int) -> str:
    """The command that gives the same clip, where its prompt is a text alone."""
    if row.task not in _FROM_TEXT:
        return ""
    target = row.task + _FROM_TEXT[row.task]
    words = ("generate", "--model", DEFAULT, "--task", row.task, "--text", row.text)
    return in_words((*words, "--seed", str(seed), "--out", target))
