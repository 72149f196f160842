"""What an entry is made of: its file by contents, and all that its source says of it.

    made_of = MadeOf(source)
    made_of(entry)                  # changes with the file, the captions, the part, any other key

A file is recognised by the rule of data/runtime/file_identity.py, a tar once for all of its members. A path
counts from its source on, so that a source may be named in any way that leads to it. Of what lies at an
address its name and place count: it is not read for this.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..runtime.file_identity import identify_file
from ..runtime.remote import is_address
from .archives import TarMember
from .entry import Entry
from .held_out import relative_path


def file_of(entry: Entry) -> Path | None:
    """The file on disk that an entry's content is in; None of one from elsewhere."""
    if entry.load is None:
        return None if is_address(str(entry.path)) else entry.path
    if isinstance(entry.load, TarMember) and not is_address(entry.load.tar):
        return Path(entry.load.tar)
    return None


class MadeOf:
    """Hex digits of entries, each file being read once.

    Args:
        source: that the entries are of.
    """

    def __init__(self, source: str = ""):
        self.source = source
        self._files: dict[Path, Any] = {}

    def __call__(self, entry: Entry) -> str:
        path = relative_path(str(entry.path), self.source)
        said = [
            path,
            entry.captions,
            entry.start,
            entry.end,
            entry.problem,
            entry.extra,
            self._content(entry),
        ]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]

    def _content(self, entry: Entry) -> Any:
        file, member = file_of(entry), ()
        if isinstance(entry.load, TarMember):
            member = (entry.load.offset, entry.load.size)
        if file is not None:
            if file not in self._files:
                try:
                    self._files[file] = identify_file(file).to_json()
                except OSError as error:
                    self._files[file] = error.strerror  # whoever reads it says so
            return [self._files[file], member]
        if entry.load is None or isinstance(entry.load, TarMember):
            return [str(entry.path), member]
        try:
            return hashlib.sha256(entry.load()).hexdigest()
        except (OSError, ValueError) as error:
            return type(error).__name__
