"""Which clips in a folder are those that were written there: OUT/clips.jsonl.

    {"name": "000", "files": {"000.mp4": "<sha256>"}}      a line a prompt, added when its clips are there

A clip that is not on the list, or not as it was written, is made again: it may be another's, half replaced or
of a run that was killed before it could say so.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from ..data.runtime.checksums import file_hash
from ..data.runtime.parsing import parse_json

_LIST = "clips.jsonl"


class MadeClips:
    """The list of a folder."""

    def __init__(self, folder: Path):
        self.path = folder / _LIST
        self._known: dict[str, dict[str, str]] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                self._read(line)

    def holds(self, name: str, files: Sequence[Path]) -> bool:
        """Whether the files of a prompt are there as they were written."""
        known = self._known.get(name, {})
        return all(path.is_file() and known.get(path.name) == file_hash(path) for path in files)

    def note(self, name: str, files: Sequence[Path]) -> None:
        """Add what was written of a prompt."""
        self._known[name] = {path.name: file_hash(path) for path in files}
        with self.path.open("a", encoding="utf-8") as file:
            # A line that a killed run left half is ended by the first character.
            file.write("\n" + json.dumps({"name": name, "files": self._known[name]}, ensure_ascii=False))

    def _read(self, line: str) -> None:
        """A line that is none, such as the last of a killed run, says nothing of any clip."""
        try:
            said = parse_json(line, str(self.path))
        except ValueError:
            return
        if isinstance(said, dict) and isinstance(said.get("files"), dict):
            self._known[str(said.get("name"))] = said["files"]
