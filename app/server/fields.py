"""The fields of a request, JSON or a form, by the names of OpenAI's videos and of vLLM-Omni's additions."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from ...data.runtime.parsing import parse_json
from ...data.runtime.typed_fields import shown
from .errors import ApiError

# What each field is. `media` is a file, or an object with an address of it.
FIELDS: dict[str, str] = {
    "prompt": "text", "model": "text", "seconds": "number", "size": "text", "negative_prompt": "text",
    "num_frames": "whole", "fps": "number", "width": "whole", "height": "whole", "seed": "whole",
    "n": "whole",
    "guidance_scale": "number", "generate_sound": "bool", "extra_params": "object",
    "input_reference": "media", "image_reference": "media", "video_reference": "media",
    "audio_reference": "media", "source_video": "media", "source_audio": "media", "video_noise_mask": "media",
    "video": "media",
}  # fmt: skip
# Settings of diffusion, and of others' bookkeeping, which clients send always: named in the answer.
WITHOUT_MEANING = (
    "num_inference_steps", "guidance_scale_2", "true_cfg_scale", "boundary_ratio", "flow_shift",
    "vae_use_slicing", "vae_use_tiling", "user",
)  # fmt: skip
JSON_BYTES = 2**24
_MOST_FIELDS, _MOST_FILES = 64, 8
_NESTED = re.compile(r"(\w+)\[(\w+)\]")
_WHOLE = re.compile(r"[+-]?\d{1,25}")
_NUMBER = re.compile(r"[+-]?(\d{1,25}(\.\d{0,25})?|\.\d{1,25})([eE][+-]?\d{1,3})?")


@dataclass
class Fields:
    """What a request says.

    Args:
        values: texts, numbers, objects and, of media, an `UploadFile` or an object such as {"image_url": …}.
        ignored: names of fields that have no meaning here.
    """

    values: dict[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def text(self, name: str) -> str | None:
        """A text; an empty one is none."""
        return self.values.get(name) or None

    def allow(self, *names: str) -> None:
        """Refuse fields other than these."""
        if unknown := sorted(self.values.keys() - set(names)):
            raise ApiError(400, f"{unknown[0]} has no meaning here", "unknown_parameter", unknown[0])


async def read_fields(request: Request) -> Fields:
    """The fields of a request; the files of a form stay open until the request is answered.

    Raises:
        ApiError: if it is neither JSON nor a form, or a field is unknown or of another kind.
    """
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return _checked(await _of_form(request))
    if content == "application/json":
        return _checked(_of_json(await _bounded_body(request)))
    raise ApiError(415, "expected application/json or multipart/form-data", "unsupported_media_type")


def parsed_object(text: str, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ApiError: if it is something else.
    """
    try:
        value = parse_json(text, name)
    except ValueError as error:
        raise ApiError(400, " ".join(str(error).split())[:200], param=name) from None
    if not isinstance(value, dict):
        raise ApiError(400, f"{name} is {shown(value)}; expected an object", param=name)
    return value


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > JSON_BYTES:
            most = f"JSON of more than {JSON_BYTES:,} bytes; send files as multipart/form-data"
            raise ApiError(413, most, "request_too_large")
    return bytes(body)


def _of_json(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError(400, "the body is not UTF-8 text") from None
    return parsed_object(text, "the body")


async def _of_form(request: Request) -> dict[str, Any]:
    """The fields of a form, those in brackets as objects: input_reference[image_url]."""
    try:
        form = await request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=JSON_BYTES)
    except (KeyError, ValueError, AssertionError):  # of a header that the parser does not expect
        raise ApiError(400, "the form cannot be read") from None
    values: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
            raise ApiError(400, f"{_name(name)} is no text", param=_name(name))
        match = _NESTED.fullmatch(name)
        outer, inner = (match[1], match[2]) if match else (name, None)
        place, key = (values, outer) if inner is None else (values.setdefault(outer, {}), inner)
        if not isinstance(place, dict) or key in place:
            raise ApiError(400, f"{_name(outer)} stands there twice", param=_name(outer))
        place[key] = value
    return values


def _checked(values: Mapping[str, Any]) -> Fields:
    fields, ignored = Fields(), []
    for name, value in values.items():
        if name in WITHOUT_MEANING:
            ignored.append(name)
        elif name not in FIELDS:
            raise ApiError(400, f"there is no parameter {_name(name)}", "unknown_parameter", _name(name))
        elif value is not None:
            fields.values[name] = _of_kind(name, value, FIELDS[name])
    fields.values = {name: value for name, value in fields.values.items() if value is not None}
    fields.ignored = tuple(ignored)
    return fields


def _of_kind(name: str, value: Any, kind: str) -> Any:
    """A value as its field wants it; texts of forms are read as numbers and so on."""
    if kind == "media":
        return _medium(name, value)
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "object":
        return value if isinstance(value, dict) else parsed_object(_text(name, value, "an object"), name)
    if isinstance(value, str):
        return _of_text(name, value.strip(), kind)
    is_fit = {
        "bool": isinstance(value, bool),
        "whole": type(value) is int,
        "number": type(value) in (int, float) and abs(value) < 1e300,
    }
    if not is_fit.get(kind, False):
        raise ApiError(400, f"{name} is {shown(value)}; expected {_WORDS[kind]}", param=name)
    return float(value) if kind == "number" else value


_WORDS = {"text": "a text", "bool": "true or false", "whole": "a whole number", "number": "a number"}


def _of_text(name: str, text: str, kind: str) -> Any:
    if text in ("", "None", "null"):
        return None
    if kind == "bool" and text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    if kind == "whole" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text) and abs(float(text)) < 1e300:
        return float(text)
    raise ApiError(400, f"{name} is {shown(text)}; expected {_WORDS[kind]}", param=name)


def _medium(name: str, value: Any) -> Any:
    """A file, or an object that says where it is."""
    if isinstance(value, UploadFile):
        return value
    if isinstance(value, str):
        if not value:
            return None
        value = parsed_object(value, name)
    if not isinstance(value, dict) or len(value) != 1 or not isinstance(next(iter(value.values())), str):
        expected = 'a file or an object such as {"image_url": "data:…"}'
        raise ApiError(400, f"{name} is {shown(value)}; expected {expected}", param=name)
    return value


def _text(name: str, value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise ApiError(400, f"{name} is {shown(value)}; expected {expected}", param=name)
    return value


def _name(name: str) -> str:
    """The name of a field as a message may show it."""
    return json.dumps(name[:40])[1:-1]
