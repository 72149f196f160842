"""Names of groups that are held out of training, or not."""

from itertools import count, islice

from videolm.data.sources.held_out import VALIDATION_SHARE, place_of


def groups(held_out: bool, number: int, share: float = VALIDATION_SHARE) -> list[str]:
    """The first so many names g0, g1, … on one side; those held out in the order of their places."""
    names = (f"g{index}" for index in count())
    chosen = islice((each for each in names if (place_of(f"group {each}") < share) == held_out), number)
    return sorted(chosen, key=lambda each: place_of(f"group {each}")) if held_out else list(chosen)
