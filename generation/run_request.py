"""request.json: what the results in a folder were asked for, so that no run goes on with those of another."""

import json
from pathlib import Path
from typing import Any

from ..data.runtime.files import read_json, write_json


def claim_folder(folder: Path, asked: dict[str, Any]) -> None:
    """Note what is asked for, in a folder without results or with results of the same request.

    Raises:
        ValueError: if it holds results of another request.
    """
    stored = folder / "request.json"
    has_results = stored.is_file() and any(path != stored for path in folder.iterdir())
    if has_results and read_json(stored) != json.loads(json.dumps(asked)):
        raise ValueError(
            f"{folder} holds clips of another request; choose another folder or remove this one"
        )
    write_json(stored, asked)
