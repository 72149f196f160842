"""Videos longer than a clip, made window by window: `videolm long-video`.

    | a clip                          |
                      | given frames  | new frames    |
                                      | given frames  | new frames    |

The last 1 + 4k frames made so far are encoded as the beginning of a new clip, and the model generates the
rest of it (Kondratyuk et al. 2024, arXiv:2312.14125, figure 5). Pixels are handed over and not codes: the
first latent of a clip codes one frame, those in the middle code four.

    prompt = LongPrompt([Line("a red square spins")], seconds=10)
    clip, report = generate_long(VideoLM.from_pretrained("runs/demo/model"), prompt)
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip, write_clip
from ...data.runtime.checksums import file_hash
from ...data.runtime.files import write_json
from ...data.runtime.made_with import whole_path
from ...data.runtime.model_source import source_name
from ...data.runtime.notes import notify
from ...data.runtime.one_writer import only_writer
from ...data.runtime.progress import progress
from ...lm.decoding.sampling import DrawSettings, Sampling
from ...tasks.clip_size import SizeChoice
from ...tasks.task import load_task
from ..best_of import Fit, fit_of
from ..clip_cache import SUFFIX, cached_or_made
from ..notes import notes
from ..pipeline import VideoLM
from ..prompt import Given, fitted
from ..run_request import claim_folder
from ..seeds import Seed, seed_of
from .crossfade import PictureJoin, SoundJoin
from .script import Line, Segment, plan
from .timeline import Timeline
from .windows import TASKS, WindowMaker, given_frames_of, sound_of

Report = Callable[[float, int], None]


@dataclass(frozen=True, eq=False)
class LongPrompt:
    """What a long video is made of; files are given by their path.

    It begins with the video, or with what the model makes of the image, of the first line's text, or of
    nothing.

    Args:
        lines: what is to be seen when; the last holds until the end.
        seconds: of the whole; None is as long as the lines.
        image: the first frame.
        video: what to go on from, all of whose frames are kept.
        negative: what is not to be seen.
        given: frames, 1 + a multiple of the stride, that every window is given: more join more steadily,
            fewer are faster. None is about half of a clip.
        silent: make no sound, whatever the model can.
        aspect: of the frames, as `SizeChoice` takes it; that of the model's default size if not given.
    """

    lines: Sequence[Line] = ()
    seconds: float | None = None
    image: Given | None = None
    video: Given | None = None
    negative: str | None = None
    given: int | None = None
    silent: bool = False
    aspect: str | None = None

    def __post_init__(self) -> None:
        if self.image is not None and self.video is not None:
            raise ValueError("give either an image or a video to begin with")


@dataclass(frozen=True, eq=False)
class LongPlan:
    """A long video that can be made.

    Args:
        clips: the size of its windows.
        start: the video that it begins with.
        given: frames that a window is given.
        num_frames: of the whole.
    """

    clips: ClipFormat
    start: Clip | None
    maker: WindowMaker
    given: int
    segments: Sequence[Segment]
    num_frames: int


def plan_long(
    model: VideoLM,
    prompt: LongPrompt,
    sampling: Sampling | None = None,
    best_of: int = 1,
    fit: Fit | None = None,
) -> LongPlan:
    """Check a long video, before any of it is made.

    Args, errors: as `generate_long`.
    """
    clips = SizeChoice(prompt.aspect).of(model.config.formats, load_task("frame_prediction"))
    start = None if prompt.video is None else fitted(prompt.video, clips)
    sound = sound_of(model, start, prompt.silent)
    if sound == "none" and not prompt.silent and start is not None and start.waveform is not None:
        notify("this model cannot go on with the video's sound; the result is silent")
    maker = WindowMaker(
        model, clips, prompt.image, prompt.negative, sampling or Sampling(), sound, best_of, fit
    )
    given = given_frames_of(model, clips, prompt.given)
    first = 0 if start is None else start.num_frames
    segments, total = plan(prompt.lines, clips, given=given, seconds=prompt.seconds, first=first)
    maker.check(segments)
    return LongPlan(clips, start, maker, given, segments, total)


def generate_long(
    model: VideoLM,
    prompt: LongPrompt,
    *,
    seed: Seed = 0,
    sampling: Sampling | None = None,
    best_of: int = 1,
    fit: Fit | None = None,
    keep: Path | None = None,
    report: Report | None = None,
) -> tuple[Clip, dict[str, Any]]:
    """A video of any length, and how it was made: its segments, their seeds, how well they join.

    Args:
        seed: of the first try of the first segment; the next has the next.
        best_of: tries of each segment, of which the one is kept that fits its text best. An error that is not
            kept is not gone on from, either.
        fit: judges several tries.
        keep: folder in which each window is kept as soon as it is made, and from which a stopped run goes on.
        report: called with the segments that are done, counting parts, and those in all.

    Raises:
        ValueError: if the model lacks a task or size that this takes, or an input does not fit.
    """
    planned = plan_long(model, prompt, sampling, best_of, fit)
    clips, start, maker = planned.clips, planned.start, planned.maker
    segments, total, sound = planned.segments, planned.num_frames, maker.sound
    seed = seed_of(seed, len(segments) * best_of)
    made = Timeline(clips, total + clips.num_frames, sound != "none")
    if start is not None:
        made.begin(start)
    rows = []
    for segment in segments:
        tail = made.tail(segment.given) if segment.given else None
        tell = partial(_tell, report, segment.number, len(segments))
        first_seed = seed + segment.number * best_of
        make = partial(maker.window, segment, tail, first_seed, tell)
        path = keep and keep / f"{segment.number:04d}{SUFFIX}"
        window = cached_or_made(path, make, maker.made_of(segment, tail, first_seed) if path else "")
        joins = made.join(window, segment.given, align=sound == "of each window")
        rows.append(_row(segment, maker.task(segment), first_seed, clips.fps, *joins))
        tell(1)
    about = {"seconds": total / clips.fps, "frames": total, "given_frames": planned.given, "sound": sound}
    drawn = {task: asdict(how) for segment in segments for task, how in maker.settings(segment).items()}
    how = {"sampling": drawn, "best_of": best_of, "segments": rows}
    return made.clip(total), about | how


def write_long(
    folder: Path,
    prompt: LongPrompt,
    out: Path,
    *,
    seed: int = 0,
    sampling: Sampling | None = None,
    best_of: int = 1,
    judge: str = "describe",
) -> list[Path]:
    """Make a long video with the model of a folder; returns the paths of the video and its report.

    Args:
        out: folder for video.mp4, report.json and, as they are made, the windows in segments/.
        best_of, judge: as in `run_request.Results`.

    Raises:
        FileNotFoundError: if the model or an input is missing.
        ValueError: as `generate_long`, and if `out` holds another video.
    """
    sampling = sampling or Sampling()
    if out.suffix:
        raise ValueError(f"--out is {out}; expected a folder, for video.mp4, report.json and segments/")
    asked: dict[str, Any] = {"prompt": _as_json(prompt), "model": source_name(folder), "seed": seed}
    if best_of > 1:
        asked |= {"best_of": best_of, "judge": judge}
    fit = fit_of(judge) if best_of > 1 else None
    model = VideoLM.from_pretrained(folder)
    asked |= {"sampling": _drawn(model, sampling)}
    given = {name: file_hash(value) for name, value in _given(prompt).items()}
    claimed = asked | {"model_fingerprint": model.fingerprint, "sha256": given}
    with only_writer(out), notes(), progress("long video, percent", 100) as show:
        claim_folder(out, claimed, "a long video", [out / "video.mp4", out / "report.json", out / "segments"])
        clip, about = generate_long(
            model,
            prompt,
            seed=seed,
            sampling=sampling,
            best_of=best_of,
            fit=fit,
            keep=out / "segments",
            report=lambda done, of: show(100 * done / of, f"segment {min(int(done) + 1, of)} of {of}"),
        )
        paths = [out / "video.mp4", out / "report.json"]
        write_clip(clip, paths[0])
        write_json(paths[1], asked | about)
    return paths


def _tell(report: Report | None, before: int, total: int, part: float) -> None:
    if report is not None:
        report(before + part, total)


def _row(
    segment: Segment, task: str, seed: int, fps: float, picture: PictureJoin | None, sound: SoundJoin | None
) -> dict[str, Any]:
    """What the report says of a segment."""
    joins = {"picture": picture, "sound": sound}
    return {
        "number": segment.number,
        "task": task,
        "seed": seed,
        "text": segment.text,
        "given_frames": segment.given,
        "first_frame": segment.first,
        "starts_at_seconds": segment.first / fps,
    } | {name: asdict(join) for name, join in joins.items() if join is not None}


def _drawn(model: VideoLM, sampling: Sampling) -> dict[str, Any]:
    """How codes are drawn, as request.json keeps it: by tasks, if the model recommends something for one.

    Two choices that came later stand there only where they are made, so that a video goes on which an earlier
    version began.
    """
    usual = asdict(DrawSettings())

    def chosen(settings: DrawSettings) -> dict[str, Any]:
        later = ("guidance_schedule", "joint")
        values = asdict(settings)
        return {name: value for name, value in values.items() if name not in later or value != usual[name]}

    if not any(model.recommended.used(task, sampling) for task in TASKS):
        return chosen(sampling.settings())
    return {task: chosen(model.settings(task, sampling)) for task in TASKS if task in model.config.tasks}


def _as_json(prompt: LongPrompt) -> dict[str, Any]:
    values = asdict(prompt)
    return {name: whole_path(value) if isinstance(value, Path) else value for name, value in values.items()}


def _given(prompt: LongPrompt) -> dict[str, Path]:
    """The files of a prompt."""
    media = {name: getattr(prompt, name) for name in ("image", "video")}
    return {name: Path(value) for name, value in media.items() if isinstance(value, str | Path)}
