"""Episodes in a folder: films without loss and the list of them, as every other command reads clips.

    OUT/episode-000000.mkv     pictures and sound without loss: .mp4 blurs the edges of tiles by up to 160 of
                               255 levels and takes more bytes
       captions.jsonl          {"path": "episode-000000.mkv", "actions": […], "rewards": […],
                                "terminated": false, "seed": 0, "policy": "random", "environment": …}
       actions.json            what the actions mean (action_space.py)

`videolm record` fills such a folder, and `videolm play` does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..media.writing import write_media
from ..runtime.files import replacing, write_json
from ..runtime.parsing import bounded_text, parse_json
from .action_space import FILE, ActionSpace

LIST = "captions.jsonl"
_LINES_BETWEEN_LISTS = 100
_MOST_BYTES = 2**31
_MOST_DIGITS = 12


@dataclass(frozen=True)
class Episode:
    """One episode: frames as many as actions and one more.

    Args:
        frames: bytes, RGB.
        waveform: in [-1, 1], of all frames; None without sound.
        actions: in plain numbers, as `ActionSpace.encode` takes them.
        rewards: of each step.
        terminated: whether the last step ended it, by the environment's own rules.
        truncated: whether the environment cut it off; never part of an outcome.
    """

    frames: Tensor
    waveform: Tensor | None
    actions: list[Any]
    rewards: list[float]
    terminated: bool
    truncated: bool


class EpisodeFiles:
    """The episodes of a folder that are there whole, by number.

    New lines are kept in a file beside the list, OUT/captions.jsonl.part, to which one is added for each
    episode once its film is in place; the list itself is written whole.

    Attributes:
        known: the line of each episode.

    Raises:
        ValueError: if the list holds something else.
    """

    def __init__(self, out: Path):
        self.list, self.part = out / LIST, out / f"{LIST}.part"
        self.known: dict[int, str] = {}
        self.part_bytes = self.since = 0
        if self.list.is_file():
            self._take(bounded_text(self.list, _MOST_BYTES), self.list)
        if self.part.is_file():
            whole, newline, _ = self.part.read_bytes().rpartition(b"\n")
            self._take(whole.decode("utf-8"), self.part)
            self.part_bytes = len(whole + newline)

    def describe(self, space: ActionSpace) -> None:
        """Write what the actions mean."""
        write_json(self.list.with_name(FILE), space.to_json())

    def write(
        self, number: int, episode: Episode, rate: float, sample_rate: int | None, about: Mapping[str, Any]
    ) -> None:
        """Write the film and the line of one episode.

        Args:
            rate: frames, and actions, per second.
            sample_rate: of the sound, if the episode has one.
            about: what else its line says, such as its seed.
        """
        path = self.list.with_name(episode_name(number))
        sound_rate = sample_rate if episode.waveform is not None else None
        write_media(path, episode.frames, rate, episode.waveform, sound_rate)
        self._add(number, _line(number, episode) | dict(about))

    def values(self, number: int) -> dict[str, Any]:
        """What the line of an episode says.

        Raises:
            ValueError: if there is no such episode.
        """
        if number not in self.known:
            raise ValueError(f"there is no {episode_name(number)} in {self.list.parent}")
        return parse_json(self.known[number], str(self.list))

    def _add(self, number: int, values: Mapping[str, Any]) -> None:
        line = json.dumps(values, ensure_ascii=False)
        with self.part.open("ab") as file:
            file.truncate(self.part_bytes)  # half a line may be left of a run that was killed
            file.write(f"{line}\n".encode())
            self.part_bytes = file.tell()
        self.known[number] = line
        self.since += 1
        if self.since >= _LINES_BETWEEN_LISTS:
            self.finish()

    def finish(self) -> None:
        """Write the list; afterwards there is no other file."""
        with replacing(self.list.absolute()) as temporary:
            lines = (self.known[number] for number in sorted(self.known))
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self.part.unlink(missing_ok=True)
        self.part_bytes = self.since = 0

    def _take(self, text: str, path: Path) -> None:
        for line in filter(str.strip, text.split("\n")):
            values = parse_json(line, str(path))
            name = values.get("path") if isinstance(values, dict) else None
            number = _number_of(name)
            if number is None:
                raise ValueError(f"{path} has a line that is no episode's: {line[:60]!r}")
            if (path.parent / str(name)).is_file():
                self.known[number] = line


def episode_name(number: int) -> str:
    return f"episode-{number:06d}.mkv"


def _line(number: int, episode: Episode) -> dict[str, Any]:
    return {
        "path": episode_name(number),
        "actions": episode.actions,
        "rewards": [round(each, 6) for each in episode.rewards],
        "terminated": episode.terminated,
        "truncated": episode.truncated,
    }


def _number_of(name: Any) -> int | None:
    """The number of an episode, of the name of its file."""
    if not isinstance(name, str) or not name.startswith("episode-") or not name.endswith(".mkv"):
        return None
    digits = name.removeprefix("episode-").removesuffix(".mkv")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < _MOST_DIGITS
    return int(digits) if is_number and episode_name(int(digits)) == name else None
