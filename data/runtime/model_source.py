"""Where a model is: the one rule that turns what a user gave into a local folder.

    model_folder("shapes")             a packaged model: pretrained/shapes of this package
    model_folder("./shapes")           a folder, as is whatever is no packaged model and is there
    model_folder("runs/cats")          a run folder whose model is runs/cats/model
    model_folder("user/name@v2")       a model on Hugging Face's hub, in its cache (hub.py)
    model_folder(Path("shapes"))       a Path is a folder always
    model_folder()                     the packaged model DEFAULT

Nothing heavy is imported, so that a wrong name is answered at once.
"""

from pathlib import Path
from typing import Unpack

from .hub import HubOptions, download, name_in_cache, split_name
from .made_with import whole_path

PACKAGED = Path(__file__).resolve().parents[2] / "pretrained"
DEFAULT = "shapes"


def packaged_models() -> tuple[str, ...]:
    """Names of the models that come with this package, in order."""
    return tuple(sorted(path.parent.name for path in PACKAGED.glob("*/config.json")))


def model_folder(model: str | Path | None = None, part: str = "", **options: Unpack[HubOptions]) -> Path:
    """The local folder of a model; one on the hub is downloaded if the cache does not have it.

    Args:
        model: name or folder; the packaged model DEFAULT if not given.
        part: the only part of the model that is needed, such as "video_tokenizer"; all if not given.
        options: for a name on the hub.

    Raises:
        FileNotFoundError: if nothing has that name, or the hub cannot be reached and the cache has no copy.
        ValueError: if the hub refuses access, or a revision is given of what is not on the hub.
    """
    if model is None:
        return _default_folder()
    if isinstance(model, Path) or is_local(model):
        is_packaged = isinstance(model, str) and model in packaged_models()
        return _without_revision(PACKAGED / model if is_packaged else _of_run(Path(model)), options)
    there = ", ".join(packaged_models()) or "none"
    tried = f"no model folder {model}, no packaged model of that name (there is {there})"
    if split_name(model) is None:
        raise FileNotFoundError(f"{tried}, and it is no name on Hugging Face's hub (user/name)")
    return download(model, part, tried, **options)


def is_local(model: str) -> bool:
    """Whether a name is a packaged model's or a folder's."""
    return model in packaged_models() or Path(model).is_dir()


def part_folder(model: str | Path, part: str, **options: Unpack[HubOptions]) -> Path:
    """The folder of one part: that of a model which has the part, or the part's own folder.

    Args, errors: as `model_folder`.
    """
    folder = model_folder(model, part, **options)
    return folder / part if (folder / part).is_dir() else folder


def source_name(folder: Path) -> str:
    """What records call a model: the name of a packaged one, user/name@commit of one from the hub, else the
    whole path of its folder."""
    whole = Path(whole_path(folder))
    if whole.parent == PACKAGED:
        return whole.name
    return name_in_cache(whole) or str(whole)


def is_own(folder: Path) -> bool:
    """Whether a model folder is the user's: nobody writes to a packaged one, or to a copy of the hub's."""
    return source_name(folder) == whole_path(folder)


def place_beside(folder: Path, name: str) -> Path:
    """Where results of a model go if nothing is said: beside a folder of the user's, else in runs/MODEL."""
    if is_own(folder):
        return folder.parent / name
    return Path("runs", source_name(folder).partition("@")[0].split("/")[-1], name)


def _default_folder() -> Path:
    if DEFAULT not in packaged_models():
        raise FileNotFoundError(
            f"this installation holds no packaged model {DEFAULT}; give --model, a folder or a name on "
            "Hugging Face's hub (user/name)"
        )
    return PACKAGED / DEFAULT


def _of_run(folder: Path) -> Path:
    """A model folder itself, or the one that a run folder holds."""
    inner = folder / "model"
    return inner if inner.is_dir() and not (folder / "config.json").is_file() else folder


def _without_revision(folder: Path, options: HubOptions) -> Path:
    if (revision := options.get("revision")) is not None:
        raise ValueError(f"{folder} is a folder; revision {revision} is for a name on Hugging Face's hub")
    return folder
