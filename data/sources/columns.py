"""What columns of lists are called, here and elsewhere, and how their cells are read.

Names are compared without case, blanks, hyphens and underscores: "File Name" is file_name. The first name
that a row has counts; what is not known stays with the clip and can be selected by `--where`.
"""

import ast
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any

from ..runtime.typed_fields import shown

# Of each meaning the names in the order of their weight.
_NAMES = {
    "path": (
        "path", "file_name", "file", "file_path", "video", "video_path", "video_file", "clip", "clip_path",
        "media", "media_path", "image", "image_path", "videos", "images",
    ),
    "caption": ("caption", "captions", "text", "prompt", "description", "sentence", "sentences"),
    "conversations": ("conversations", "messages"),
    "start": ("start", "start_time", "start_timestamp", "start_sec", "start_seconds", "time_start"),
    "end": ("end", "end_time", "end_timestamp", "end_sec", "end_seconds", "time_end"),
    "times": ("timestamp", "timestamps", "segment", "segments"),
    "id": ("video_id", "clip_id", "youtube_id", "ytid", "id"),
    "folder": ("page_dir",),
}  # fmt: skip
# Their names are kept, so that settings and conditions find them however they are written.
_PLAIN = ("group", "class", "long_caption", "height", "width")
_PLAIN += ("actions", "rewards", "terminated", "action_rate")
# WebVid calls the caption "name"; beside these columns it can mean nothing else.
_BESIDE_NAME = ("page_dir", "content_url")
_MOST_CHARACTERS = 2**20
_MOST_SECONDS = 10**8  # three years; clocks of decoders end far beyond
_DEEPEST = 4
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d*)?)")


@lru_cache(maxsize=4096)
def squeezed(name: str) -> str:
    """A column's name without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_\-\ufeff]+", "", name).casefold()


_MEANING = {
    squeezed(name): (meaning, rank) for meaning in _NAMES for rank, name in enumerate(_NAMES[meaning])
}
_KEPT = {squeezed(name): name for name in _PLAIN}


def is_known(name: str) -> bool:
    return squeezed(name) in _MEANING


def known_columns() -> str:
    """The names that mean something, a few of each, for people."""
    return ", ".join(
        f"{names[0]} ({', '.join(names[1:4])})" for names in map(list, _NAMES.values()) if names[1:]
    )


def sort_columns(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of a row by their meaning (the keys of `_NAMES`), and all others by their names."""
    found: dict[str, tuple[int, str]] = {}
    empty = {name for name, value in row.items() if is_known(name) and (value is None or value in ("", []))}
    for name in (each for each in row if each not in empty):
        meaning, rank = _MEANING.get(squeezed(name), ("", 0))
        if meaning and rank < found.get(meaning, (len(_MEANING),))[0]:
            found[meaning] = (rank, name)
    beside = {squeezed(name) for name in row} & {squeezed(name) for name in _BESIDE_NAME}
    name = next((each for each in row if squeezed(each) == "name"), None)
    if "caption" not in found and beside and name is not None:
        found["caption"] = (0, name)
    if "path" in found:  # a number of the clip is then one of its keys
        found = {meaning: each for meaning, each in found.items() if meaning not in ("id", "folder")}
    taken = {name for _, name in found.values()} | empty
    rest = {
        _KEPT.get(squeezed(name), name.strip()): value for name, value in row.items() if name not in taken
    }
    return {meaning: row[name] for meaning, (_, name) in found.items()}, rest


def typed(text: str) -> Any:
    """A cell as the number or boolean that it spells; what would be written otherwise stays a text (007)."""
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and isfinite(value):
            return value
    return text


def listed(value: Any) -> Any:
    """A list that a cell spells as Python or JSON do, "['a', 'b']"; any other value as it is.

    Raises:
        ValueError: if it is too long or too deep to be parsed.
    """
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    if len(value) > _MOST_CHARACTERS:
        raise ValueError(f"a cell has {len(value)} characters; at most {_MOST_CHARACTERS} are parsed")
    bare = re.sub(_STRING, "0", value, flags=re.DOTALL)
    if not re.fullmatch(r"[\s\[\](),.\w+\-]*", bare) or re.search(r"[+\-]\s*[+\-]", bare):
        return value
    if _depth(bare) > _DEEPEST:
        raise ValueError("a cell is nested too deeply")
    # NumPy writes texts side by side, which Python would join.
    apart = re.sub(rf"({_STRING})(?=\s*['\"])", r"\1,", value, flags=re.DOTALL)
    for parse in (ast.literal_eval, json.loads):
        try:
            return _lists(parse(apart.strip()))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return value


def seconds(name: str, value: Any) -> float | None:
    """A time as a number, "12.5", "12.5s", "1:02.5" or "00:01:02,500".

    Raises:
        ValueError: if it is none.
    """
    if value is None:
        return None
    number: Any = value
    if isinstance(value, str):
        clock = _CLOCK.fullmatch(value.strip())
        try:
            number = _of_clock(*clock.groups()) if clock else float(value.strip().removesuffix("s"))
        except (ValueError, OverflowError):  # hours of hundreds of digits
            number = None
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not 0 <= number <= _MOST_SECONDS:
        raise ValueError(f"{name} is {shown(value)}; expected seconds or hh:mm:ss")
    return float(number)


def _of_clock(hours: str | None, minutes: str, rest: str) -> float:
    return round(int(hours or 0) * 3600 + int(minutes) * 60 + float(rest.replace(",", ".")), 9)


def _depth(bare: str) -> int:
    depth = deepest = 0
    for each in re.findall(r"[\[\]()]", bare):
        depth += 1 if each in "[(" else -1
        deepest = max(deepest, depth)
    return deepest


def _lists(value: Any) -> Any:
    return [_lists(each) for each in value] if isinstance(value, list | tuple) else value
