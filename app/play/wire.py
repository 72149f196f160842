"""What goes over the WebSocket of play.

A player sends objects in JSON:

    {"do": "reset", "seed": 7}
    {"do": "act", "action": [2]}            a code for each dimension
    {"do": "save"}
    {"do": "open", "name": "episode-000000"}

The server answers each with one message. Pictures are binary: four bytes with the length of a header
(little-endian), the header in JSON, then the bytes of all frames, RGB, those of the dream first:

    {"event": "begun" | "acted", "seed": 7, "size": [48, 48],
     "dream": {"frames": 1, "steps": 3, "reward": 0, "total": 0, "pending": 0, "end": ""}, "real": … | null}

All others are text: {"event": "hello", …} first, then "saved", "opened" and "refused", which has a message.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from ...data.runtime.parsing import parse_json
from ...data.runtime.typed_fields import from_fields, shown
from .game import Seen, Side

MOST_BYTES = 4096  # of a player's message


@dataclass(frozen=True)
class Reset:
    """Begin an episode."""

    seed: int


@dataclass(frozen=True)
class Act:
    """Take an action, by the codes of its dimensions."""

    action: tuple[int, ...]


@dataclass(frozen=True)
class Save:
    """Keep what was played."""


@dataclass(frozen=True)
class Open:
    """Ask for a game that was kept."""

    name: str


Wish = Reset | Act | Save | Open
_WISHES: dict[str, type[Wish]] = {"reset": Reset, "act": Act, "save": Save, "open": Open}


def read_wish(text: str) -> Wish:
    """What a player's message asks for.

    Raises:
        ValueError: if it is none of the above, in one line.
    """
    values = parse_json(text, "the message")
    if not isinstance(values, dict):
        raise ValueError(f"the message is {shown(values)}; expected an object")
    word = values.pop("do", None)
    if not isinstance(word, str) or word not in _WISHES:
        raise ValueError(f"do is {shown(word)}; expected one of {', '.join(_WISHES)}")
    return from_fields(_WISHES[word], values, "the message")


def pictures(event: Literal["begun", "acted"], seed: int, seen: Seen) -> bytes:
    """A binary message."""
    sides = {"dream": seen.dream, "real": seen.real}
    height, width = seen.dream.frames.shape[1:3]
    header: dict[str, Any] = {"event": event, "seed": seed, "size": [height, width]}
    header |= {name: None if side is None else _told(side) for name, side in sides.items()}
    told = json.dumps(header).encode()
    frames = [side.frames.contiguous().numpy().tobytes() for side in sides.values() if side is not None]
    return b"".join((struct.pack("<I", len(told)), told, *frames))


def read_pictures(message: bytes) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header of a binary message and the frames of each side, (frames height width 3)."""
    (length,) = struct.unpack_from("<I", message)
    header, begin, frames = json.loads(message[4 : 4 + length]), 4 + length, {}
    height, width = header["size"]
    for name in ("dream", "real"):
        if header[name] is not None:
            shape = (header[name]["frames"], height, width, 3)
            end = begin + shape[0] * height * width * 3
            pixels = np.frombuffer(message[begin:end], np.uint8).reshape(shape)
            frames[name] = torch.from_numpy(pixels.copy())
            begin = end
    return header, frames


def _told(side: Side) -> dict[str, Any]:
    numbers = {name: value for name, value in vars(side).items() if name != "frames"}
    return {"frames": len(side.frames)} | numbers
