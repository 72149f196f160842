"""A file of prompts: one text a line, JSONL with whatever a prompt takes, or a table with these columns.

    {"text": "a red square moves left", "image": "red.png", "aspect": "16:9", "name": "left", "seed": 7}

Paths are relative to the file. `name` names the clip that is written; else it is its number. `aspect`,
`frames` and `seconds` choose its size, as the options of `videolm generate` do; `seed` is the clip's own.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..data.runtime.confinement import checked as inside
from ..tasks.clip_size import size_of
from ..tasks.masks import KINDS
from .prompt_lines import Record, number_of, read_records
from .run_request import PromptOptions
from .seeds import seed_of

_FILES = ("image", "video", "audio")
_KNOWN = ("name", *(each.name for each in fields(PromptOptions)), "seed")
_WHOLE, _NUMBER = ("frames", "seed"), ("seconds",)


@dataclass(frozen=True)
class NamedPrompt:
    """What one line says, and the name of its clip.

    Args:
        seed: of its first clip, if it says one.
    """

    name: str
    options: PromptOptions
    seed: int | None = None


def read_prompts(path: Path, common: PromptOptions) -> list[NamedPrompt]:
    """The prompts of a file, each over what all of them have in common.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no prompts, or a line is not one.
    """
    if common.text is not None:
        raise ValueError("give either --text or --prompts")
    prompts = []
    for record in read_records(path, _KNOWN):
        own = _checked(record, path.parent)
        name, seed = own.pop("name", f"{len(prompts):03d}"), own.pop("seed", None)
        prompts.append(NamedPrompt(str(name), _over(common, own, record.where), seed))
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


def _checked(record: Record, folder: Path) -> dict[str, Any]:
    """The fields of a line as they are used."""
    own, where = dict(record.fields), record.where
    for name, value in own.items():
        if isinstance(value, str) and name in _WHOLE + _NUMBER and record.is_table:
            own[name] = number_of(value, int if name in _WHOLE else float, name, where)
        wanted, *kinds = ("a whole number", int) if name in _WHOLE else ("a string", str)
        wanted, *kinds = ("a number", int, float) if name in _NUMBER else (wanted, *kinds)
        if type(own[name]) not in kinds:
            raise ValueError(f"{where} has {name} {value!r}; expected {wanted}")
    if "seed" in own:
        try:
            seed_of(own["seed"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    try:
        own |= {name: inside(folder / own[name], folder) for name in _FILES if name in own}
        if "mask" in own and own["mask"] not in KINDS:
            own["mask"] = str(inside(folder / own["mask"], folder))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return own
