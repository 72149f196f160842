"""Tiny films of one colour, written once, and what is needed to tell them apart again."""

import io
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.sources.entry import Entry

COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230), "yellow": (230, 230, 20)}


@cache
def colour_film(colour: str, suffix: str = ".mp4", num_frames: int = 4, fps: float = 8.0) -> bytes:
    """A film of a colour, 16x16, as it stands in a file."""
    frames = torch.tensor(COLOURS[colour], dtype=torch.uint8).expand(num_frames, 16, 16, 3).contiguous()
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_clip(Clip(frames, fps), path)
        return path.read_bytes()


def write_films(folder: Path, names: Iterable[str] = tuple(f"{name}.mp4" for name in COLOURS)) -> Path:
    """Films in a folder; each has the colour that its name holds, or else the next one."""
    for number, name in enumerate(names):
        colour = next((each for each in COLOURS if each in name), list(COLOURS)[number % len(COLOURS)])
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(colour_film(colour))
    return folder


def colour_of(entry: Entry) -> str:
    """The colour of a clip, read from its file."""
    mean = read_clip(entry.media, start=entry.start or 0.0, num_frames=1).frames.float().mean((0, 1, 2))
    return min(COLOURS, key=lambda name: float((mean - torch.tensor(COLOURS[name])).abs().sum()))


def write_tar(path: Path, members: Iterable[tuple[str, bytes] | tarfile.TarInfo], mode: str = "w") -> Path:
    """A tar with members in their order; mode is that of `tarfile.open`."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return path
