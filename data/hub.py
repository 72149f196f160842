"""Data sets of Hugging Face's library `datasets`: a folder on disk, or a name on the hub.

Columns of videos, images or sounds are taken as they are stored (`decode=False`) and decoded here, so that
the same limits hold for them and no second decoder is needed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .entry import Entry, entry_of
from .tables import plain

PREFIX = "hf:"
_MEDIA_FEATURES = ("Video", "Image", "Audio")


@dataclass(frozen=True)
class DatasetCell:
    """The content of one cell of a media column."""

    column: Any  # a data set of that column alone; all cells share it
    name: str
    row: int

    def __call__(self) -> bytes:
        value = self.column[self.row][self.name]
        if not value:
            raise OSError("its cell is empty")
        return value["bytes"] if value["bytes"] is not None else Path(value["path"]).read_bytes()


def is_saved_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def read_dataset(source: str) -> list[Entry]:
    """The rows of "hf:NAME" or "hf:NAME@SPLIT"; NAME is a folder or a data set of the hub.

    Without a split it is "train", or the only one.

    Raises:
        FileNotFoundError, ValueError: if there is no such data set or split, or it has no media column.
    """
    name, _, split = source.removeprefix(PREFIX).partition("@")
    dataset = _loaded(name, split)
    media = _media_column(dataset, name)
    import datasets

    feature = getattr(datasets, type(dataset.features[media]).__name__)
    dataset = dataset.cast_column(media, feature(decode=False))
    column, rest = dataset.select_columns([media]), dataset.remove_columns([media])
    entries = []
    for number in range(len(dataset)):
        values = {key: plain(each) for key, each in rest[number].items()} if rest.column_names else {}
        named = {key: each for key, each in values.items() if each is not None} | {"path": f"{name}/{number}"}
        try:
            entries.append(entry_of(named, Path(), DatasetCell(column, media, number)))
        except ValueError as error:
            raise ValueError(f"{name} row {number + 1}: {error}") from error
    return entries


def _loaded(name: str, split: str) -> Any:
    import datasets

    try:
        if is_saved_dataset(Path(name)):
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name)
    except (datasets.exceptions.DatasetNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FileNotFoundError(f"{name} is no data set that can be loaded: {reason}") from error
    if isinstance(found, datasets.Dataset):
        return found
    split = split or ("train" if "train" in found or len(found) > 1 else next(iter(found)))
    if split not in found:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(found)}")
    return found[split]


def _media_column(dataset: Any, name: str) -> str:
    for kind in _MEDIA_FEATURES:
        for column, feature in dataset.features.items():
            if type(feature).__name__ == kind:
                return column
    raise ValueError(
        f"{name} has no column of videos, images or sounds; its columns are {', '.join(dataset.column_names)}"
    )
