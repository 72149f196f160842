"""The command that makes clips with actions: `videolm record`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ..data.environments.record_settings import Recording, View
from .arguments import Options


def record(
    *,
    env: str,
    out: Path,
    recording: Annotated[Recording, Options(skip=("environment", "view"), environment="")],
    view: View,
) -> list[Path]:
    """Record episodes of a gymnasium environment as clips with actions; goes on where it was stopped.

    Writes films without loss (episode-000000.mkv), captions.jsonl with the actions, rewards and seed of each
    and actions.json, which says what the actions mean: a folder that `videolm encode` and every other command
    reads. Environments are the extra videolm[world].

    Args:
        env: minigrid:ID (such as minigrid:MiniGrid-DoorKey-8x8-v0: the whole grid from above), ale:ID (such
            as ale:Pong-v5: with sound) or gymnasium:ID (any other, such as gymnasium:CarRacing-v3).
        out: folder to fill.
    """
    from ..data.environments.recording import record as record_episodes
    from ..data.runtime.one_writer import only_writer

    with only_writer(out):
        return record_episodes(replace(recording, environment=env, view=view), out)
