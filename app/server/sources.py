"""The media of a request: where each comes from, and what it is of the prompt."""

import base64
import binascii
import re
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile

from ..jobs.intake import Intake, Upload
from .errors import ApiError
from .fetching import fetch
from .fields import Fields

# Field of a request -> what it is of the prompt; None for what its content says.
ROLES = {
    "input_reference": None, "image_reference": "image", "video_reference": "video",
    "audio_reference": "audio", "source_video": "video", "source_audio": "audio", "video": "video",
    "video_noise_mask": "mask",
}  # fmt: skip
ROLE_OF_KIND = {"image": "image", "video": "video", "sound": "audio"}
_URLS = ("image_url", "video_url", "audio_url")
_DATA = re.compile(r"data:[\w.+-]{1,60}/[\w.+-]{1,60}(?:;[\w.+=\"-]{1,60})*;base64,", re.ASCII)


@dataclass(frozen=True)
class Source:
    """A medium that has not been looked at.

    Args:
        field: of the request.
        content: the file, or one that is being received, or the place of a result of this server.
    """

    field: str
    content: bytes | UploadFile | Path

    def write(self, upload: Upload) -> None:
        """Put the file where it is read."""
        if isinstance(self.content, bytes):
            upload.path.write_bytes(self.content)
        elif isinstance(self.content, Path):
            try:
                shutil.copyfile(self.content, upload.path)
            except FileNotFoundError:
                raise ApiError(404, "there is no such video", "video_not_found", self.field) from None
        else:
            with upload.path.open("wb") as file:
                shutil.copyfileobj(self.content.file, file)


async def sources_of(fields: Fields, allow_fetch: bool, most_bytes: int) -> list[Source]:
    """The media of a request, but for earlier results, which its route looks up.

    Raises:
        ApiError: if one is given in a way that is not taken.
    """
    found = []
    for name in ROLES:
        value = fields.values.get(name)
        if isinstance(value, UploadFile):
            found.append(Source(name, value))
        elif value is not None and "id" not in value:
            found.append(Source(name, await _content(name, value, allow_fetch, most_bytes)))
    return found


async def _content(name: str, value: Mapping[str, Any], allow_fetch: bool, most_bytes: int) -> bytes:
    ((kind, text),) = value.items()
    if kind == "file_id":
        raise ApiError(400, f"{name}: there are no stored files here; send the file", param=name)
    if kind not in _URLS:
        raise ApiError(400, f"{name} names no {', '.join(_URLS)}", param=name)
    if text.startswith("data:"):
        return _data(name, text)
    if not allow_fetch:
        raise ApiError(400, f"{name}: only data: URLs are taken (--allow-fetch)", "invalid_media", name)
    return await fetch(text, name, most_bytes)


def _data(name: str, text: str) -> bytes:
    match = _DATA.match(text)
    if match is None:
        raise ApiError(400, f"{name}: expected data:TYPE/SUBTYPE;base64,…", "invalid_media", name)
    try:
        return base64.b64decode(text[match.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, f"{name}: its data is not base64", "invalid_media", name) from None


def received(intake: Intake, sources: list[Source], stack: ExitStack) -> dict[str, Upload]:
    """The uploads by what they are of the prompt; they are there as long as the stack is open.

    Raises:
        ApiError: if two are the same.
        Unreadable: if one that may be anything is no media file.
    """
    uploads: dict[str, Upload] = {}
    for source in sources:
        upload = stack.enter_context(intake.place(source.field))
        source.write(upload)
        role = ROLES[source.field] or ROLE_OF_KIND[intake.kind(upload)]
        if role in uploads:
            raise ApiError(400, f"{source.field} and {uploads[role].field} are both the {role}")
        uploads[role] = upload
    return uploads
