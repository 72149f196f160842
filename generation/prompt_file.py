"""A file of prompts: one text a line, or JSONL with whatever a prompt takes.

    {"text": "a red square moves left", "image": "red.png", "aspect": "16:9", "name": "left"}

Paths are relative to the file. `name` names the clip that is written; else it is its number. `aspect`,
`frames` and `seconds` choose its size, as the options of `videolm generate` do.
"""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..tasks.clip_size import size_of
from ..tasks.masks import KINDS
from .run_request import PromptOptions

_FILES = ("image", "video", "audio")
_KNOWN = ("name", *(each.name for each in fields(PromptOptions)))
_TYPES = {"frames": ("a whole number", int), "seconds": ("a number", int, float)}


@dataclass(frozen=True)
class NamedPrompt:
    """What one line says, and the name of its clip."""

    name: str
    options: PromptOptions


def read_prompts(path: Path, common: PromptOptions) -> list[NamedPrompt]:
    """The prompts of a file, each over what all of them have in common.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no prompts, or a line is not one.
    """
    if common.text is not None:
        raise ValueError("give either --text or --prompts")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    is_jsonl = path.suffix.lower() in (".jsonl", ".json")
    prompts = []
    for number, line in enumerate(lines, start=1):
        if line:
            own = _fields(line, path, number) if is_jsonl else {"text": line}
            name = own.pop("name", f"{len(prompts):03d}")
            prompts.append(NamedPrompt(str(name), _over(common, own, f"{path}:{number}")))
    if not prompts:
        raise ValueError(f"{path} holds no prompts; expected one a line")
    names = [prompt.name for prompt in prompts]
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise ValueError(f"{path} names two clips alike, or one with a folder; names are those of files")
    return prompts


def _over(common: PromptOptions, own: dict[str, Any], line: str) -> PromptOptions:
    """A line's prompt; a length that it gives replaces the common one, in whichever unit that is."""
    if own.keys() & {"frames", "seconds"}:
        common = replace(common, frames=None, seconds=None)
    options = replace(common, **own)
    try:
        size_of(options.aspect, options.frames, options.seconds)
    except ValueError as error:
        raise ValueError(f"{line}: {error}") from None
    return options


def _fields(line: str, path: Path, number: int) -> dict[str, Any]:
    """The fields of a line's prompt, and the name of the clip if it has one."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{number} is not JSON: {error.msg}") from None
    if not isinstance(found, dict) or not found.keys() <= set(_KNOWN):
        says = ", ".join(sorted(found)) if isinstance(found, dict) else line[:40]
        raise ValueError(f"{path}:{number} says {says}; expected an object with some of {', '.join(_KNOWN)}")
    for name, value in found.items():
        wanted, *kinds = _TYPES.get(name, ("a string", str))
        if type(value) not in kinds:
            raise ValueError(f"{path}:{number} has {name} {value!r}; expected {wanted}")
    own = found | {name: path.parent / found[name] for name in _FILES if name in found}
    if "mask" in found:
        own["mask"] = found["mask"] if found["mask"] in KINDS else str(path.parent / found["mask"])
    return own
