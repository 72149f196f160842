"""The call under a result, in Python and on the command line: what makes the same clip without the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...generation.call_lines import generate_command, generate_python
from ...generation.run_request import PromptOptions, Request, Results, Runtime
from ..jobs.job import JobRequest

# What a file is called whose owner's name for it is not known.
_USUAL = {"image": "image.png", "video": "video.mp4", "audio": "audio.wav", "mask": "mask.png"}


@dataclass(frozen=True)
class Calls:
    """The same call in two languages."""

    python: str
    command: str


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
