"""`--init-from MODEL`: train on from the weights of a finished model in a run of its own."""

import json
import shutil
from pathlib import Path

from ..data.runtime.files import read_object, replacing
from ..data.runtime.model_source import model_folder

CODECS = ("video_tokenizer", "audio_tokenizer")
_TOKENIZERS = (*CODECS, "text_tokenizer", "vocabulary.json")


def value_of(arguments: list[str], option: str) -> str | None:
    """The value of an option, given as `--option value` or `--option=value`; the last one counts."""
    value = None
    for position, argument in enumerate(arguments):
        if argument == option and position + 1 < len(arguments):
            value = arguments[position + 1]
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
    return value


def without(arguments: list[str], option: str) -> list[str]:
    kept, is_value = [], False
    for argument in arguments:
        if not is_value and argument != option and not argument.startswith(f"{option}="):
            kept.append(argument)
        is_value = argument == option and not is_value
    return kept


def language_model_from(arguments: list[str]) -> list[str]:
    """The arguments of `lm fit` with `--init-from` spelled out.

    The sizes of the model are the folder's, whatever a config says. Its tokenizers and vocabulary are
    copied to RUN/model, unless tokenizers are given by --data.model.

    Raises:
        FileNotFoundError: if there is no such model (`model_folder`), or no language model in it.
    """
    source, out = value_of(arguments, "--init_from"), value_of(arguments, "--out")
    if source is None:
        return arguments
    source = str(model_folder(source))
    config = Path(source) / "lm" / "config.json"
    if not config.is_file():
        raise FileNotFoundError(f"{source} has no lm/config.json: --init-from takes the folder of a model")
    sizes = {
        name: each for name, each in read_object(config).items() if name not in ("kind", "config_version")
    }
    if out is not None and value_of(arguments, "--data.model") is None:
        copy_tokenizers(Path(source), Path(out) / "model")
    arguments = without(arguments, "--init_from")
    place = _after_configs(arguments)
    settings = ["--model.init_from", source, "--model.model", json.dumps(sizes)]
    return [*arguments[:place], *settings, *arguments[place:]]


def stage_from(arguments: list[str]) -> list[str]:
    """The arguments of `super-resolution fit` with `--init-from` spelled out: the folder of a stage, or of a
    model that has one.

    The sizes of the transformer are the folder's, whatever a config says.

    Raises:
        FileNotFoundError: if there is no such folder, or no stage in it.
        ValueError: if the model has several stages.
    """
    source = value_of(arguments, "--init_from")
    if source is None:
        return arguments
    folder = Path(source)
    if not (folder / "model.safetensors").is_file():
        stages = sorted(path.parent for path in (folder / "super_resolution").glob("*/model.safetensors"))
        if not stages:
            raise FileNotFoundError(
                f"{source} has no super_resolution/: --init-from takes a stage or a model with one"
            )
        if len(stages) > 1:
            names = ", ".join(str(each) for each in stages)
            raise ValueError(f"{source} has several stages; give one of {names}")
        (folder,) = stages
    sizes = read_object(folder / "config.json").get("model")
    if not isinstance(sizes, dict):
        raise ValueError(f"{folder} is no stage of super-resolution")
    arguments = without(arguments, "--init_from")
    place = _after_configs(arguments)
    settings = ["--model.init_from", str(folder), "--model.model", json.dumps(sizes)]
    return [*arguments[:place], *settings, *arguments[place:]]


def _after_configs(arguments: list[str]) -> int:
    """The place behind the last config, given as `--config demo` or `--config=demo`."""
    ends = [0]
    for index, argument in enumerate(arguments):
        flag, equals, _ = argument.partition("=")
        if flag in ("--config", "-c"):
            ends.append(index + (1 if equals else 2))
    return ends[-1]


def copy_tokenizers(source: Path, target: Path, names: tuple[str, ...] = _TOKENIZERS) -> None:
    """Copy the tokenizers and the vocabulary of a model folder, where they are not there yet."""
    for name in names:
        if (source / name).exists() and not (target / name).exists():
            with replacing(target / name) as temporary:
                copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
                copy(source / name, temporary)
