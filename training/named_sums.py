"""Sums and counts by name, such as the nats of the targets of each task, and those of all processes."""

from .processes import of_all_processes


class NamedSums:
    """What one process has summed up; processes may have other names."""

    def __init__(self) -> None:
        self._own: dict[str, tuple[float, float]] = {}

    def add(self, name: str, total: float, count: float) -> None:
        before = self._own.get(name, (0.0, 0.0))
        self._own[name] = (before[0] + total, before[1] + count)

    def of_all(self) -> dict[str, tuple[float, float]]:
        """(sum, count) over all processes, in the order of the names; called by all of them."""
        sums = NamedSums()
        for process in of_all_processes(self._own):
            for name, (total, count) in process.items():
                sums.add(name, total, count)
        return dict(sorted(sums._own.items()))
