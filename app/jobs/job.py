"""A job: what a clip is to be made of, and how far it is. Plain values, stored as JSON (job_store.py)."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ...data.media.clip import Clip
from ...data.runtime.typed_fields import check_fields, from_fields
from ...generation.prompt import Prompt
from ...lm.decoding.sampling import Sampling
from ...tasks.clip_size import SizeChoice
from ...tasks.masks import KINDS

# Media of a prompt, which stand beside the job.
MEDIA = ("image", "video", "audio", "mask")
# Jobs that run the model several times (workflows.py), named where others name a task.
LONG_VIDEO, CHAIN = "long_video", "chain"
WORKFLOWS = (LONG_VIDEO, CHAIN)
INPUT = "input"  # what the steps of a chain call the medium that came with it
# The fields of `Sampling` that a caller may set; how a pass is computed is the server's affair.
SAMPLING = (
    "temperature", "top_k", "top_p", "guidance_scale", "guidance_schedule", "repetition_penalty", "joint",
)  # fmt: skip
ID = re.compile(r"video_[0-9a-f]{32}")
MOST_LETTERS = 10_000  # of a text

Status = Literal["queued", "in_progress", "completed", "failed"]
FINISHED = ("completed", "failed")


@dataclass(frozen=True)
class JobRequest:
    """What a clip is made of. Nothing in it names a file.

    Args:
        task: name of one of the model's tasks, or of `WORKFLOWS`.
        text, negative: as of a `Prompt`.
        mask: name of a usual mask (`masks.KINDS`); a drawn one is among the media.
        media: of `MEDIA`, those that stand beside the job.
        aspect, num_frames, seconds: the wanted size, as `SizeChoice` has it.
        sampling: fields of `Sampling`.
        seed: of the clip.
        composite: put the known pixels of a painted video back.
        sound: false leaves the sound out; true has one made for a film without (video_to_audio).
        extends: the clip follows the given video, which the result begins with.
        upscale: make it 2 or 4 times as high and wide, by the model's stages of super-resolution.
        script: of a long video: {"text": …, "seconds": …} for each part; `seconds` are those of the whole.
        given, silent: of a long video, as of `LongPrompt`.
        steps: of a chain, as in the YAML of `videolm chain`, without files.

    Raises:
        ValueError: if a value is of another kind or out of its range.
    """

    task: str
    text: str | None = None
    negative: str | None = None
    mask: str | None = None
    media: tuple[str, ...] = ()
    aspect: str | None = None
    num_frames: int | None = None
    seconds: float | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    composite: bool = True
    sound: bool | None = None
    extends: bool = False
    upscale: Literal[2, 4] | None = None
    script: tuple[dict[str, Any], ...] = ()
    given: int | None = None
    silent: bool = False
    steps: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if unknown := sorted(set(self.media) - set(MEDIA)):
            raise ValueError(f"media are {', '.join(unknown)}; expected some of {', '.join(MEDIA)}")
        if self.mask is not None and self.mask not in KINDS:
            raise ValueError(f"mask is {self.mask[:40]!r}; expected one of {', '.join(KINDS)}")
        if self.task != LONG_VIDEO and (self.script or self.given is not None or self.silent):
            raise ValueError(f"script, given and silent are for the task {LONG_VIDEO}")
        if self.task != CHAIN and self.steps:
            raise ValueError(f"steps are for the task {CHAIN}")
        for name in ("text", "negative"):
            if len(getattr(self, name) or "") > MOST_LETTERS:
                raise ValueError(f"the {name} has more than {MOST_LETTERS:,} characters")
        self.drawn()

    def drawn(self) -> Sampling:
        """How codes are drawn."""
        return from_fields(Sampling, self.sampling, "sampling")

    @property
    def size(self) -> SizeChoice:
        return SizeChoice(self.aspect, self.num_frames, self.seconds)

    @property
    def texts(self) -> list[str]:
        """All that is to be seen, in words."""
        parts = [each.get("text") for each in (*self.script, *self.steps)]
        return [each for each in (self.text, *parts) if isinstance(each, str)]

    def prompt(self, media: Mapping[str, Clip]) -> Prompt:
        """The prompt, of the media that stand beside the job."""
        return Prompt(
            text=self.text,
            negative=self.negative,
            image=media.get("image"),
            video=media.get("video"),
            audio=media.get("audio"),
            mask=media.get("mask", self.mask),
            size=None if self.size == SizeChoice() else self.size,
        )


@dataclass(frozen=True)
class Job:
    """A request and how far it is.

    Args:
        id: video_ and 32 random hex digits: who does not know it cannot guess it.
        number: jobs are made in this order.
        owner: hex digits of the token that it belongs to; empty for all without tokens.
        height, width, num_frames, fps: of the clip; with `extends` the frames are all of the result.
        created_at, completed_at, expires_at: seconds since 1970.
        progress: 0 to 100.
        attempts: how often it was begun.
        code, error: why it failed, for programs and for people.
        notes: what was changed of the inputs or is not read, in words.
        remixed_from: id of the job that it varies.

    Raises:
        ValueError: if a value is of another kind.
    """

    id: str
    number: int
    owner: str
    height: int
    width: int
    num_frames: int
    fps: float
    created_at: float
    request: JobRequest
    status: Status = "queued"
    progress: int = 0
    attempts: int = 0
    completed_at: float | None = None
    expires_at: float | None = None
    code: str | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    remixed_from: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if not ID.fullmatch(self.id):
            raise ValueError(f"id is {self.id[:40]!r}; expected video_ and 32 hex digits")

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def company(self) -> tuple[Any, ...]:
        """Jobs for which this is the same may be made in one batch."""
        request = self.request
        if request.task in WORKFLOWS:
            return (self.id,)
        sampling = tuple(sorted(request.sampling.items()))
        size = (self.height, self.width) if request.extends else (self.height, self.width, self.num_frames)
        how = (request.composite, request.sound, request.extends, request.upscale)
        return request.task, size, sampling, *how

    @property
    def step_names(self) -> list[str]:
        """Of a chain: what its steps are called."""
        return [str(each.get("name", each.get("task"))) for each in self.request.steps]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any, name: str) -> "Job":
        """The inverse of `to_json`.

        Raises:
            ValueError: naming the field that is unknown or of another kind.
        """
        return from_fields(cls, values, name)


def new_id() -> str:
    return f"video_{secrets.token_hex(16)}"
