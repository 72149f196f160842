"""Config files: given by path or by the name of a packaged one, each over the base that it names.

    base: shared/steps.yaml
    trainer:
      max_steps: 3000

The path of a base is relative to the file that names it or to configs/; a base may have one of its own. The
sections (trainer, model, data) of a file and of its base are put together, and where both have a setting the
file's counts. A setting is taken whole: `model.tokenizer` or `data.tasks` of a file replaces its base's.
"""

from pathlib import Path
from typing import Any

import yaml

from ..data.runtime.parsing import bounded_text, parse_yaml

CONFIGS = Path(__file__).parents[1] / "configs"
_BASE = "base"


def packaged_config(name: str, stage: str) -> Path:
    """The path of a config given as a path or by name.

    Raises:
        FileNotFoundError: if there is neither a file nor a config of that name.
    """
    folder = folder_of(stage)
    path, packaged = Path(name), folder / f"{name}.yaml"
    if path.is_file():
        return path
    if packaged.is_file():
        return packaged
    known = ", ".join(packaged_names(stage))
    raise FileNotFoundError(f"no config {name}: neither a file nor one of configs/{folder.name} ({known})")


def folder_of(stage: str) -> Path:
    """The folder of the packaged configs of a stage."""
    return CONFIGS / stage.replace("-", "_")


def packaged_names(stage: str) -> list[str]:
    """Names of the configs of a stage, in order."""
    return sorted(file.stem for file in folder_of(stage).glob("*.yaml"))


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a config, with those of its base.

    Raises:
        FileNotFoundError: if the base is missing.
        ValueError: if a file is no YAML with sections, or is its own base.
    """
    settings: dict[str, Any] = {}
    for each in reversed(_with_bases(path)):
        for name, section in _sections(each).items():
            before = settings.get(name)
            if isinstance(before, dict) and isinstance(section, dict):
                section = before | section
            settings[name] = section
    settings.pop(_BASE, None)
    return settings


def with_packaged_configs(arguments: list[str], stage: str) -> list[str]:
    """`--config demo` with what LightningCLI can read in place of the name.

    That is the path of configs/<stage>/demo.yaml, or the text of its settings if the file has a base.

    Raises:
        FileNotFoundError, ValueError: as `packaged_config` and `read_config`.
    """
    result = []
    after_flag = False
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if after_flag:
            argument = _readable(packaged_config(argument, stage))
        elif flag in ("--config", "-c") and equals:
            argument = f"{flag}={_readable(packaged_config(value, stage))}"
        after_flag = argument in ("--config", "-c")
        result.append(argument)
    return result


def _readable(path: Path) -> str:
    if len(_with_bases(path)) == 1:
        return str(path)
    return yaml.safe_dump(read_config(path), sort_keys=False)


def _with_bases(path: Path) -> list[Path]:
    """A config, its base, the base of that and so on."""
    chain = [path]
    while (base := _sections(chain[-1]).get(_BASE)) is not None:
        places = [folder / str(base) for folder in (chain[-1].parent, CONFIGS)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise FileNotFoundError(f"no {base}, the base of {chain[-1]}: neither beside it nor in configs/")
        if any(found.samefile(each) for each in chain):
            raise ValueError(f"{chain[-1]} has the base {base}, which has it as a base in turn")
        chain.append(found)
    return chain


def _sections(path: Path) -> dict[str, Any]:
    sections = parse_yaml(bounded_text(path), str(path))
    if sections is None:
        return {}
    if not isinstance(sections, dict):
        raise ValueError(f"{path} is not a config: it has no sections such as trainer, model and data")
    return sections
