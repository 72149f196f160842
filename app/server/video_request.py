"""What a request asks the model for: fields and media to a job that can be made."""

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from ...data.media.clip import Clip
from ...data.runtime.typed_fields import from_fields, shown
from ...generation.seeds import seed_of
from ...tasks.masks import KINDS
from ..jobs.admission import Admission, Admitted
from ..jobs.intake import Intake, Unreadable, Upload, mask_of_json
from ..jobs.job import SAMPLING, WORKFLOWS, JobRequest
from .errors import ApiError
from .fields import Fields
from .sources import Source, received

CREATE = (
    "prompt", "model", "seconds", "size", "negative_prompt", "num_frames", "fps", "width", "height", "seed",
    "n", "guidance_scale", "generate_sound", "extra_params", "input_reference", "image_reference",
    "video_reference", "audio_reference", "source_video", "source_audio", "video_noise_mask",
)  # fmt: skip
OF_VIDEO = (
    "prompt", "model", "video", "seconds", "negative_prompt", "seed", "guidance_scale", "generate_sound",
    "extra_params", "video_noise_mask",
)  # fmt: skip
_SAMPLING = tuple(name for name in SAMPLING if name != "guidance_scale")
_OF_WORKFLOWS = ("script", "given", "silent", "steps")
_EXTRA = (*_SAMPLING, "task", "mask", "aspect", "composite", "upscale", *_OF_WORKFLOWS)
EDIT, EXTENSION = "inpainting", ("audio_video_continuation", "frame_prediction")
_EDIT_MASK = "box"
_MOST_TOLD = 500  # characters of a message, which may show what came
_NO_MASK = "no mask is given: a box in the middle is painted (extra_params.mask)"


@dataclass(frozen=True)
class Ready:
    """A job that can be submitted."""

    request: JobRequest
    admitted: Admitted
    media: Mapping[str, Clip]
    notes: tuple[str, ...] = field(default=())


class RequestReader:
    """Reads requests for one model.

    Args:
        name: that the model is served by; another one is refused.
    """

    def __init__(self, admission: Admission, intake: Intake, name: str):
        self.admission, self.intake, self.name = admission, intake, name

    def check_model(self, fields: Fields) -> None:
        """Raise an ApiError if another model is asked for."""
        model = fields.text("model")
        if model not in (None, self.name):
            message = f"there is no model {shown(model)}; this server has {self.name}"
            raise ApiError(404, message, "model_not_found", "model")

    def read(self, fields: Fields, sources: list[Source], purpose: str = "create") -> Ready:
        """A request that is checked, with its media read.

        Args:
            purpose: create, edit or extension.

        Raises:
            ApiError: if something of it cannot be used.
            Unreadable: if a file cannot be read.
        """
        try:
            with ExitStack() as stack:
                return self._read(fields, received(self.intake, sources, stack), purpose)
        except Unreadable:
            raise
        except ValueError as error:
            told = (str(error).splitlines() or ["the request cannot be used"])[0]
            raise ApiError(400, told[:_MOST_TOLD]) from None

    def _read(self, fields: Fields, uploads: dict[str, Upload], purpose: str) -> Ready:
        extra = _extra(fields)
        wanted, notes = self._wanted(fields, extra, tuple(uploads), purpose)
        clips = self.admission.clips(wanted)
        fps = fields.values.get("fps")
        if fps is not None and fps != clips.fps:
            message = f"fps is {fps:g}; this model makes {clips.fps:g} frames a second"
            raise ApiError(400, message, param="fps")
        media, said = {}, list(notes)
        if wanted.size.ratio is not None:
            said.append(f"of the model's sizes {clips.width}x{clips.height} is nearest to {wanted.aspect}")
        for role, upload in uploads.items():
            media[role], changes = self._medium(role, upload, wanted)
            said += changes
        wanted = self._with_sound(wanted, extra, media)
        admitted = self.admission.check(wanted, media)
        return Ready(wanted, admitted, media, (*said, *admitted.notes))

    def _wanted(
        self, fields: Fields, extra: Mapping[str, Any], roles: tuple[str, ...], purpose: str
    ) -> tuple[JobRequest, tuple[str, ...]]:
        """The request as it is asked for, with what is to be said of it."""
        if fields.values.get("n") not in (None, 1):
            raise ApiError(400, "n is more than 1; ask several times, with other seeds", param="n")
        mask, notes = extra.get("mask"), ()
        if mask is not None and "mask" in roles:
            raise ApiError(400, "give a drawn mask or the name of one", param="video_noise_mask")
        if purpose == "edit" and "mask" not in roles and mask is None:
            mask, notes = _EDIT_MASK, (_NO_MASK,)
        sampling = {name: extra[name] for name in _SAMPLING if name in extra}
        if (scale := fields.values.get("guidance_scale")) is not None:
            sampling["guidance_scale"] = scale
        given = (*roles, *(("mask",) if mask is not None else ()))
        task = self._task(extra.get("task"), fields.text("prompt"), given, purpose)
        seed = fields.values.get("seed")
        values = {
            "task": task,
            "text": fields.text("prompt"),
            "negative": fields.text("negative_prompt"),
            "mask": mask,
            "media": list(roles),
            "aspect": _aspect(fields, extra),
            "num_frames": fields.values.get("num_frames"),
            "seconds": fields.values.get("seconds"),
            "sampling": sampling,
            "seed": seed_of(seed) if seed is not None else secrets.randbelow(2**32),
            "composite": extra.get("composite", True),
            "sound": fields.values.get("generate_sound"),
            "extends": purpose == "extension",
            "upscale": extra.get("upscale"),
        }
        values |= {name: extra[name] for name in _OF_WORKFLOWS if name in extra}
        if fields.ignored:
            notes = (*notes, f"without meaning for this model: {', '.join(fields.ignored)}")
        return from_fields(JobRequest, values, "the request"), notes

    def _task(self, named: Any, prompt: str | None, given: tuple[str, ...], purpose: str) -> str:
        """The task that is named, else the one that the inputs are for."""
        tasks = self.admission.model.config.tasks
        if purpose == "create" and named in WORKFLOWS:
            return named
        if named is not None:
            if named not in tasks:
                message = f"task is {shown(named)}; this model has {', '.join(tasks)}"
                raise ApiError(400, message, param="extra_params")
            return named
        usual = _usual_tasks(prompt, frozenset(given), purpose)
        if found := next((task for task in usual if task in tasks), None):
            return found
        if purpose != "create":
            message = f"{purpose}s need the task {' or '.join(usual)}, which this model was not trained on"
            raise ApiError(501, message, "not_implemented")
        if not usual:
            raise ApiError(400, "prompt is missing", "missing_parameter", "prompt")
        message = f"these inputs are for {usual[0]}, which this model was not trained on"
        raise ApiError(400, f"{message}; it has {', '.join(tasks)} (extra_params.task)")

    def _medium(self, role: str, upload: Upload, wanted: JobRequest) -> tuple[Clip, tuple[str, ...]]:
        clips = self.admission.clips(wanted)
        try:
            reading = self.admission.reading(role, wanted)
        except ValueError:
            message = f"task {wanted.task} has no use for {upload.field}"
            raise ApiError(400, message, param=upload.field) from None
        if role == "mask" and (data := _json_mask(upload)) is not None:
            return mask_of_json(data, clips), ()
        return self.intake.read(upload, reading, clips)

    def _with_sound(
        self, wanted: JobRequest, extra: Mapping[str, Any], media: Mapping[str, Clip]
    ) -> JobRequest:
        """A continuation without its sound if the video has none, as far as that was not said."""
        is_open = extra.get("task") is None and wanted.task == EXTENSION[0]
        if is_open and media["video"].waveform is None and EXTENSION[1] in self.admission.model.config.tasks:
            return replace(wanted, task=EXTENSION[1])
        return wanted


def _usual_tasks(prompt: str | None, given: frozenset[str], purpose: str) -> tuple[str, ...]:
    """What inputs are for, the likeliest first; nothing if nothing is given."""
    if purpose == "edit":
        return (EDIT,)
    if purpose == "extension":
        return EXTENSION
    if "mask" in given:
        return (EDIT, "outpainting")
    if {"image", "video"} <= given:
        return ("stylization_with_image",)
    if "video" in given:
        return EXTENSION
    if "audio" in given:
        return ("audio_to_video",)
    if "image" in given:
        return ("image_to_video",)
    return ("text_to_video", "text_to_image") if prompt else ()


def _extra(fields: Fields) -> dict[str, Any]:
    given = fields.values.get("extra_params", {})
    extra = {name: value for name, value in given.items() if value is not None}
    for name in extra:
        if name not in _EXTRA:
            message = f"extra_params has {shown(name)}; expected some of {', '.join(_EXTRA)}"
            raise ApiError(400, message, "unknown_parameter", "extra_params")
    if not isinstance(extra.get("aspect", ""), str):
        raise ApiError(400, f"aspect is {shown(extra['aspect'])}; expected a text", param="extra_params")
    if "mask" in extra and not (isinstance(extra["mask"], str) and extra["mask"] in KINDS):
        message = f"mask is {shown(extra['mask'])}; expected one of {', '.join(KINDS)}"
        raise ApiError(400, message, param="extra_params")
    return extra


def _aspect(fields: Fields, extra: Mapping[str, Any]) -> str | None:
    """The wanted size as HEIGHTxWIDTH, from WIDTHxHEIGHT, or the aspect ratio."""
    size, sides = fields.text("size"), (fields.values.get("width"), fields.values.get("height"))
    if size is not None:
        width, _, height = size.partition("x")
        if not (_is_side(width) and _is_side(height)):
            raise ApiError(400, f"size is {shown(size)}; expected WIDTHxHEIGHT", param="size")
        if sides != (None, None) and sides != (int(width), int(height)):
            raise ApiError(400, "size says another size than width and height", param="size")
        return f"{int(height)}x{int(width)}"
    if sides == (None, None):
        return extra.get("aspect")
    if None in sides or not all(_is_side(str(side)) for side in sides):
        raise ApiError(400, "expected width and height, both positive, or neither", param="width")
    return f"{sides[1]}x{sides[0]}"


def _is_side(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6 and int(text) > 0


def _json_mask(upload: Upload) -> bytes | None:
    """The content of a mask if it is JSON; it is a picture or a film otherwise."""
    with upload.path.open("rb") as file:
        first = file.read(64).lstrip()[:1]
    return upload.path.read_bytes() if first and first in b"[0123456789" else None
