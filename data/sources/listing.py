"""What a source gave: its entries, and what has to be said of what is not among them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..media.streams import printable
from .entry import Entry

_SHOWN_NAMES = 3


@dataclass
class Listing:
    """The entries of a source, also those with a problem, and notes.

    Args:
        entries: in an order that does not change.
        notes: one line each, of what was left out or taken for something else without being wrong.
    """

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Listing") -> None:
        self.entries += other.entries
        self.notes += other.notes

    @staticmethod
    def joined(listings: Iterable["Listing"]) -> "Listing":
        whole = Listing()
        for each in listings:
            whole.add(each)
        return whole


def counted(what: str, names: Sequence[object]) -> str:
    """A note on some names: how many they are, and the first of them."""
    return f"{what}: {len(names)} ({some_of(names)})"


def some_of(names: Sequence[object]) -> str:
    """The first of some names, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:_SHOWN_NAMES])
    return shown + (f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else "")
