"""What was asked for as a call, to copy: on the command line, and in Python.

    videolm generate --model shapes --task text_to_video --text 'a red square' --seed 3 --out clip.mp4

    model = VideoLM.from_pretrained("shapes")
    clip = model.generate("text_to_video", text="a red square", seed=3)
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..data.runtime.model_source import source_name
from ..lm.decoding.sampling import Sampling
from ..tasks.task import load_task
from .long_video.long_options import LongOptions
from .run_request import Request, Runtime

_CONTINUED = " \\\n  "
_INDENT = "    "


def command_line(command: str, values: Mapping[str, Any], places: Sequence[str] = ()) -> str:
    """A command as it is typed, an option a line.

    Args:
        command: its words after `videolm`.
        values: by the names of options; None and false are left out.
        places: what stands before the options.
    """
    given = {name: value for name, value in values.items() if value is not None and value is not False}
    words = [_option(name, value) for name, value in given.items()]
    return _CONTINUED.join([shlex.join(["videolm", *command.split(), *places]), *words])


def generate_command(request: Request, out: Path) -> str:
    """`videolm generate` of a request without a file of prompts."""
    records = (request.prompt, request.results, request.expansion, request.runtime)
    values = {"model": source_name(request.model), "task": request.task}
    for record in records[:1]:
        values |= _changed(record)
    values |= {"depth": request.depth} | {"seed": request.seed} | sampling_options(request.sampling)
    for record in records[1:]:
        values |= _changed(record)
    return command_line("generate", values | {"out": out})


def long_command(model: Path, options: LongOptions, seed: int, sampling: Sampling, out: Path) -> str:
    """`videolm long-video` of one try of each segment."""
    values = {"model": source_name(model)} | _changed(options)
    return command_line("long-video", values | {"seed": seed} | sampling_options(sampling) | {"out": out})


def sampling_options(sampling: Sampling) -> dict[str, Any]:
    """The options of a sampling, by their names."""
    return sampling.given | ({} if sampling.recommended else {"recommended": "false"})


def generate_python(request: Request, out: Path) -> str:
    """The call of `VideoLM` that makes the same, as a program."""
    prompt, results = request.prompt, request.results
    arguments = {name: value for name, value in _changed(prompt).items() if name not in _SIZE}
    arguments = {name: _text(str(value)) for name, value in arguments.items()}
    imports = ["VideoLM"]
    if any(getattr(prompt, name) is not None for name in _SIZE):
        given = {"aspect": prompt.aspect, "num_frames": prompt.frames, "seconds": prompt.seconds}
        arguments["size"] = python_call("SizeChoice", given)
        imports.append("SizeChoice")
    more = []
    if "motion" in load_task(request.task).variants:
        more.append("from videolm.data.analysis.open_geometry import geometry_of")
        arguments["geometry"] = f"geometry_of({_text(request.depth or 'none')})"
    if results.raw:
        arguments["composite"] = "False"
    if request.sampling != Sampling():
        arguments["sampling"] = sampling_python(request.sampling)
        imports.append("Sampling")
    arguments["seed"] = str(request.seed)
    lines = _loaded(request.model, request.runtime, imports, more)
    return "\n".join(lines + _made(request, arguments, out)) + "\n"


def long_python(model: Path, options: LongOptions, seed: int, sampling: Sampling, out: Path) -> str:
    """The lines of Python that make a long video of a script."""
    given = {name: value for name, value in _changed(options).items() if name not in ("script", "text")}
    arguments = [f"{name}={_literal(value)}" for name, value in given.items()]
    if options.script is not None:
        arguments.insert(0, f"read_script(Path({_literal(options.script)}))")
    drawn = f", sampling={sampling_python(sampling)}" if sampling != Sampling() else ""
    return f"""from pathlib import Path

from videolm import {"Sampling, " if drawn else ""}VideoLM
from videolm.generation.long_video.long_video import LongPrompt, generate_long
from videolm.generation.long_video.script import read_script

{model_python(model)}
prompt = LongPrompt({", ".join(arguments)})
clip, report = generate_long(model, prompt, seed={seed}{drawn})
clip.save({_literal(out)})
"""


def chain_python(model: Path, chain: str, out: str) -> str:
    """The lines of Python that run the chain of a file."""
    return f"""from pathlib import Path

from videolm import VideoLM
from videolm.generation.chain.chain import run_chain
from videolm.generation.chain.chain_file import read_chain

{model_python(model)}
Path({_text(out)}).mkdir(exist_ok=True)
clips = run_chain(model, read_chain(Path({_text(chain)})), keep=Path({_text(out)}))
"""


def python_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call with the arguments that are not None, in one line."""
    given = (f"{key}={_literal(value)}" for key, value in arguments.items() if value is not None)
    return f"{name}({', '.join(given)})"


def sampling_python(sampling: Sampling) -> str:
    return python_call("Sampling", sampling.given | ({} if sampling.recommended else {"recommended": False}))


def model_python(model: Path) -> str:
    """The line that loads a model."""
    return f"model = VideoLM.from_pretrained({_text(source_name(model))})"


_SIZE = ("aspect", "frames", "seconds")


def _made(request: Request, arguments: dict[str, str], out: Path) -> list[str]:
    """The call, and how its clips are written."""
    count, factor, seed = request.results.num_samples, request.results.upscale, request.seed
    method, made = ("generate", "clip") if count == 1 else ("generate_many", "clips")
    if count > 1:
        arguments = {"num_samples": str(count)} | arguments
    words = [_text(request.task), *(f"{name}={value}" for name, value in arguments.items())]
    call = [f"{made} = model.{method}(", *(f"{_INDENT}{word}," for word in words), ")"]
    if count == 1:
        larger = [f"clip = model.upscale(clip, factor={factor}, seed={seed})"] if factor else []
        return [*call, *larger, f"clip.save({_text(str(out))})"]
    target = f'f"{out.stem}-{{number}}{out.suffix}"'
    larger = [f"{_INDENT}clip = model.upscale(clip, factor={factor}, seed={seed} + number)"] if factor else []
    return [*call, "for number, clip in enumerate(clips):", *larger, f"{_INDENT}clip.save({target})"]


def _loaded(model: Path, runtime: Runtime, names: Iterable[str], more: list[str]) -> list[str]:
    """The imports, and the model as it ran."""
    lines, options, after = list(more), "", list[str]()
    if runtime.dtype != "float32":
        lines, options = ["import torch", *lines], f", dtype=torch.{runtime.dtype}"
    if runtime.quantize is not None:
        lines.append("from videolm.lm.decoding.quantized import quantize")
        after = ["quantize(model.lm)"]
    load = f"{model_python(model)[:-1]}{options})"
    return [f"from videolm import {', '.join(sorted(names))}", *lines, "", load, *after]


def _changed(record: Any) -> dict[str, Any]:
    """The fields of a record that are not at their default."""
    values = {each.name: (getattr(record, each.name), each.default) for each in fields(record)}
    return {name: value for name, (value, usual) in values.items() if value != usual}


def _option(name: str, value: Any) -> str:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return option
    if str(value).startswith("-"):
        return shlex.quote(f"{option}={value}")
    return f"{option} {shlex.quote(str(value))}"


def _literal(value: Any) -> str:
    return _text(str(value)) if isinstance(value, str | Path) else repr(value)


def _text(text: str) -> str:
    """A text as Python reads it, in double quotes where it holds none."""
    return f'"{text}"' if text.isprintable() and not set(text) & set('"\\') else repr(text)
