"""Jobs that run the model several times: videos longer than a clip, and chains of tasks.

Nothing in them names a file: what a step of a chain takes is an earlier step, or `input`, the one medium that
came with the request. Parts are kept beside the job, so that a restart goes on with them.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...data.runtime.typed_fields import from_fields
from ...generation.chain.chain import Step, check_chain, file_of, run_chain, shown
from ...generation.chain.chain_file import steps_of
from ...generation.long_video.long_video import LongPlan, LongPrompt, generate_long, plan_long
from ...generation.long_video.script import Line
from ...generation.pipeline import VideoLM
from ...tasks.clip_size import SizeChoice
from .job import CHAIN, INPUT, LONG_VIDEO, SAMPLING, WORKFLOWS, JobRequest

MOST_FRAMES = 1200  # of a long video
MOST_STEPS, MOST_LINES = 16, 256
# What requests of clips say that these have no use for.
_UNUSED = ("mask", "num_frames", "sound", "upscale", "extends")
_NAME = re.compile(r"[\w -]{1,60}", re.ASCII)
_TAKES = {LONG_VIDEO: ("image", "video"), CHAIN: ("image", "video", "audio")}

Report = Callable[[float], None]


def takes(task: str) -> tuple[str, ...]:
    """The media that a workflow may be given, one of them."""
    return _TAKES[task]


def check_long(model: VideoLM, request: JobRequest, media: Mapping[str, Clip]) -> LongPlan:
    """Check all of a long video that can be known before it is made.

    Raises:
        ValueError: saying what cannot be done.
    """
    _check_unused(request)
    planned = plan_long(model, long_prompt(request, media), request.drawn())
    if planned.num_frames > MOST_FRAMES:
        raise ValueError(
            f"the video has {planned.num_frames} frames ({planned.num_frames / planned.clips.fps:g} s); "
            f"at most {MOST_FRAMES} are made"
        )
    return planned


def long_prompt(request: JobRequest, media: Mapping[str, Clip]) -> LongPrompt:
    """What a long video is made of.

    Raises:
        ValueError: if a line of the script is none.
    """
    if len(request.script) > MOST_LINES:
        raise ValueError(f"the script has {len(request.script)} lines; at most {MOST_LINES} are taken")
    if request.script and request.text is not None:
        raise ValueError("give either a prompt or a script")
    lines = [from_fields(Line, each, f"line {at}") for at, each in enumerate(request.script, start=1)]
    if request.text is not None:
        lines = [Line(request.text)]
    return LongPrompt(
        lines,
        request.seconds,
        media.get("image"),
        media.get("video"),
        request.negative,
        request.given,
        request.silent,
        request.aspect,
    )


def chain_steps(request: JobRequest) -> list[Step]:
    """The steps of a chain.

    Raises:
        ValueError: if one is none, names a file or draws codes in a way that only the command line may.
    """
    _check_unused(request)
    if request.text is not None or request.negative is not None or request.seconds is not None:
        raise ValueError("the steps of a chain say their texts and lengths; leave out prompt and seconds")
    if len(request.steps) > MOST_STEPS:
        raise ValueError(f"the chain has {len(request.steps)} steps; at most {MOST_STEPS} are made")
    if len(request.media) > 1:
        given = " and ".join(request.media)
        raise ValueError(f"a chain is given {given}; expected one, which is called {INPUT}")
    common = {"seed": request.seed, "sampling": dict(request.sampling), "steps": list(request.steps)}
    common |= {} if request.aspect is None else {"aspect": request.aspect}
    given = (INPUT,) if request.media else ()
    steps = steps_of(common, "the chain", None, given)
    for step, values in zip(steps, request.steps, strict=True):
        if not _NAME.fullmatch(step.name):
            raise ValueError("a step has a name of other signs than letters, digits, - and _, or a long one")
        if unknown := sorted(set(values.get("sampling", {})) - set(SAMPLING)):
            found, known = unknown[0][:40], ", ".join(SAMPLING)
            raise ValueError(f"step {step.name} has sampling {found}; expected {known}")
    return steps


def check_steps(model: VideoLM, request: JobRequest) -> tuple[ClipFormat, int]:
    """Check all of a chain that can be known before it is made; the size and frames of its last result.

    Raises:
        ValueError: saying which step cannot be made.
    """
    steps = check_chain(model, chain_steps(request), (INPUT,) if request.media else ())
    task = model.config.task(steps[-1].task)
    clips = (steps[-1].size or SizeChoice()).of(model.config.formats, task)
    return clips, 1 if task.makes_image else clips.num_frames


def make_long(
    model: VideoLM, request: JobRequest, media: Mapping[str, Clip], parts: Path, report: Report
) -> Clip:
    """The video. Its windows are kept in `parts`, from which a restart goes on."""
    clip, _ = generate_long(
        model,
        long_prompt(request, media),
        seed=request.seed,
        sampling=request.drawn(),
        keep=parts,
        report=lambda done, of: report(done / of),
    )
    return clip


def make_chain(
    model: VideoLM, request: JobRequest, media: Mapping[str, Clip], parts: Path, report: Report
) -> tuple[Clip, dict[str, Path]]:
    """The last result, and files in `parts` that show all of them, by the names of their steps."""
    steps = chain_steps(request)
    given: dict[str, Clip] = dict(zip([INPUT], media.values(), strict=False))
    parts.mkdir(exist_ok=True)
    clips = run_chain(
        model, steps, given=given, keep=parts, report=lambda done, name: report(done / len(steps))
    )
    files = {name: shown(file_of(parts, steps, name), clip) for name, clip in clips.items()}
    return clips[steps[-1].name], files


def _check_unused(request: JobRequest) -> None:
    assert request.task in WORKFLOWS
    usual = JobRequest(request.task)
    for name in _UNUSED:
        if getattr(request, name) != getattr(usual, name):
            raise ValueError(f"task {request.task} has no use for {name}")
