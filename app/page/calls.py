"""The call under a result, in Python and on the command line: what makes the same clip without the page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...data.runtime.model_source import source_name
from ...generation.call_lines import (
    chain_python,
    command_line,
    generate_command,
    generate_python,
    long_command,
    long_python,
)
from ...generation.chain.chain import MEDIA
from ...generation.long_video.long_options import LongOptions
from ...generation.run_request import PromptOptions, Request, Results, Runtime
from ..jobs.job import INPUT, JobRequest

# What a file is called whose owner's name for it is not known.
_USUAL = {"image": "image.png", "video": "video.mp4", "audio": "audio.wav", "mask": "mask.png"}


@dataclass(frozen=True)
class Calls:
    """The same call in two languages.

    Args:
        file: the content of the file that both read, if they read one.
    """

    python: str
    command: str
    file: str = ""


class Caller:
    """Writes calls of one model.

    Args:
        model: folder.
        runtime: as the page runs it.
        depth: how depth is found.
    """

    def __init__(self, model: Path, runtime: Runtime, depth: str | None):
        self.model, self.runtime, self.depth = model, runtime, depth

    def of(self, wanted: JobRequest, names: Mapping[str, str], count: int, needs_depth: bool) -> Calls:
        """The calls of a request.

        Args:
            names: of its files, by what they are of the prompt.
            needs_depth: whether its task is led by flow and depth.
        """
        files = {role: names.get(role, _USUAL[role]) for role in wanted.media}
        paths = {role: Path(name) for role, name in files.items() if role != "mask"}
        prompt = PromptOptions(
            wanted.text,
            wanted.negative,
            **paths,
            mask=files.get("mask", wanted.mask),
            aspect=wanted.aspect,
            frames=wanted.num_frames,
            seconds=wanted.seconds,
        )
        request = Request(
            self.model,
            wanted.task,
            prompt,
            self.depth if needs_depth else None,
            wanted.drawn(),
            wanted.seed,
            Results(num_samples=count, raw=not wanted.composite, upscale=wanted.upscale),
            runtime=Runtime(self.runtime.quantize, "auto", self.runtime.dtype),
        )
        out = Path(f"{wanted.task}.{'png' if wanted.task.endswith('_to_image') else 'mp4'}")
        return Calls(generate_python(request, out), generate_command(request, out))

    def of_long(self, wanted: JobRequest, names: Mapping[str, str]) -> Calls:
        """The calls of a long video."""
        name, script = _script(wanted.script)
        options = LongOptions(
            script=Path(name) if script else None,
            seconds=wanted.seconds,
            negative=wanted.negative,
            given=wanted.given,
            silent=wanted.silent,
            aspect=wanted.aspect,
            image=Path(names["image"]) if "image" in names else None,
            video=Path(names["video"]) if "video" in names else None,
        )
        command = long_command(self.model, options, wanted.seed, wanted.drawn(), Path("long"))
        python = long_python(self.model, options, wanted.seed, wanted.drawn(), Path("long.mp4"))
        return Calls(python, command, script)

    def of_chain(self, wanted: JobRequest, input_name: str | None) -> Calls:
        """The calls of a chain.

        Args:
            input_name: of the file that it is given.
        """
        steps = [dict(each) for each in wanted.steps]
        for step in steps:
            named = [name for name in MEDIA if step.get(name) == INPUT and input_name is not None]
            step |= dict.fromkeys(named, input_name)
        content = {"seed": wanted.seed, "sampling": wanted.sampling or None, "aspect": wanted.aspect}
        content = {name: value for name, value in content.items() if value is not None} | {"steps": steps}
        file = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        command = command_line("chain", {"model": source_name(self.model), "out": "chain"}, ["chain.yaml"])
        return Calls(chain_python(self.model, "chain.yaml", "chain"), command, file)


def _script(lines: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """A script as a file, its name and content: a text a line where that says it all, else JSON."""
    texts = [str(each["text"]) for each in lines]
    is_plain = all(text.isprintable() and text == text.strip() and text[:1] not in "#{" for text in texts)
    if is_plain and not any("seconds" in each for each in lines):
        return "script.txt", "".join(f"{text}\n" for text in texts)
    return "script.jsonl", "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in lines)
