"""A file of prompts: one text a line, or JSONL with whatever a prompt takes.

    {"text": "a red square moves left", "image": "red.png", "aspect": "16:9", "name": "left"}

Paths are relative to the file. `name` names the clip that is written; else it is its number. `aspect`,
`frames` and `seconds` choose its size, as the options of `videolm generate` do.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..tasks.clip_size import WORDS, SizeChoice, size_of
from ..tasks.masks import KINDS

_FILES = ("image", "video", "audio", "mask")
_KNOWN = ("name", "text", "negative", *_FILES, *WORDS)
_TYPES = {"frames": ("a whole number", int), "seconds": ("a number", int, float)}


@dataclass(frozen=True)
class NamedPrompt:
    """What one line says: name of the clip, and the fields of a `Prompt`."""

    name: str
    given: dict[str, Any]


def read_prompts(path: Path, given: dict[str, Any]) -> list[NamedPrompt]:
    """The prompts of a file, each over what is given for all of them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no prompts, or a line is not one.
    """
    if given["text"] is not None:
        raise ValueError("give either --text or --prompts")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    is_jsonl = path.suffix.lower() in (".jsonl", ".json")
    prompts = []
    for number, line in enumerate(lines, start=1):
        if line:
            own = _fields(line, path, number, given.get("size")) if is_jsonl else {"text": line}
            name = own.pop("name", f"{len(prompts):03d}")
            prompts.append(NamedPrompt(str(name), given | own))
    if not prompts:
        raise ValueError(f"{path} holds no prompts; expected one a line")
    names = [prompt.name for prompt in prompts]
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise ValueError(f"{path} names two clips alike, or one with a folder; names are those of files")
    return prompts


def _fields(line: str, path: Path, number: int, usual: SizeChoice | None) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{number} is not JSON: {error.msg}") from None
    if not isinstance(fields, dict) or not fields.keys() <= set(_KNOWN):
        found = ", ".join(sorted(fields)) if isinstance(fields, dict) else line[:40]
        raise ValueError(f"{path}:{number} says {found}; expected an object with some of {', '.join(_KNOWN)}")
    for name, value in fields.items():
        wanted, *kinds = _TYPES.get(name, ("a string", str))
        if type(value) not in kinds:
            raise ValueError(f"{path}:{number} has {name} {value!r}; expected {wanted}")
    try:
        size = size_of(**{name: fields.pop(name) for name in WORDS if name in fields}, usual=usual)
    except ValueError as error:
        raise ValueError(f"{path}:{number}: {error}") from None
    is_path = {name: name in _FILES and value not in KINDS for name, value in fields.items()}
    own = {name: path.parent / value if is_path[name] else value for name, value in fields.items()}
    return own | {"size": size}
