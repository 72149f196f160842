"""Chains as YAML, and what `videolm chain` does.

seed: 0                          # of every step that has none of its own; sampling and aspect as well
sampling: {temperature: 0.9}
aspect: "16:9"                   # in quotes, or YAML reads 969: 16 minutes and 9 seconds
steps:
  - task: text_to_image          # a step is named after its task, or: name: picture
    text: a red square
  - task: image_to_video
    image: text_to_image         # an earlier step, or a file beside this one
    text: a red square spins
    frames: 17                   # or seconds
    seed: 3
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...data.runtime.confinement import checked as inside
from ...data.runtime.model_source import model_folder, source_name
from ...data.runtime.one_writer import only_writer
from ...data.runtime.parsing import bounded_text, parse_yaml
from ...data.runtime.progress import progress
from ...data.runtime.typed_fields import shown as value_shown
from ...lm.decoding.sampling import Sampling
from ...tasks.clip_size import WORDS, size_of
from ...tasks.masks import KINDS
from ...tasks.task import film_task_names
from ..notes import notes
from ..pipeline import VideoLM
from ..run_request import claim_folder
from .chain import MEDIA, Step, checked, file_of, run_chain, shown

FIELDS = ("seed", "sampling", "aspect", "steps")
_FIELDS = (*(each.name for each in fields(Step) if each.name != "size"), *WORDS)
_TYPES = {"raw": (bool,), "seed": (int,), "frames": (int,), "seconds": (float, int), "sampling": (dict,)}


def read_chain(path: Path) -> list[Step]:
    """The steps of a file.

    Tasks are those of the package: a file of one's own is a program, which no YAML may start.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no YAML, or a step is none.
    """
    return checked(steps_of(parse_yaml(bounded_text(path), str(path)), str(path), path.parent))


def steps_of(content: Any, called: str, beside: Path | None, given: Sequence[str] = ()) -> list[Step]:
    """The steps of a chain's values, as its YAML holds them.

    Args:
        called: name of the chain, for messages.
        beside: folder of the files that steps name; None where they may name none.
        given: names of clips that are there before the first step.

    Raises:
        ValueError: if they are no chain, or a step is none.
    """
    if not isinstance(content, dict) or not content.keys() <= set(FIELDS):
        raise ValueError(f"{called} is no chain; expected {', '.join(FIELDS)}")
    common = {name: value for name, value in content.items() if name != "steps"}
    listed = content.get("steps")
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{called} has no steps; expected a list, such as - task: text_to_image")
    names = [each.get("name", each.get("task")) for each in listed if isinstance(each, dict)]
    steps: list[Step] = []
    for number, each in enumerate(listed, start=1):
        try:
            steps.append(_step(each, common, [*names, *given], beside))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{called}, step {number}: {error}") from error
    return steps


def write_chain(chain: Path, model: str | Path | None, out: Path) -> list[Path]:
    """Run the chain of a file; returns the paths of the results to look at.

    Args:
        model: as `model_folder` takes it.

    Raises:
        FileNotFoundError: if the chain, the model or an input is missing.
        ValueError: as `run_chain`, and if `out` holds results of another model.
    """
    steps = read_chain(chain)
    if out.suffix:
        raise ValueError(f"--out is {out}; expected a folder for the results of all steps")
    folder = model_folder(model)
    loaded = VideoLM.from_pretrained(folder, tasks=[step.task for step in steps])
    with only_writer(out), notes(), progress("chain", len(steps)) as show:
        claim_folder(out, {"model": source_name(folder)}, "results")
        clips = run_chain(loaded, steps, keep=out, report=show)
    return [shown(file_of(out, steps, name), clip) for name, clip in clips.items()]


def _step(values: Any, common: dict[str, Any], names: list[Any], beside: Path | None) -> Step:
    """One step of the file, with what holds for all.

    Args:
        names: of all steps and clips that are given; what an image, video or audio says else is a file.
    """
    if not isinstance(values, dict) or not values.keys() <= set(_FIELDS):
        found = ", ".join(map(str, values)) if isinstance(values, dict) else str(values)[:60]
        raise ValueError(f"it says {found}; expected some of {', '.join(_FIELDS)}")
    for name, value in (common | values).items():
        kinds = _TYPES.get(name, (str,))
        if type(value) not in kinds:
            quotes = ", in quotes" if kinds == (str,) else ""
            raise ValueError(f"{name} is {value!r}; expected {kinds[0].__name__}{quotes}")
    if values.get("task") not in film_task_names():
        raise ValueError(f"task is {values.get('task')!r}; expected one of {', '.join(film_task_names())}")
    words = dict.fromkeys(MEDIA, names) | {"mask": KINDS}
    given = [name for name in words if values.get(name, "") not in ("", *words[name])]
    files: dict[str, Any] = {}
    if beside is not None:
        files = {name: inside(beside / values[name], beside) for name in given}
    elif given or "depth" in values:
        name = given[0] if given else "depth"
        raise ValueError(f"{name} is {value_shown(values[name])}; files cannot be named here")
    named = {"name": values["task"], "seed": common.get("seed", 0)}
    own = {name: value for name, value in (named | values | files).items() if name not in WORDS}
    said = {name: value for name, value in (common | values).items() if name in WORDS}
    sampling = _sampling(values, common.get("sampling", {}))
    return Step(**own | {"size": size_of(**said), "sampling": sampling})


def _sampling(values: dict[str, Any], common: dict[str, Any]) -> Sampling:
    """How a step is sampled; the guidance of all steps acts on those with a text."""
    if "text" not in values:
        common = {name: value for name, value in common.items() if name != "guidance_scale"}
    settings = common | values.get("sampling", {})
    known = [each.name for each in fields(Sampling)]
    if unknown := [name for name in settings if name not in known]:
        raise ValueError(f"sampling says {unknown[0]}; expected some of {', '.join(known)}")
    return Sampling(**settings)
