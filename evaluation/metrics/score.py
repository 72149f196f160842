"""A score and everything that it depends on."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Score:
    """One number of an evaluation, with the constants without which it means nothing.

    Args:
        name: such as "fvd".
        value: None if it was not computed.
        spread: standard deviation over repeats or splits.
        constants: network and hash of its file, resize path, range, frames, clips, seed and so on.
        reason: why it was not computed.
    """

    name: str
    value: float | None = None
    spread: float | None = None
    constants: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        if self.value is None:
            return {"value": None, "not_computed": self.reason} | self.constants
        spread = {} if self.spread is None else {"spread": self.spread}
        return {"value": self.value} | spread | self.constants

    def __str__(self) -> str:
        """The value as a table shows it."""
        if self.value is None:
            return f"not computed: {self.reason}"
        digits = 4 if abs(self.value) < 10 else 2
        spread = "" if self.spread is None else f" ± {self.spread:.{digits}f}"
        return f"{self.value:.{digits}f}{spread}"
