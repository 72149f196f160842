"""The settings that results were made with, and the one rule to continue, redo or refuse existing results.

    record = MadeWith(out / "settings.json", {"seed": 0, "model": fingerprint})
    record.claim("scores")              # continue, or refuse results of other settings

    if not record.is_same:              # or redo what was made with other settings
        make()
        record.write()

A record is a JSON object, written when there are results to describe. Settings are compared as JSON gives
them back, so that a tuple is a list and a path its name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import read_json, write_json

_MOST_SHOWN = 200  # letters of a value in a message


@dataclass(frozen=True)
class MadeWith:
    """The settings of some results, and the file that keeps them.

    Args:
        path: of the record, in the folder of the results or beside them.
        settings: all that the results follow from: fingerprints of models, hashes of files, options.
    """

    path: Path
    settings: Mapping[str, Any]

    @property
    def found(self) -> dict[str, Any] | None:
        """The settings that are on record.

        Raises:
            ValueError: if the record is damaged.
        """
        if not self.path.is_file():
            return None
        stored = read_json(self.path)
        if not isinstance(stored, dict):
            raise ValueError(f"{self.path} is damaged: it holds no settings")
        return stored

    @property
    def is_same(self) -> bool:
        """Whether there is a record and it is of these settings."""
        return self.found is not None and not differences(self.found, self.settings)

    def claim(self, results: str) -> None:
        """Note the settings where there is no record; go on where there is one of the same settings.

        Args:
            results: what the folder holds, for the message.

        Raises:
            ValueError: if the record is of other settings; the differing ones are named.
        """
        if self.found is None:
            self.write()
        else:
            refuse_others(self.path.parent, self.found, self.settings, results)

    def write(self) -> None:
        """Put these settings on record."""
        write_json(self.path, as_json(self.settings))


def whole_path(name: str | Path) -> str:
    """A file or folder by its whole path, whichever way it is named; anything else as it is."""
    return str(Path(name).resolve()) if "://" not in str(name) and Path(name).exists() else str(name)


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file."""
    return json.loads(json.dumps(settings, default=str))


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The settings that are not the same, each as "seed 0, now 1"; those of a group as "sampling.top_k …"."""
    before, now = _flat(found), _flat(as_json(wanted))
    return [
        f"{name} {_shown(before.get(name))}, now {_shown(now.get(name))}"
        for name in {**now, **before}
        if before.get(name) != now.get(name)
    ]


def _flat(settings: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{group}{name}.")
        else:
            flat[f"{group}{name}"] = value
    return flat


def refuse_others(
    place: str | Path, found: Mapping[str, Any], wanted: Mapping[str, Any], results: str
) -> None:
    """Raise a ValueError if results that are there were made with other settings."""
    if other := differences(found, wanted):
        raise ValueError(
            f"{place} holds {results} made with {'; '.join(other)}: choose another place or remove this one"
        )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
