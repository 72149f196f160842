"""A row of a list as the clips that it names: one, or several parts of one film.

{"path": "a.mp4", "caption": "a dog", "start": 0.5, "end": 2}                        one clip
{"video": "a.mp4", "timestamp": [[0, 2], [2, 5]], "caption": ["a dog", "a cat"]}     two (Panda-70M)
{"videoid": 100, "page_dir": "000001_000050", "name": "a dog"}                       000001_000050/100.mp4
{"video": "a.mp4", "conversations": [{"from": "gpt", "value": "a dog"}]}             LLaVA's first answer
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .columns import listed, seconds, sort_columns
from .entry import LONG_CAPTION, Entry
from .episode_keys import EPISODE_KEYS, checked_episode
from .places import Place

_ANSWERERS = ("gpt", "assistant", "model")
_Load = Callable[[], bytes]


def entries_of(values: Mapping[str, Any], place: Place, load: _Load | None = None) -> list[Entry]:
    """The clips of a row, those with a problem included; keys that mean nothing here are kept.

    Args:
        values: of the row, under any of the names that columns.py knows.
        place: where its file is.
        load: if the content is not in a file of its own; its path is then a name to tell it by.

    Raises:
        ValueError: if a value has the wrong type or makes no sense.
    """
    _check_text(values)
    row, rest = sort_columns(values)
    rest = checked_episode(rest)
    long_caption = rest.pop(LONG_CAPTION, None)
    if not isinstance(long_caption, str | None):
        raise ValueError(f"{LONG_CAPTION} is {long_caption!r}; expected a text")
    rest |= {LONG_CAPTION: _one_line(long_caption)} if long_caption else {}
    if "conversations" in row:
        row.setdefault("caption", _first_answer(row["conversations"]))
    times = _times(row.get("times"))
    if times is None:
        rest |= {"timestamp": row["times"]} if "times" in row else {}
    path, is_cut_out = _path(row, place, load)
    if is_cut_out:
        row = {key: value for key, value in row.items() if key not in ("start", "end")}
    if times is None:
        start, end = (seconds(name, row.get(name)) for name in ("start", "end"))
        return [_entry(path, row.get("caption"), start, end, rest, load)]
    return _parts(path, times, row.get("caption"), rest, load)


def _parts(
    path: Path, times: list[Any], captions: Any, rest: dict[str, Any], load: _Load | None
) -> list[Entry]:
    """The parts of a film, each with its share of every list that is as long as the list of times."""
    captions = listed(captions)
    if isinstance(captions, list) and len(captions) != len(times):
        raise ValueError(f"it has {len(times)} times and {len(captions)} captions")
    lists = {name: listed(value) for name, value in rest.items()}
    # Actions are those of the whole film, which the parts' times slice.
    shares = {name for name, value in lists.items() if isinstance(value, list)} - {*EPISODE_KEYS}
    parts = []
    for number, pair in enumerate(times):
        caption = captions[number] if isinstance(captions, list) else captions
        shared = {
            name: value[number] if name in shares and len(value) == len(times) else rest[name]
            for name, value in lists.items()
        }
        try:
            start, end = (seconds(name, value) for name, value in zip(("start", "end"), pair, strict=True))
            parts.append(_entry(path, caption, start, end, shared, load))
        except (ValueError, TypeError) as error:
            parts.append(Entry(path, problem=f"part {number + 1} is wrong: {error}"))
    return parts


def _entry(
    path: Path,
    captions: Any,
    start: float | None,
    end: float | None,
    rest: dict[str, Any],
    load: _Load | None,
) -> Entry:
    if end is not None and end <= (start or 0):
        raise ValueError(f"the part from {start or 0} s to {end} s is empty")
    return Entry(path, _captions(captions), start, end, rest, load)


def _path(row: dict[str, Any], place: Place, load: _Load | None) -> tuple[Path, bool]:
    """The file of a row, and whether that is already the part that the row's times mean."""
    path = row.get("path")
    if isinstance(path, list) and len(path) == 1:  # "videos": ["a.mp4"]
        path = path[0]
    if load is not None:
        return place.folder / str(path), False
    if path is None and "id" in row:
        return _file_of_id(row, place)
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"path is {path!r}; expected the name of a file")
    if "\0" in path:
        raise ValueError(f"path is {path!r}; a name has no zero byte")
    return place.file(path.strip()), False


def _file_of_id(row: dict[str, Any], place: Place) -> tuple[Path, bool]:
    name, within = str(row["id"]).strip(), str(row.get("folder", ""))
    if not name or "\0" in name + within:
        raise ValueError(f"the clip is called {name!r}; expected a name")
    names, times = [name], [row.get("start"), row.get("end")]
    if None not in times:  # Kinetics cuts the part out and says so in the name
        start, end = (int(seconds("time", each) or 0) for each in times)
        names = [f"{name}_{start:06d}_{end:06d}", name]
    path, found = place.file_of_id(names, within)
    return path, found != name


def _times(value: Any) -> list[Any] | None:
    """Pairs of times; None if the value is something else, such as the date of an upload."""
    value = listed(value)
    if not isinstance(value, list) or not value:
        return None
    return value if all(isinstance(each, list) for each in value) else [value]


def _first_answer(turns: Any) -> str | None:
    """What the model of a conversation about a clip says first."""
    for turn in turns if isinstance(turns, list) else []:
        if isinstance(turn, dict) and turn.get("from", turn.get("role")) in _ANSWERERS:
            said = turn.get("value", turn.get("content"))
            if isinstance(said, list):
                said = " ".join(str(part.get("text", "")) for part in said if isinstance(part, dict))
            return said
    return None


def _captions(value: Any) -> tuple[str, ...]:
    value = listed(value)
    captions = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"caption is {value!r}; expected a text or a list of texts")
    return tuple(filter(None, map(_one_line, captions)))


def _one_line(text: str) -> str:
    """A text with every run of white space, also of line ends and separators of Unicode, as one blank."""
    return " ".join(text.split())


def _check_text(values: Mapping[str, Any]) -> None:
    """Half a character, as in a name that is no UTF-8, fits into no file that says anything of this clip."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        wrong = error.object[error.start]
        if "\udc80" <= wrong <= "\udcff":
            raise ValueError(f"it is not UTF-8 (byte {ord(wrong) - 0xDC00:#x})") from error
        raise ValueError(f"it has {wrong!r}, which is no character") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
