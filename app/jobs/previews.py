"""Frames of jobs while they are made, for who looks on: in memory, gone when the job is finished."""

import threading

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...data.media.clip import Clip


class Previews:
    """The frames so far of the jobs that somebody watches; others cost nothing."""

    def __init__(self) -> None:
        self._frames: dict[str, list[Tensor]] = {}
        self._guard = threading.Lock()

    def watch(self, name: str) -> None:
        """Keep the frames of a job from now on."""
        with self._guard:
            self._frames.setdefault(name, [])

    def forget(self, name: str) -> None:
        """Nobody watches a job any more."""
        with self._guard:
            self._frames.pop(name, None)

    def is_watched(self, name: str) -> bool:
        return name in self._frames

    def restart(self, name: str) -> None:
        """A job is made from its beginning."""
        with self._guard:
            if name in self._frames:
                self._frames[name] = []

    def add(self, name: str, clip: Clip) -> None:
        """The next frames of a job."""
        with self._guard:
            if name in self._frames:
                self._frames[name].append(clip.frames)

    def frames(self, name: str) -> UInt8[Tensor, "frames height width 3"] | None:
        """Those that are there; None if there are none yet."""
        with self._guard:
            found = list(self._frames.get(name, ()))
        return torch.cat(found) if found else None
