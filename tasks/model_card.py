"""README.md of a model folder: what the model does, how to use it, what it was trained on, its scores.

    write_card(folder)                                            from what the folder holds
    write_card(folder, ModelCard(license="cc-by-4.0", data="…"))  and keep in card.json what only people know

The page is written anew with the model, and whenever scores are added. A page that was edited by hand, or is
not ours, is left as it is: the last line of ours is a checksum of the rest. It stands, as card.json and
scores.json do, outside the model's fingerprint and checksums, and nothing reads it when a model is loaded.
"""

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..data.runtime.files import read_object, replacing, write_json
from ..data.runtime.notes import notify
from ..data.runtime.pretrained import weights_of
from ..data.runtime.typed_fields import check_fields, from_fields
from .model_config import ModelConfig, model_fingerprint, parts_of
from .model_scores import Evaluation, scores_of
from .task import Task, task_names

CARD, PAGE = "card.json", "README.md"
_LAST_LINE = re.compile(r"<!-- written by videolm, checksum ([0-9a-f]{64}); an edited page is kept -->\n\Z")
_NAMED_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")  # as the hub lists them: apache-2.0, cc-by-sa-3.0
_PIPELINES = {"text_to_video": "text-to-video", "image_to_video": "image-to-video"}
_MEDIA = {
    "text": '--text "…"', "image": "--image first.png", "video": "--video in.mp4", "audio": "--audio in.wav",
}  # fmt: skip


@dataclass(frozen=True)
class ModelCard:
    """What only people know of a model; texts may be Markdown.

    Args:
        title: of the page.
        name: by which the model is loaded, such as user/name on the hub.
        data: what it was trained on.
        license: of the weights, as the hub calls it, such as apache-2.0, or in words.
        notes: anything else.
    """

    title: str = ""
    name: str = ""
    data: str = ""
    license: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def load(cls, folder: Path) -> "ModelCard":
        """That of a model folder; an empty one if it has none.

        Raises:
            ValueError: if card.json holds something else.
        """
        path = folder / CARD
        return from_fields(cls, read_object(path), str(path)) if path.is_file() else cls()


def write_card(folder: Path, card: ModelCard | None = None, like: Path | None = None) -> None:
    """Write the page of a model folder, and card.json if a card is given or to be found.

    A page that was edited by hand is left as it is, and a warning says so. So does one if card.json or
    scores.json cannot be read, as the model itself is whole then.

    Args:
        card: if not given, the one that the folder has.
        like: the folder that the model is from, whose card is taken if there is no other.
    """
    path = folder / PAGE
    try:
        if card is None and like is not None and not (folder / CARD).is_file() and (like / CARD).is_file():
            card = ModelCard.load(like)
    except ValueError as error:
        notify(f"the card is not taken over: {error}")
    if card is not None:
        write_json(folder / CARD, asdict(card))
    if path.is_file() and not is_written_here(path.read_text(encoding="utf-8", errors="replace")):
        notify(f"{path} was edited by hand and stays; remove it to have it written anew")
        return
    try:
        text = page_of(folder)
    except ValueError as error:
        notify(f"{path} is not written: {error}")
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_written_here(text: str) -> bool:
    """Whether a page is as `write_card` wrote it."""
    match = _LAST_LINE.search(text)
    return match is not None and match[1] == _checksum(text[: match.start()])


def page_of(folder: Path) -> str:
    """The page of a model folder.

    Raises:
        FileNotFoundError, ValueError: if what it is about cannot be read.
    """
    import yaml
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    config, card = ModelConfig.load(folder), ModelCard.load(folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    tasks = [config.task(name) for name in config.tasks if name in task_names()]
    others = [name for name in config.tasks if name not in task_names()]  # of files of the user's own
    asked = [task for task in tasks if not task.has_actions]
    first = next((task for task in asked if task.name == "text_to_video"), asked[0] if asked else None)
    text = environment.get_template("model_card.md.jinja").render(
        front=yaml.safe_dump(_front_matter(config, card), sort_keys=False, allow_unicode=True),
        card=replace(card, title=card.title or card.name or "A video language model"),
        name=card.name or "MODEL",
        tasks=[
            *((task.name, takes_and_makes(task), summary(task)) for task in tasks),
            *((name, "", "a task of its own, whose file is not part of the model") for name in others),
        ],
        command="" if first is None else _command(first),
        python="" if first is None else _python(first),
        is_world=len(asked) < len(tasks),
        sizes=[_size(clips) for clips in config.formats],
        parts=_parts(folder),
        evaluations=[_table(each) for each in scores_of(folder, model_fingerprint(folder)).values()],
    )
    return f"{text}<!-- written by videolm, checksum {_checksum(text)}; an edited page is kept -->\n"


def takes_and_makes(task: Task) -> str:
    """What a task takes, in brackets what it may be given besides, and what it makes."""
    optional = [name for name in task.takes if name not in task.needs]
    takes = [*task.needs, *(f"[{name}]" for name in optional)]
    made = {"audio": "sound", "visual": "picture" if task.makes_image else "video", "outcome": "outcomes"}
    makes = " and ".join(made[each.kind] for each in task.outputs if each.kind in made)
    return f"takes {', '.join(takes) or 'nothing'}; makes {makes}"


def summary(task: Task) -> str:
    """The first paragraph of a task's description, on one line."""
    return " ".join(task.description.split("\n\n")[0].split())


def _front_matter(config: ModelConfig, card: ModelCard) -> dict[str, Any]:
    """What readers of the hub look for: https://huggingface.co/docs/hub/model-cards."""
    pipeline = next((tag for task, tag in _PIPELINES.items() if task in config.tasks), None)
    front: dict[str, Any] = {"library_name": "videolm"}
    if pipeline is not None:
        front["pipeline_tag"] = pipeline
    if _NAMED_LICENSE.fullmatch(card.license):
        front["license"] = card.license
    elif card.license:
        front |= {"license": "other", "license_name": " ".join(card.license.split())[:80]}
    return front | {"tags": ["videolm", *(task.replace("_", "-") for task in config.tasks)]}


def _command(task: Task) -> str:
    out = "out.wav" if all(each.kind == "audio" for each in task.outputs) else "out.mp4"
    given = [_MEDIA[name] for name in task.needs]
    return " ".join([f"--task {task.name}", *given, "--out", "out.png" if task.makes_image else out])


def _python(task: Task) -> str:
    values = {"text": '"…"', "image": '"first.png"', "video": '"in.mp4"', "audio": '"in.wav"'}
    return ", ".join([f'"{task.name}"', *(f"{name}={values[name]}" for name in task.needs)])


def _size(clips: Any) -> str:
    rate = f"{clips.fps:g} a second, {clips.num_frames / clips.fps:.2g} s"
    sound = f"; sound of {clips.sample_rate / 1000:g} kHz" if clips.has_audio else ""
    return f"{clips.num_frames} frames of {clips.height}x{clips.width} (height x width), {rate}{sound}"


def _parts(folder: Path) -> list[tuple[str, str, str]]:
    """Of each part its name, parameters and what they are stored as."""
    rows = []
    for part in (name for name in parts_of(folder) if (folder / name).is_dir()):
        count, dtypes = weights_of(folder / part)
        megabytes = sum(path.stat().st_size for path in (folder / part).iterdir() if path.is_file()) / 1e6
        stored = f"{', '.join(dtypes) or 'no weights'}, {megabytes:.1f} MB"
        rows.append((part, f"{count:,}" if count else "none", stored))
    return rows


def _table(evaluation: Evaluation) -> dict[str, Any]:
    settings = [f"{name} {value}" for name, value in evaluation.settings.items() if value is not None]
    rows = []
    for each in evaluation.scores:
        if each.value is not None:
            values = (each.value, each.chance, each.ceiling)
            rows.append([each.name, *("" if value is None else f"{value:.3g}" for value in values)])
    about = {"protocol": evaluation.protocol, "date": evaluation.date}
    return about | {"settings": ", ".join(settings), "rows": rows}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
