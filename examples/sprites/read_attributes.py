"""Read off clips which character they show doing what, and count what is right.

    python -m examples.sprites.read_attributes SHEETS clips/held-out                      # as rendered
    python -m examples.sprites.read_attributes SHEETS clips/held-out --model runs/sprites/model
    python -m examples.sprites.read_attributes SHEETS clips/held-out --made generated/

What is read from a model's clips is scored against what their captions asked for; what is read from its
tokenizer's reconstructions is the ceiling of that. attribute_reader.py says how it is read.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videolm.data.media.reading import read_clip
from videolm.data.runtime.files import replacing
from videolm.data.runtime.progress import progress
from videolm.data.runtime.text_table import text_table
from videolm.data.sources.entry import VIDEO_SUFFIXES, Entry
from videolm.data.sources.manifest import read_files
from videolm.tokenizers.video.clip_codes import decode_clip, encode_clip
from videolm.tokenizers.video.protocol import load_video_tokenizer

from .attribute_reader import AttributeReader, Reading
from .command_line import run_command
from .scenes import KEYS
from .sheets import RATE, read_sheets

Line = dict[str, Any]  # path, asked, read, certainty, explained


def read_attributes(
    sheets: Path,
    source: str,
    *,
    made: Path | None = None,
    model: Path | None = None,
    out: Path | None = None,
) -> list[Path]:
    """Read what clips show, and print for each attribute which share is right, wrong or left open.

    Args:
        sheets: folder of layer sheets that the clips were rendered from.
        source: folder or captions.jsonl that says what is right, as examples.sprites.render writes it.
        made: folder of clips to read in place of the source's, each with the name of one of these.
        model: model folder; read are reconstructions of the clips by its video tokenizer.
        out: list to write what was read to, a line a clip (.jsonl).
    """
    if made is not None and model is not None:
        raise ValueError("made and model are both given; clips of a folder are read or reconstructions")
    reader = AttributeReader(read_sheets(sheets))
    entries = _scored(source)
    paths = {entry.name: entry.path for entry in entries} if made is None else _made(made, entries)
    tokenizer = None if model is None else load_video_tokenizer(model / "video_tokenizer")
    lines, seconds = [], 0.0
    with progress("reading", len(paths)) as report:
        for entry in (each for each in entries if each.name in paths):
            clip = read_clip(paths[entry.name], fps=RATE)
            clip = clip if tokenizer is None else decode_clip(tokenizer, encode_clip(tokenizer, clip))
            start = time.process_time()
            reading = reader.read(clip.frames.numpy())
            seconds += time.process_time() - start
            lines.append(_line(entry, paths[entry.name], reading))
            report(len(lines))
    print("\n".join(score_table(lines)))
    print(f"{len(lines)} clips, {seconds / len(lines):.2f} CPU seconds each")
    if out is None:
        return []
    with replacing(out) as temporary:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        temporary.write_text(text, encoding="utf-8")
    return [out]


def score_table(lines: Sequence[Line]) -> list[str]:
    """A row for each attribute, and for all of them together, where leaving one open is wrong."""
    rows = []
    for name, keys in [*((key, (key,)) for key in KEYS), ("all", KEYS)]:
        right = wrong = 0
        for line in lines:
            right += all(line["read"][key] == line["asked"][key] for key in keys)
            wrong += any(line["read"][key] not in (None, line["asked"][key]) for key in keys)
        counts = (right, wrong, len(lines) - right - wrong)
        rows.append([name, *(f"{count / len(lines):.3f}" for count in counts)])
    return text_table(rows, ("attribute", "right", "wrong", "left open"))


def _scored(source: str) -> list[Entry]:
    entries = read_files(source, {})
    if unknown := [key for key in KEYS if any(key not in entry.extra for entry in entries)]:
        raise ValueError(f"{source} does not say {', '.join(unknown)} of every clip")
    return entries


def _made(folder: Path, entries: Sequence[Entry]) -> dict[str, Path]:
    """The file in a folder of each entry's name without suffix; says which entries have none."""
    files = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in VIDEO_SUFFIXES}
    missing = [entry.path.stem for entry in entries if entry.path.stem not in files]
    if len(missing) == len(entries):
        raise FileNotFoundError(f"{folder} has no clip with a name of the source's, such as {missing[0]}.mp4")
    if missing:
        print(f"{len(missing)} of {len(entries)} clips, such as {missing[0]}, are not in {folder}: left out")
    return {entry.name: files[entry.path.stem] for entry in entries if entry.path.stem in files}


def _line(entry: Entry, path: Path, reading: Reading) -> Line:
    certainty = {name: round(value, 3) for name, value in reading.certainty.items()}
    asked = {key: entry.extra[key] for key in KEYS}
    told = {"read": reading.attributes, "certainty": certainty, "explained": round(reading.explained, 3)}
    return {"path": str(path), "asked": asked} | told


if __name__ == "__main__":
    run_command(read_attributes, "python -m examples.sprites.read_attributes")
