"""The commands that follow a fit, as one would type them next."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .command_line import in_words


def next_commands(stage: str, data: Mapping[str, Any], out: Path, text: str | None = None) -> list[str]:
    """What to run after the fit of a stage.

    Args:
        data: settings of the stage's data.
        out: the run folder.
        text: a caption to generate a clip for; None if the model takes none.
    """
    if stage == "super-resolution":
        config = out / "training" / stage / "config.yaml"
        return [in_words([stage, "validate", "--config", str(config), "--out", str(out)])]
    model, shards = str(out / "model"), str(out / "shards")
    if stage == "lm":
        task = data["tasks"] and next(iter(data["tasks"]))
        asks = ["--task", task] if text is None else ["--task", "text_to_video", "--text", text]
        return [in_words(["generate", "--model", model, *asks, "--out", str(out / "clip.mp4")])]
    source = str(data["source"])
    conditions = [str(each) for each in data.get("where") or []]
    chosen = [word for each in conditions for word in ("--where", each)]
    encode = in_words(["encode", source, *chosen, "--model", model, "--out", shards])
    if stage == "audio":
        return [encode]
    given = conditions[0] if len(conditions) == 1 else json.dumps(conditions)
    of_data = ["--data.where", given] if conditions else []
    fit = ["audio", "fit", "--config", "clips", "--data.source", source, *of_data, "--out", str(out)]
    return [f"{in_words(fit)}   (if the clips have sound)", encode]
