"""sampling.json of a model folder: how the model recommends to draw the codes of each of its tasks.

    {"version": 1, "tasks": {"text_to_video": {"temperature": 0.5, "guidance_scale": 2}}}

What a user asks for wins field by field over the recommendation, and this over the defaults. A folder without
the file recommends nothing.

The file is no part of the model's fingerprint, which says what the weights can draw. Results keep the
settings that they were drawn with, so another recommendation is seen where it changes them and nowhere else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.runtime.checksums import forget_checksum, record_checksums
from ..data.runtime.files import read_object, write_json
from ..data.runtime.typed_fields import from_fields, shown
from ..lm.decoding.sampling import DrawSettings, Sampling
from .model_config import ModelConfig
from .task import load_task, task_names

SAMPLING = "sampling.json"
_VERSION = 1
# They change how fast codes are drawn on a machine, and not which.
NOT_RECOMMENDED = ("decoding", "window", "recommended")


@dataclass(frozen=True)
class RecommendedSampling:
    """How codes are drawn where nothing else is asked for, by the names of tasks."""

    tasks: Mapping[str, Sampling] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Any, tasks: Iterable[str], name: str) -> "RecommendedSampling":
        """Of foreign values: task -> field of `Sampling` -> value.

        Args:
            tasks: of the model.
            name: of the file or setting, for messages.

        Raises:
            ValueError: if a task is none of the model's, a field unknown or out of its range, or guidance is
                recommended for a task without text.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{name} holds {shown(values)}; expected settings by tasks")
        known = tuple(tasks)
        if unknown := [task for task in values if task not in known]:
            has = ", ".join(known)
            raise ValueError(f"{name} names task {shown(unknown[0])}; the tasks of the model are {has}")
        return cls({task: _checked(task, each, f"{name}, {task}") for task, each in values.items()})

    @classmethod
    def load(cls, folder: Path) -> "RecommendedSampling":
        """Of a model folder, whose checksums are compared.

        Raises:
            ValueError: as `of`, and if the folder is damaged or the file of another version.
        """
        path = folder / SAMPLING
        if not path.is_file():
            return cls()
        tasks = ModelConfig.load(folder).tasks
        stored = read_object(path)
        if stored.get("version") != _VERSION or stored.keys() != {"version", "tasks"}:
            raise ValueError(f"{path} is none that this videolm reads; expected version {_VERSION} and tasks")
        return cls.of(stored["tasks"], tasks, str(path))

    def save(self, folder: Path) -> None:
        """Write the file of a model folder, or remove it where nothing is recommended; and its checksum."""
        path = folder / SAMPLING
        forget_checksum(folder, SAMPLING)  # whoever is stopped here leaves a file that is not listed
        tasks = {task: sampling.given for task, sampling in self.tasks.items() if sampling.given}
        if tasks:
            write_json(path, {"version": _VERSION, "tasks": tasks})
            record_checksums(folder, SAMPLING)
        else:
            path.unlink(missing_ok=True)

    def settings(self, task: str, sampling: Sampling | None = None, *, text: bool = True) -> DrawSettings:
        """Every choice made, for a task by its name.

        Args:
            sampling: what is asked for.
            text: whether the prompt has one; without it a recommended guidance is left out.
        """
        return (sampling or Sampling()).settings(self._of(task, text))

    def used(self, task: str, sampling: Sampling | None = None, *, text: bool = True) -> list[str]:
        """The fields of `settings` that are as recommended."""
        asked = sampling or Sampling()
        given = self._of(task, text).given if asked.recommended else {}
        return [name for name in given if name not in asked.given]

    def over(self, other: "RecommendedSampling") -> "RecommendedSampling":
        """This, and where it leaves a choice open, the other."""
        names = [*other.tasks, *(name for name in self.tasks if name not in other.tasks)]
        return RecommendedSampling({name: self._of(name).over(other._of(name)) for name in names})

    def of_tasks(self, names: Iterable[str]) -> "RecommendedSampling":
        """What is recommended for some tasks."""
        return RecommendedSampling({name: self.tasks[name] for name in names if name in self.tasks})

    def _of(self, task: str, text: bool = True) -> Sampling:
        found = self.tasks.get(task, Sampling())
        return found if text else replace(found, guidance_scale=None)


def _checked(task: str, values: Any, name: str) -> Sampling:
    sampling = from_fields(Sampling, values, name)
    for field_name in NOT_RECOMMENDED:
        if isinstance(values, Mapping) and field_name in values:
            raise ValueError(f"{name}: {field_name} cannot be recommended; it does not change what is drawn")
    # A task of one's own is a file, which no model names: there a guidance without text is left out.
    if sampling.guidance_scale not in (None, 1) and task in task_names() and load_task(task).text == "none":
        raise ValueError(
            f"{name}: guidance leads towards a text, and {task} takes none; leave out guidance_scale"
        )
    return sampling
