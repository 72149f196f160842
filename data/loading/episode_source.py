"""Clips with actions as episodes: each entry whole, with the codes of its actions and outcomes.

A film of F frames has F - 1 actions (data/environments/action_space.py says which leads where). Where a
latent covers several frames they must fill whole latents: an episode that does not is begun some frames
later, not ended earlier, for its end is what can be learnt only there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from ..codes.clip_format import ClipFormat
from ..codes.footage import Footage
from ..environments.action_space import ACTIONS, FILE, OUTCOME, ActionSpace
from ..media.clip import Clip
from ..media.streams import MediaError, printable
from ..runtime.made_with import whole_path
from ..runtime.parsing import bounded_text, parse_json
from ..runtime.remote import is_address
from ..sources.entry import Entry
from ..sources.entry_identity import MadeOf
from ..sources.episode_keys import EPISODE_KEYS, RATE, REWARDS, TERMINATED
from ..sources.held_out import split_key
from .clip_reader import ClipReader
from .reading import Reading

_MOST_BYTES = 2**30  # of the frames of an episode, which are read at once
_TICK = 1e-3  # of a step, that the start of a part may be off


def action_space_of(source: str, chosen: str = "auto") -> ActionSpace | None:
    """What the actions of a source mean.

    Args:
        source: a folder, a list or anything else that clips come from.
        chosen: "auto" for actions.json beside the list, if it is there; "none"; or a file.

    Raises:
        FileNotFoundError: if a file is given that is not there.
        ValueError: if the file says no such thing.
    """
    if chosen == "none":
        return None
    path = Path(chosen)
    if chosen == "auto":
        place = Path(source)
        if is_address(source) or not place.exists():
            return None
        path = (place if place.is_dir() else place.parent) / FILE
        if not path.is_file():
            return None
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} that says what the actions mean")
    try:
        return ActionSpace.from_json(parse_json(bounded_text(path), str(path)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class EpisodeSource:
    """Entries of a folder or list, each one episode; those without actions give none, with the reason.

    Args:
        clips: a format with actions; its height, width and rate are those of the episodes.
        entries: of which episodes are made.
        description: of the source, as shards keep it.

    Raises:
        ValueError: if the format has no actions, or no entry has any.
    """

    def __init__(self, clips: ClipFormat, entries: Sequence[Entry], description: dict[str, Any]):
        space = clips.action_space
        if space is None:
            raise ValueError("episodes need a format with actions")
        self.clips, self.space, self.entries = clips, space, entries
        source = str(description.get("source", ""))
        if not any(isinstance(entry.extra.get(ACTIONS), list) for entry in entries):
            raise ValueError(f"no clip of {source} has {ACTIONS}; expected a list of them with each clip")
        self.description = description | {"source": whole_path(source)}
        self.keys = [split_key(entry, source) for entry in entries]
        self.reader = ClipReader(clips.fps, clips.sample_rate if clips.has_audio else None, needs_sound=False)
        self._made_of = MadeOf(source)
        self._made_of_entries: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: int) -> Reading:
        entry = self.entries[number]
        try:
            if entry.problem:
                raise MediaError(f"{printable(entry.path)}: {entry.problem}")
            clip, codes = self._episode(entry)
        except (MediaError, FileNotFoundError) as error:
            return Reading(entry.name, problem=str(error), footage=Footage())
        except Exception as error:  # of this entry alone: a run of many goes on, and names it
            words = " ".join(str(error).split())
            said = words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}"
            return Reading(entry.name, problem=f"{printable(entry.path)}: {said}", footage=Footage())
        footage = Footage(1, 1, clip.seconds, clip.seconds, 0.0)
        extra = {name: value for name, value in entry.extra.items() if name not in EPISODE_KEYS}
        path = self.keys[number].path
        return Reading(entry.name, (clip,), entry.captions, extra, path=path, footage=footage, codes=codes)

    def name(self, number: int) -> str:
        return self.entries[number].name

    def made_of(self, number: int) -> str:
        """What an episode follows from: its file and all that its source says of it."""
        if number not in self._made_of_entries:
            self._made_of_entries[number] = self._made_of(self.entries[number])
        return self._made_of_entries[number]

    def weight(self, number: int) -> int:
        """How many clips an entry is expected to give."""
        return 1

    def geometry(self, number: int) -> None:
        return None

    def _episode(self, entry: Entry) -> tuple[Clip, dict[str, Tensor]]:
        """An episode in whole latents, with the codes of its actions and outcomes.

        Raises:
            MediaError, FileNotFoundError: if the film cannot be read.
            ValueError: if actions and frames do not fit each other, or an action is none of the space.
        """
        values, rate = entry.extra, self.space.rate
        actions = values.get(ACTIONS)
        if not isinstance(actions, list):
            raise ValueError(f"it has no {ACTIONS}")
        if values.get(RATE, rate) != rate:
            raise ValueError(f"it has {values[RATE]:g} actions per second; {FILE} says {rate:g}")
        most = _MOST_BYTES // (3 * self.clips.height * self.clips.width)
        clip = self.reader.part(entry, self.clips.height, self.clips.width, at_most=most + 1)
        if clip.num_frames > most:
            raise ValueError(f"it has more than {most} frames; cut it into parts by start and end")
        first = _first_step(entry, rate)
        steps = clip.num_frames - 1
        _check_length(len(actions) - first, clip.num_frames, is_part=entry.end is not None)
        stride = self.clips.temporal_stride
        late = steps % stride
        if steps - late < stride:
            raise ValueError(f"it has {clip.num_frames} frames; an episode has {1 + stride} or more")
        wanted = slice(first + late, first + steps)
        codes = {
            ACTIONS: self.space.encode(actions[wanted]),
            OUTCOME: self._outcomes(values, len(actions), wanted),
        }
        return clip.window(late, clip.num_frames - late), codes

    def _outcomes(self, values: dict[str, Any], steps: int, wanted: slice) -> Int64[Tensor, " steps"]:
        rewards = values.get(REWARDS)
        ended = values.get(TERMINATED)
        ends = ended if isinstance(ended, list) else [False] * (steps - 1) + [bool(ended)]
        given = np.zeros(steps) if rewards is None else rewards
        return self.space.encode_outcomes(given[wanted], np.array(ends, dtype=bool)[wanted])


def _first_step(entry: Entry, rate: float) -> int:
    """The number of the action that is taken at the first frame of an entry."""
    place = (entry.start or 0.0) * rate
    if abs(place - round(place)) > _TICK:
        raise ValueError(f"start is {entry.start:g} s, between two of {rate:g} actions per second")
    return round(place)


def _check_length(actions: int, frames: int, is_part: bool) -> None:
    """Raise a ValueError if there are not as many actions as frames, or one less; of a part may be more."""
    if actions < frames - 1 or (actions > frames and not is_part):
        raise ValueError(
            f"it has {frames} frames and {max(actions, 0)} actions; expected {frames - 1}, one from each "
            f"frame to the next, or {frames}"
        )
