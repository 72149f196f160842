"""Tasks one after the other, each conditioned on results of earlier ones: `videolm chain`.

    steps = [
        Step("picture", "text_to_image", text="a red square"),
        Step("film", "image_to_video", text="a red square spins", image="picture", seed=3),
        Step("sound", "video_to_audio", video="film"),
    ]
    clips = run_chain(VideoLM.from_pretrained("runs/mine/model"), steps, keep=Path("runs/mine/chain"))

No task is trained for this: steps hand over pixels and samples, which the next step encodes like a user's
own files (Kondratyuk et al. 2024, arXiv:2312.14125, figures 7 and 10).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...data.analysis.open_geometry import geometry_for
from ...data.media.clip import Clip, write_clip
from ...data.runtime.checksums import file_hash
from ...data.runtime.made_with import MadeWith
from ...lm.decoding.sampling import DrawSettings, Sampling
from ...tasks.clip_size import SizeChoice
from ...tasks.task import load_task
from ..clip_cache import SUFFIX, cache_clip, cached_clip, digest_of, is_cached
from ..pipeline import VideoLM
from ..prompt import Prompt

MEDIA = ("image", "video", "audio")
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Step:
    """One task of a chain.

    Args:
        name: of its result.
        task: as in `VideoLM.generate`.
        text, negative: as there.
        image, video, audio: name of an earlier step, or a file. What the task needs and is not named comes
            from the step before.
        mask: a file, or the name of a usual mask.
        size: of the result, of those that the model was trained on; its default if not given.
        depth: how depth is found, for tasks that need it (`geometry_for`).
        raw: leave a painted video as it is decoded.
        seed: the step's result follows from it, from what it is given and from the model.
        sampling: how codes are drawn; what it leaves open is as the model recommends for the task.
    """

    name: str
    task: str
    text: str | None = None
    negative: str | None = None
    image: str | Path | None = None
    video: str | Path | None = None
    audio: str | Path | None = None
    mask: str | Path | None = None
    size: SizeChoice | None = None
    depth: str | None = None
    raw: bool = False
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"a step is named {self.name!r}; expected a name that a file can have")


def run_chain(
    model: VideoLM,
    steps: Sequence[Step],
    *,
    given: Mapping[str, Clip] | None = None,
    keep: Path | None = None,
    report: Report | None = None,
) -> dict[str, Clip]:
    """The result of every step, by its name.

    Args:
        given: clips that steps may name as they name results of earlier steps.
        keep: folder for the results, exactly (01-NAME.safetensors), to look at (.png, .mp4) and with what
            they were made of (.json). Run again, only steps are made whose result is missing, or that ask
            for something else than it was made of.
        report: called with the number of steps done, counting parts, and the name of the current one.

    Raises:
        ValueError: naming the step that cannot be made; before any is made where that can be seen.
    """
    steps, given = check_chain(model, steps, tuple(given or ())), given or {}
    clips: dict[str, Clip] = {}
    for number, step in enumerate(steps):

        def tell(part: float, number: int = number, name: str = step.name) -> None:
            if report is not None:
                report(number + part, name)

        with _named(step):
            clips[step.name] = _result(model, steps, number, {**given, **clips}, keep, tell)
        tell(1)
    return clips


def check_chain(model: VideoLM, steps: Sequence[Step], given: Sequence[str] = ()) -> list[Step]:
    """The steps with all that they take named, checked against a model before any is made.

    Args:
        given: names of clips that are there before the first step.

    Raises:
        ValueError: naming the step that the model cannot make, and as `checked`.
    """
    steps = checked(steps, given)
    for step in steps:
        with _named(step):
            task = model.config.task(step.task)
            _prompt(step, {}).check(task, _how(model, step).guidance_scale)
            (step.size or SizeChoice()).of(model.config.formats, task)
            if step.text is not None:
                model.rows.pieces(step.text)
    return steps


def checked(steps: Sequence[Step], given: Sequence[str] = ()) -> list[Step]:
    """The steps with all that they take named.

    Args:
        given: names of clips that are there before the first step.

    Raises:
        ValueError: if there are none, two have one name, or one lacks an input or cannot use one.
    """
    if not steps:
        raise ValueError("the chain has no steps")
    names = [step.name for step in steps]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two steps are named {twice[0]}; give each a name of its own")
    if both := [name for name in names if name in given]:
        raise ValueError(f"a step is named {both[0]}, as what is given; give it another name")
    complete: list[Step] = []
    for number, step in enumerate(steps):
        with _named(step):
            task = load_task(step.task)
            missing = [name for name in MEDIA if name in task.needs and getattr(step, name) is None]
            if number:
                step = replace(step, **dict.fromkeys(missing, names[number - 1]))
            for name in MEDIA:
                if getattr(step, name) in names[number:]:
                    raise ValueError(f"its {name} is of step {getattr(step, name)}, which is not before it")
            _prompt(step, {}).check(task, step.sampling.guidance_scale)
        complete.append(step)
    return complete


def file_of(folder: Path, steps: Sequence[Step], name: str) -> Path:
    """The file that caches a step's result without loss."""
    number = [step.name for step in steps].index(name) + 1
    return folder / f"{number:02d}-{name}{SUFFIX}"


def _result(
    model: VideoLM,
    steps: Sequence[Step],
    number: int,
    clips: Mapping[str, Clip],
    keep: Path | None,
    tell: Callable[[float], None],
) -> Clip:
    """A step's clip: the cached one if it was made with the same settings, else a new one, cached."""
    step = steps[number]
    if keep is None:
        return _made(model, step, clips, tell)
    path = file_of(keep, steps, step.name)
    record = MadeWith(path.with_suffix(".json"), _made_of(model, steps, number, clips, keep))
    made_of = digest_of(record.settings)
    if not is_cached(path, made_of):
        cache_clip(_made(model, step, clips, tell), path, made_of)
    clip = cached_clip(path)
    picture = shown(path, clip)
    if not (record.is_same and picture.is_file()):  # the record is written last: it says that all is there
        write_clip(clip, picture)
        record.write()
    return clip


def shown(path: Path, clip: Clip) -> Path:
    """The picture or video that shows the clip of a cache file."""
    return path.with_suffix(".png" if clip.num_frames == 1 else ".mp4")


def _made(model: VideoLM, step: Step, clips: Mapping[str, Clip], tell: Callable[[float], None]) -> Clip:
    geometry = geometry_for(model.config.task(step.task).variants, step.depth)
    prompt = replace(_prompt(step, clips), geometry=geometry)
    (clip,) = model.generate_batch(
        step.task,
        [prompt],
        seed=step.seed,
        sampling=step.sampling,
        composite=not step.raw,
        progress=tell,
    )
    return clip


def _prompt(step: Step, clips: Mapping[str, Clip]) -> Prompt:
    def media(name: str | Path | None) -> Clip | str | Path | None:
        return clips.get(name, name) if isinstance(name, str) else name

    return Prompt(
        text=step.text,
        negative=step.negative,
        image=media(step.image),
        video=media(step.video),
        audio=media(step.audio),
        mask=step.mask,
        size=step.size,
    )


def _how(model: VideoLM, step: Step) -> DrawSettings:
    return model.settings(load_task(step.task).name, step.sampling, text=step.text is not None)


def _made_of(
    model: VideoLM, steps: Sequence[Step], number: int, clips: Mapping[str, Clip], folder: Path
) -> dict[str, Any]:
    """What a step's result follows from: the model, settings, and hashes of files, which may move."""
    step, names = steps[number], [each.name for each in steps]
    files: dict[str, Path] = {}
    given: dict[str, str] = {}
    for name in (*MEDIA, "mask"):
        value = getattr(step, name)
        if value in names:
            files[name] = file_of(folder, steps, str(value))
        elif isinstance(value, str) and value in clips:
            given[name] = digest_of({"clip": clips[value]})
        elif value is not None and Path(value).is_file():
            files[name] = Path(value)
    settings = asdict(step) | {"sampling": asdict(_how(model, step))}
    settings |= {name: value.name for name, value in settings.items() if isinstance(value, Path)}
    return settings | {
        "model": model.fingerprint,
        "sha256": {name: file_hash(path) for name, path in files.items()} | given,
    }


@contextmanager
def _named(step: Step) -> Iterator[None]:
    """Say of what goes wrong in which step it does."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"step {step.name}: {error}") from error
