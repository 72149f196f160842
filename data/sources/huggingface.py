"""Data sets of Hugging Face's library `datasets`: a folder on disk, or a name on the hub.

Columns of videos, images or sounds are taken as they are stored (`decode=False`) and decoded here, so that
the same limits apply and no second decoder is needed. Of several such columns the first video is the
clip, or else the first image, or sound; the others are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .entry import Entry, entry_of
from .tables import plain, read_parquet
from .webdataset import read_tar

PREFIX = "hf:"
STREAM_PREFIX = "hf-stream:"
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
    """The rows of "hf:NAME" or "hf:NAME:CONFIG@SPLIT"; NAME is a folder or a data set of the hub.

    Without a split it is "train", or the only one.

    Raises:
        FileNotFoundError, ValueError: if there is no such data set or split, or it has no media column.
    """
    name, config, split = _parsed(source, PREFIX)
    dataset = _loaded(name, config, split)
    media = _media_column(dataset, name)
    import datasets

    feature = getattr(datasets, type(dataset.features[media]).__name__)
    column = dataset.select_columns([media]).cast_column(media, feature(decode=False))
    rest = dataset.remove_columns(_media_columns(dataset))
    entries = []
    for number in range(len(dataset)):
        values = {key: plain(each) for key, each in rest[number].items()} if rest.column_names else {}
        named = {key: each for key, each in values.items() if each is not None} | {"path": f"{name}/{number}"}
        try:
            entries.append(entry_of(named, Path(), DatasetCell(column, media, number)))
        except ValueError as error:
            raise ValueError(f"{name} row {number + 1}: {error}") from error
    return entries


def read_streamed(source: str) -> list[Entry]:
    """As `read_dataset`, of "hf-stream:…": nothing is copied, a clip is fetched when it is read.

    Of Parquet files the captions are fetched now, of tars the headers of their members.

    Raises:
        FileNotFoundError: if there is no such data set.
        ValueError: if it has no such split, or other files than Parquet and tars.
    """
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    name, config, split = _parsed(source, STREAM_PREFIX)
    if is_saved_dataset(Path(name)):
        raise ValueError(f"{name} is on disk as it was saved; read it as {PREFIX}{name}")
    try:
        files = datasets.load_dataset_builder(name, config or None).config.data_files
    except (DatasetNotFoundError, OSError) as error:
        raise _not_loadable(name, error) from error
    except ValueError as error:
        raise ValueError(_one_line(error)) from error
    if files is None:
        raise ValueError(f"{name} consists of no files that can be read from afar. Read it as {PREFIX}{name}")
    readers = {".parquet": read_parquet, ".tar": read_tar}
    entries = []
    for file in map(str, files[_chosen(list(files), split, name)]):
        read = readers.get(Path(file).suffix.lower())
        if read is None:
            raise ValueError(
                f"{name} has {Path(file).name}, which cannot be read from afar; Parquet files and tars can. "
                f"Read it as {PREFIX}{name}"
            )
        entries += read(file)
    return entries


def _parsed(source: str, prefix: str) -> tuple[str, str, str]:
    """Name, config and split."""
    rest, _, split = source.removeprefix(prefix).partition("@")
    name, _, config = rest.partition(":")
    return name, config, split


def _loaded(name: str, config: str, split: str) -> Any:
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    try:
        if is_saved_dataset(Path(name)):
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, config or None)
    except (DatasetNotFoundError, OSError) as error:
        raise _not_loadable(name, error) from error
    except ValueError as error:
        raise ValueError(_one_line(error)) from error
    if isinstance(found, datasets.Dataset):
        return found
    return found[_chosen([str(each) for each in found], split, name)]


def _chosen(splits: Sequence[str], split: str, name: str) -> str:
    split = split or ("train" if "train" in splits or len(splits) > 1 else splits[0])
    if split not in splits:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(splits)}")
    return split


def _not_loadable(name: str, error: Exception) -> FileNotFoundError:
    return FileNotFoundError(f"{name} is no data set that can be loaded: {str(error).splitlines()[0]}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _media_columns(dataset: Any) -> list[str]:
    """All columns with media, also lists of them."""
    kinds = {
        column: {type(part).__name__ for part in (feature, getattr(feature, "feature", None))}
        for column, feature in dataset.features.items()
    }
    return [column for column, found in kinds.items() if found & set(_MEDIA_FEATURES)]


def _media_column(dataset: Any, name: str) -> str:
    for kind in _MEDIA_FEATURES:
        for column, feature in dataset.features.items():
            if type(feature).__name__ == kind:
                return column
    raise ValueError(
        f"{name} has no column of videos, images or sounds; its columns are {', '.join(dataset.column_names)}"
    )
