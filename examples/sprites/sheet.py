"""A sheet of one character in five actions and four directions, from a description or a picture.

    python -m examples.sprites.sheet MODEL --text "A green orc with curly purple hair" --out orc
    python -m examples.sprites.sheet MODEL --picture hero.png --sheets SHEETS --out hero --tries 4

OUT/sheet.png is laid out as the sheets of the Liberated Pixel Cup are, with transparent ground. Beside it are
a looping GIF of each action and direction, preview.png and report.json.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videolm.data.media.reading import read_clip
from videolm.data.runtime.files import replacing, write_json
from videolm.data.runtime.text_table import text_table
from videolm.generation.pipeline import VideoLM

from .attribute_reader import AttributeReader
from .captions import check_words
from .command_line import run_command
from .description import Character, completed, described
from .likeness import Look, agreement, identity_agreement
from .scenes import PARTS
from .sheet_files import on_checkerboard, sheet_picture, write_animation
from .sheets import DIRECTIONS, RATE, read_sheets
from .strips import TASK, Strip, make_strips

# Its first cell shows the figure standing, as the first column of walking does, of which no clip is made.
_STANDS = "slash"
_NOTES = (
    "the row of hurt is empty: it is none of the five actions",
    f"the first cell of walking, which stands, is the first one of the {_STANDS} in the same direction",
)
_BEGINS = {
    "reading": "as in the sheets, by the frame that was read",
    "standing": "as in the sheets, by how it differs from the figure standing",
    "window": "anywhere in the cycle (with --sheets as in the sheets)",
}


def sheet(
    model: str,
    *,
    out: Path,
    text: str | None = None,
    picture: Path | None = None,
    sheets: Path | None = None,
    seed: int = 0,
    tries: int = 1,
    device: str = "auto",
) -> list[Path]:
    """Generate a sprite sheet of one character, in the layout of the Liberated Pixel Cup.

    What the description leaves open is drawn by the seed, so that all 20 prompts name the same character.

    Args:
        model: a model that learnt from clips of examples.sprites.render: a folder or a name.
        out: folder to write, new or empty.
        text: description of the character.
        picture: a character of the layer sheets in place of a description: one cell, 64x64 or a multiple.
        sheets: folder of layer sheets; with it clips are read, so that it is known what they show.
        seed: of what is drawn, and of the clips of the first try; the next try has the next.
        tries: clips made of each action and direction, of which the one that fits the others best is kept.
        device: auto is a GPU if there is one.
    """
    _check(out, text, picture, sheets, tries)
    reader = None if sheets is None else _reader(sheets)
    character = described(text, seed) if text is not None else _pictured(picture, reader, seed)
    print("\n".join(_said(character)))
    loaded = VideoLM.from_pretrained(model, device, tasks=[TASK])
    strips = make_strips(loaded, character, reader, seed, tries)
    asked = {"model": model, "text": text, "picture": picture and str(picture), "seed": seed, "tries": tries}
    report = asked | report_of(strips, character)
    print("\n".join(_table(report)))
    return _write(out, strips, report)


def report_of(strips: Sequence[Strip], character: Character) -> dict[str, Any]:
    """What report.json says of the character and of each clip."""
    common = np.mean([strip.look for strip in strips], axis=0)
    readings = [strip.reading for strip in strips if strip.reading is not None]
    identity = identity_agreement(readings) if readings else {}
    return {
        "character": {part: character.words(part) for part in PARTS},
        "attributes": character.parts,
        "drawn": list(character.drawn),
        "unknown": list(character.unknown),
        "identity_agreement": {name: round(value, 3) for name, value in identity.items()} or None,
        "cycles_closed": sum(strip.cycle.closes for strip in strips),
        "notes": list(_NOTES),
        "clips": [_clip_report(strip, common) for strip in strips],
    }


def _clip_report(strip: Strip, common: Look) -> dict[str, Any]:
    cycle = strip.cycle
    return {
        "name": _name(strip),
        "prompt": strip.prompt,
        "seed": strip.seed,
        "frames": cycle.frames(strip.first),
        "begins": _BEGINS[strip.begins],
        "change_last_to_first": round(cycle.seam, 3),
        "most_change_within": round(cycle.within, 3),
        "closes": cycle.closes,
        "agreement": round(agreement(strip.look, common), 3),
        "read": None if strip.reading is None else strip.reading.attributes,
    }


def _check(out: Path, text: str | None, picture: Path | None, sheets: Path | None, tries: int) -> None:
    if (text is None) == (picture is None):
        raise ValueError("a character is described by a text or a picture; give one of --text and --picture")
    if picture is not None and sheets is None:
        raise ValueError("a picture is read with the layer sheets; give their folder with --sheets")
    if tries < 1:
        raise ValueError(f"tries is {tries}; expected at least 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there already; expected a new or empty folder")


def _reader(sheets: Path) -> AttributeReader:
    layers = read_sheets(sheets)
    check_words(layers)
    return AttributeReader(layers)


def _pictured(picture: Path | None, reader: AttributeReader | None, seed: int) -> Character:
    assert picture is not None and reader is not None  # see _check
    return completed(reader.read(read_clip(picture).frames[:1].numpy()), seed)


def _said(character: Character) -> list[str]:
    """The character, and how much of the description it is."""
    drawn = {part: f"drawn, seed {character.seed}" for part in character.drawn}
    rows = [[part, character.words(part), drawn.get(part, "as asked")] for part in PARTS]
    lines = text_table(rows, ("part", "what it is", ""), left=3)
    if character.unknown:
        lines.append(f"not understood: {', '.join(character.unknown)}")
    if rare := character.never_in_all_actions():
        lines.append(f"{' and '.join(rare)}: the public sheets have none in thrust and shoot")
    return lines


def _table(report: dict[str, Any]) -> list[str]:
    """A row for each clip, then what holds of all."""
    rows = []
    for clip in report["clips"]:
        changes = [f"{clip[key]:.1f}" for key in ("change_last_to_first", "most_change_within")]
        rows.append([clip["name"], *changes, "yes" if clip["closes"] else "no", f"{clip['agreement']:.2f}"])
    lines = text_table(rows, ("clip", "last to first", "most within", "closes", "agreement"))
    lines.append(f"{report['cycles_closed']} of {len(rows)} cycles close")
    if identity := report["identity_agreement"]:
        shares = ", ".join(f"{name} {value:.2f}" for name, value in identity.items() if name != "mean")
        lines.append(f"identity agreement {identity['mean']:.3f} ({shares})")
    return lines + [f"note: {note}" for note in report["notes"]]


def _write(out: Path, strips: Sequence[Strip], report: dict[str, Any]) -> list[Path]:
    """The folder with everything, whole or not at all."""
    cycles = {(strip.action, strip.direction): strip.row for strip in strips}
    standing = {direction: cycles[_STANDS, direction][0] for direction in DIRECTIONS}
    picture = sheet_picture(cycles, standing)
    with replacing(out) as folder:
        folder.mkdir()
        picture.save(folder / "sheet.png")
        on_checkerboard(picture).save(folder / "preview.png")
        for strip in strips:
            write_animation(folder / f"{_name(strip)}.gif", strip.row, RATE)
        write_json(folder / "report.json", report)
    return [out / name for name in ("sheet.png", "preview.png", "report.json")]


def _name(strip: Strip) -> str:
    return f"{strip.action}-{strip.direction}"


if __name__ == "__main__":
    run_command(sheet, "python -m examples.sprites.sheet")
