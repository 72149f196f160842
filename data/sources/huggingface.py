"""Data sets of Hugging Face's library `datasets`: a folder on disk, or a name on the hub.

Columns of videos, images or sounds are taken as they are stored (`decode=False`) and decoded here, so that
the same limits apply and no second decoder is needed. Of several such columns the first video is the
clip, or else the first image, or sound; the others are left out.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..media.streams import printable
from ..runtime.confinement import is_inside, places_of
from .listing import Listing
from .parquet import plain
from .tables import listing_of, read_parquet
from .text_rows import Row
from .webdataset import read_tar

PREFIX = "hf:"
STREAM_PREFIX = "hf-stream:"
_MEDIA_FEATURES = ("Video", "Image", "Audio")


@dataclass(frozen=True)
class Address:
    """Which data set: NAME, or NAME:CONFIG:REVISION@SPLIT; "" for what is usual."""

    name: str
    config: str = ""
    revision: str = ""
    split: str = ""


@dataclass(frozen=True)
class DatasetCell:
    """The content of one cell of a media column."""

    column: Any  # a data set of that column alone; all cells share it
    name: str
    row: int
    places: tuple[str, ...]  # real folders that files named by a cell may be in

    def __call__(self) -> bytes:
        value = self.column[self.row][self.name]
        if not value:
            raise OSError("its cell is empty")
        if value["bytes"] is not None:
            return value["bytes"]
        path = Path(value["path"] or "")
        if not (path.is_absolute() and is_inside(path, self.places)):
            raise OSError(f"its row names a file outside the data set ({printable(path)})")
        return path.read_bytes()


def is_saved_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def read_dataset(source: str) -> Listing:
    """The rows of "hf:NAME:CONFIG:REVISION@SPLIT", of which all but the name may be missing.

    NAME is a folder or a data set of the hub. Without a split it is "train", or the only one.

    Raises:
        FileNotFoundError, ValueError: if there is no such data set, revision or split, or it has no media
            column.
    """
    address = _parsed(source, PREFIX)
    return _rows_of(address.name, _loaded(address))


def read_saved(folder: Path) -> Listing:
    """The rows of a data set that `save_to_disk` wrote."""
    return _rows_of(str(folder), _loaded(Address(str(folder))))


def _rows_of(name: str, dataset: Any) -> Listing:
    media = _media_column(dataset, name)
    import datasets

    feature = getattr(datasets, type(dataset.features[media]).__name__)
    column = dataset.select_columns([media]).cast_column(media, feature(decode=False))
    rest = dataset.remove_columns(_media_columns(dataset))
    places = _places(name)

    def row(number: int) -> Row:
        values = {key: plain(each) for key, each in rest[number].items()} if rest.column_names else {}
        named = {key: each for key, each in values.items() if each is not None}
        named |= {"path": f"{Path(name).name}/{number}"}
        return Row(f"row {number + 1}", named, load=DatasetCell(column, media, number, places))

    return listing_of(name, map(row, range(len(dataset))))


def _places(name: str) -> tuple[str, ...]:
    """Where the files of a data set are: in its folder, or where the libraries keep what they fetched."""
    from datasets import config
    from huggingface_hub.constants import HF_HUB_CACHE

    own = places_of(Path(name)) if Path(name).is_dir() else []
    kept = (config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH, HF_HUB_CACHE)
    return (*own, *(os.path.realpath(each) for each in kept))


def read_streamed(source: str) -> Listing:
    """As `read_dataset`, of "hf-stream:…": nothing is copied, a clip is fetched when it is read.

    Of Parquet files the captions are fetched now, of tars the headers of their members.

    Raises:
        FileNotFoundError: if there is no such data set.
        ValueError: if it has no such split, or other files than Parquet and tars.
    """
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    address = _parsed(source, STREAM_PREFIX)
    name = address.name
    if is_saved_dataset(Path(name)):
        raise ValueError(f"{name} is on disk as it was saved; read it as {PREFIX}{name}")
    try:
        files = _with_revision(datasets.load_dataset_builder, address).config.data_files
    except (DatasetNotFoundError, OSError) as error:
        raise _not_loadable(name, error) from error
    except ValueError as error:
        raise ValueError(_one_line(error)) from error
    if files is None:
        raise ValueError(f"{name} consists of no files that can be read from afar. Read it as {PREFIX}{name}")
    readers = {".parquet": read_parquet, ".tar": read_tar}
    listing = Listing()
    for file in map(str, files[_chosen(list(files), address.split, name)]):
        read = readers.get(Path(file).suffix.lower())
        if read is None:
            raise ValueError(
                f"{name} has {Path(file).name}, which cannot be read from afar; Parquet files and tars can. "
                f"Read it as {PREFIX}{name}"
            )
        listing.add(read(file))
    return listing


def _parsed(source: str, prefix: str) -> Address:
    """The parts of an address; a folder on disk may have @ and : in its name."""
    rest, split = source.removeprefix(prefix), ""
    if not Path(rest).exists() and "@" in rest:
        rest, _, split = rest.rpartition("@")
    parts = rest.split(":")
    most = next((count for count in range(len(parts), 0, -1) if Path(":".join(parts[:count])).exists()), 1)
    name, more = ":".join(parts[:most]), parts[most:]
    if len(more) > 2:
        raise ValueError(f"{source} has too many parts; expected {prefix}NAME:CONFIG:REVISION@SPLIT")
    config, revision = (*more, "", "")[:2]
    return Address(name, config, revision, split)


def _loaded(address: Address) -> Any:
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    name = address.name
    try:
        if is_saved_dataset(Path(name)):
            found = datasets.load_from_disk(name)
        else:
            found = _with_revision(datasets.load_dataset, address)
    except (DatasetNotFoundError, OSError) as error:
        raise _not_loadable(name, error) from error
    except ValueError as error:
        raise ValueError(_one_line(error)) from error
    if isinstance(found, datasets.Dataset):
        return found
    return found[_chosen([str(each) for each in found], address.split, name)]


def _with_revision(load: Callable[..., Any], address: Address) -> Any:
    """What `load` makes of a data set; one word behind its name is a config if it has one of that name."""
    import datasets

    config, revision = address.config, address.revision
    if config and not revision and not Path(address.name).exists():
        try:
            configs = datasets.get_dataset_config_names(address.name)
        except (ValueError, OSError):
            configs = [config]  # `load` says what is wrong
        if config not in configs:
            config, revision = "", config
    return load(address.name, config or None, revision=revision or None)


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
