"""How much of a source's footage became codes, as `videolm encode` says at its end."""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class Footage:
    """Of some files, or parts of files; sums of the parts are those of the whole.

    Args:
        files: that gave a clip.
        clips: windows of them.
        seconds: that the files last, as their headers say, whether they gave a clip or not; images last 0.
        used: seconds in the clips.
        ends: seconds after the last window of a file that are too short for another.
    """

    files: int = 0
    clips: int = 0
    seconds: float = 0.0
    used: float = 0.0
    ends: float = 0.0

    def __add__(self, other: "Footage") -> "Footage":
        own, theirs = asdict(self), asdict(other)
        return Footage(**{name: own[name] + theirs[name] for name in own})

    def __str__(self) -> str:
        of_files = f"{self.clips} windows of {self.files} files"
        if not self.seconds:
            return of_files
        share = f"{self.used / self.seconds:.0%}".replace("%", " %")
        ends = f"; {self.ends:.0f} s at the ends too short for a window" if round(self.ends) else ""
        return f"{of_files}, {share} of {self.seconds:.0f} s{ends}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "Footage":
        """The inverse of `to_json`.

        Raises:
            ValueError: if the values are no such sums.
        """
        names = {field.name: field.type for field in fields(cls)}
        if not isinstance(values, dict) or values.keys() != names.keys():
            raise ValueError(f"{values!r} does not say how much was used")
        for name, value in values.items():
            if type(value) not in (int, names[name]) or not isfinite(value) or value < 0:
                raise ValueError(f"{name} is {value!r}")
        return cls(**values)
