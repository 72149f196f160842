"""Uploads: files of strangers, read in processes that are killed when one hangs or crashes them.

    intake = Intake(store.uploads)
    with intake.received(data, "input_reference") as upload:      # or a path that it was written to
        kind = intake.kind(upload)                                # image, video or sound
        clip, notes = intake.read(upload, "video", clips)

A worker reads a file as `generate` would, straight to the size of the clip, so that what is kept is small.
"""

import json
import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import Any, Literal

import numpy as np
import torch

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...data.media.clip_tensors import put_together, take_apart
from ...data.media.framing import inscribed_size
from ...data.media.probe import probe_header
from ...data.runtime.files import read_json
from ...data.runtime.notes import Note
from ...data.runtime.parsing import parse_json
from ...data.runtime.workers import Lost, Worker
from ...generation.prompt import fitted, fitted_image, fitted_sound, fitted_video
from ...generation.prompt_medium import Medium
from ...tasks.task import Task

# How a file is read: `start` as long as a clip; `whole` up to its end, to go on from there; `shown` in its
# own shape, to be painted around; `mask` pictures that are white where to paint; `kind` only looked at.
Reading = Literal["kind", "image", "start", "whole", "shown", "sound", "mask"]

_SECONDS = 30.0  # that a file may take
_MOST_FRAMES = 1200  # of a video that is gone on from
_MASK_BYTES = 2**23
_ORDER = "order.json"


class Unreadable(ValueError):
    """An upload that cannot be used: one line with the field's name and the reason."""


@dataclass(frozen=True)
class Upload:
    """A file that was received.

    Args:
        number: of its folder.
        field: of the request, for messages.
        path: where it is.
    """

    number: int
    field: str
    path: Path


class Intake:
    """Receives files and reads them.

    Args:
        folder: of nothing else.
        num_workers: processes that read; they start when they are needed.
    """

    def __init__(self, folder: Path, num_workers: int = 2, seconds: float = _SECONDS):
        self.folder = folder
        self._numbers, self._guard = 0, threading.Lock()
        self._workers = [Worker(_ReadUpload(folder), seconds) for _ in range(num_workers)]
        self._idle: LifoQueue[Worker] = LifoQueue()  # the one that was last at work is warm
        for worker in self._workers:
            self._idle.put(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
            worker.close()

    @contextmanager
    def place(self, field: str) -> Iterator[Upload]:
        """A path to write a file to; it is removed with the block."""
        with self._guard:
            self._numbers += 1
            number = self._numbers
        folder = self.folder / str(number)
        folder.mkdir()
        try:
            yield Upload(number, field, folder / "upload")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def kind(self, upload: Upload) -> str:
        """What a file is: image, video or sound.

        Raises:
            Unreadable: if it is no media file, or its reader had to be killed.
        """
        return self._answer(upload, {"reading": "kind"})["kind"]

    def read(self, upload: Upload, reading: Reading, clips: ClipFormat) -> tuple[Clip, tuple[str, ...]]:
        """A medium at the size of a clip, and what was changed to make it so, in words.

        Raises:
            Unreadable: if it cannot be read as that.
        """
        answer = self._answer(upload, {"reading": reading, "clips": clips.to_json()})
        tensors = {name: torch.from_numpy(array) for name, array in answer["tensors"].items()}
        return put_together(tensors, answer["values"]), tuple(answer["notes"])

    def _answer(self, upload: Upload, order: dict[str, Any]) -> dict[str, Any]:
        upload.path.with_name(_ORDER).write_text(json.dumps(order))
        worker = self._idle.get()
        try:
            answer = worker(upload.number)
        finally:
            self._idle.put(worker)
        if isinstance(answer, Lost):
            raise Unreadable(f"{upload.field}: {answer.reason}")
        if "problem" in answer:
            raise Unreadable(answer["problem"].replace(str(upload.path), upload.field))
        return answer


def reading_of(role: str, task: Task, aspect: str | None) -> Reading:
    """How a medium of a prompt is read.

    Args:
        role: image, video, audio or mask.
        aspect: that is wanted of the clip.
    """
    if role == "video":
        if task.has_given:
            return "whole"
        return "shown" if task.widens and aspect is not None else "start"
    return {"image": "image", "audio": "sound", "mask": "mask"}[role]  # type: ignore[return-value]


class _ReadUpload:
    """Runs in a worker: reads the upload of a number as its order says."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, number: int) -> dict[str, Any]:
        path = self.folder / str(number) / "upload"
        order = read_json(path.with_name(_ORDER))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", Note)
            try:
                if order["reading"] == "kind":
                    return {"kind": probe_header(path).kind}
                clip = _read(path, order["reading"], ClipFormat.from_json(order["clips"]))
            except (ValueError, OSError) as error:
                return {"problem": str(error).splitlines()[0]}
        tensors, values = take_apart(clip)
        said = [str(each.message) for each in caught if issubclass(each.category, Note)]
        notes = [message.replace(str(path), "it") for message in said]
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return {"tensors": arrays, "values": values, "notes": notes}


def _read(path: Path, reading: Reading, clips: ClipFormat) -> Clip:
    if reading == "image":
        return fitted_image(path, clips)
    if reading == "sound":
        return fitted_sound(path, clips)
    if reading == "start":
        return fitted_video(path, clips, clips.num_frames)
    if reading == "whole":
        num_frames = Medium.of(path, clips.fps).num_frames
        if num_frames > _MOST_FRAMES:
            raise ValueError(f"the video has {num_frames} frames; at most {_MOST_FRAMES} can be gone on from")
        clip = fitted(path, clips)
        return clip.window(0, min(clip.num_frames, _MOST_FRAMES))
    medium = Medium.of(path, clips.fps)
    if reading == "shown":
        size = inscribed_size(medium.info.height, medium.info.width, clips.height, clips.width)
        return medium.read(0, clips.num_frames, size, sound=True)
    return medium.read(0, clips.num_frames, (clips.height, clips.width))


def mask_of_json(data: bytes, clips: ClipFormat) -> Clip:
    """A mask as vLLM-Omni has it: JSON numbers, 0 to keep and 1 to paint, [height][width] for all frames or
    [frames][height][width], of any size.

    Raises:
        ValueError: if it is something else; a share between 0 and 1 cannot be painted.
    """
    if len(data) > _MASK_BYTES:
        raise ValueError(f"the mask has more than the {_MASK_BYTES:,} bytes that are read of it")
    try:
        values = parse_json(data.decode(), "the mask")
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("the mask is neither JSON numbers of one shape nor a picture") from error
    if array.ndim not in (2, 3) or not array.size or not np.isin(array, (0.0, 1.0)).all():
        shape = "x".join(map(str, array.shape)) or "one number"
        raise ValueError(
            f"the mask is {shape}; expected 0 (keep) and 1 (paint) as [height][width] or "
            "[frames][height][width]"
        )
    mask = torch.from_numpy(array).float().reshape(1, 1, *([1] * (3 - array.ndim)), *array.shape)
    size = (min(mask.shape[2], clips.num_frames), clips.height, clips.width)
    painted = torch.nn.functional.interpolate(mask[:, :, : size[0]], size, mode="nearest")[0, 0]
    frames = (painted * 255).to(torch.uint8)[..., None].expand(-1, -1, -1, 3).contiguous()
    return Clip(frames, clips.fps)
