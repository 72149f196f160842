"""Models on Hugging Face's hub: whole folders of safe kinds of files, down to its cache and up to it.

    folder = download("user/name@v2")
    address = upload(Path("runs/mine/model"), ["config.json", …], "user/name")

Nothing else than KINDS is copied in either direction, so no code and no pickles. huggingface_hub keeps what
it downloads in CACHE/models--user--name/snapshots/COMMIT/, whose files are links to ../../blobs. It reads
HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE, and is imported in functions only.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from typing import Any, TypedDict, Unpack

from .files import naming_full_disk

KINDS = ("*.safetensors", "*.json", "*.model", "*.md")
_BESIDE_PARTS = ("config.json", "vocabulary.json", "checksums.json")  # what a part of a model is read with
_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[^\s@]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubOptions(TypedDict, total=False):
    """How a model on the hub is read.

    revision: branch, tag or commit; the main branch if not given.
    token: for private and gated models; that of `hf auth login` or of HF_TOKEN if not given.
    cache_dir: where copies are kept, in place of huggingface_hub's own place.
    local_files_only: take what is there already, and ask nobody.
    """

    revision: str | None
    token: str | bool | None
    cache_dir: str | Path | None
    local_files_only: bool


class PushOptions(TypedDict, total=False):
    """How a model is copied to the hub.

    private: a new repository is, if this is true; else as is usual for its owner.
    token: as in `HubOptions`.
    revision: branch, made if there is none; the main branch if not given.
    commit_message: what was changed.
    """

    private: bool
    token: str | bool | None
    revision: str | None
    commit_message: str | None


def split_name(name: str) -> tuple[str, str | None] | None:
    """user/name and the revision of "user/name@revision"; None of what is no name on the hub."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in match["repo"] or "--" in match["repo"]:
        return None
    return match["repo"], match["revision"]


def name_in_cache(folder: Path) -> str | None:
    """user/name@commit of a snapshot in a cache of the hub; None of any other folder."""
    if len(folder.parts) < 3 or not _COMMIT.fullmatch(folder.name) or folder.parent.name != "snapshots":
        return None
    repository = folder.parts[-3]
    if not repository.startswith("models--"):
        return None
    return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name}"


@dataclass(frozen=True)
class _Wanted:
    """A model of the hub, or the part of it, that is to be in the cache."""

    repo: str
    revision: str | None
    part: str
    cache: Path
    token: str | bool | None
    tried: str

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"

    @property
    def request(self) -> dict[str, Any]:
        """What functions of huggingface_hub are asked with."""
        return {"repo_id": self.repo, "revision": self.revision, "cache_dir": self.cache}

    @property
    def kinds(self) -> list[str]:
        """Patterns of the files of the part, with those that stand beside it; of the whole model else."""
        if not self.part:
            return list(KINDS)
        return [*(f"{self.part}/{kind}" for kind in KINDS), *_BESIDE_PARTS]

    def missing(self, reason: str) -> FileNotFoundError:
        return FileNotFoundError(f"{self.tried}, and {reason}" if self.tried else reason)


def download(name: str, part: str = "", tried: str = "", **options: Unpack[HubOptions]) -> Path:
    """The folder of a model of the hub in the cache; what is not there is downloaded, its size said first.

    A commit that is in the cache is taken from there. Where the hub cannot be reached, so is the last copy of
    a branch, and a line says so.

    Args:
        name: user/name or user/name@revision.
        part: the only part that is needed, if the model has it; else all.
        tried: what the name does not stand for either, for the message.

    Raises:
        FileNotFoundError: if there is no such model or revision, or the hub cannot be reached and the cache
            has no copy.
        ValueError: if the hub refuses access, or what is there is no model of ours.
    """
    from huggingface_hub import constants

    repo, revision = _repository(name, options.get("revision"))
    cache = Path(options.get("cache_dir") or constants.HF_HUB_CACHE).expanduser()
    wanted = _Wanted(repo, revision, part, cache, options.get("token"), tried)
    with naming_full_disk(cache), _in_one_line(wanted):
        if options.get("local_files_only") or constants.HF_HUB_OFFLINE:
            return _cached(wanted, "nothing is asked of the hub (HF_HUB_OFFLINE or local_files_only)")
        if _COMMIT.fullmatch(revision or "") and (folder := _cached_or_none(wanted)) is not None:
            return folder
        return _downloaded(wanted)


def upload(
    folder: Path,
    names: Sequence[str],
    repo: str,
    replaces: Sequence[str] = (),
    **options: Unpack[PushOptions],
) -> str:
    """Copy files of a folder to a repository of the hub, which is made if there is none; returns its address.

    Args:
        names: of the files, from the folder on; of KINDS only.
        repo: user/name.
        replaces: patterns of files there that go, unless they are among `names`.

    Raises:
        FileNotFoundError, ValueError: if the hub cannot be reached or refuses.
    """
    if (found := split_name(repo)) is None or found[1] is not None:
        raise ValueError(f"{repo!r} is no repository of Hugging Face's hub; expected user/name")
    if foreign := [name for name in names if not any(fnmatch(name, kind) for kind in KINDS)]:
        raise ValueError(f"{foreign[0]} is not uploaded; expected files of {', '.join(KINDS)}")
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise ValueError(f"{repo} cannot be written to: HF_HUB_OFFLINE says that nothing is asked of the hub")
    revision, token = options.get("revision"), options.get("token")
    with _in_one_line(_Wanted(repo, revision, "", folder, token, "")):
        api = HfApi(token=token)
        address = str(api.create_repo(repo, private=options.get("private") or None, exist_ok=True))
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            revision=revision,
            commit_message=options.get("commit_message") or "Upload a model of videolm",
            allow_patterns=[escape(name) for name in names],
            delete_patterns=list(replaces) or None,
        )
    return address if revision is None else f"{address}/tree/{revision}"


def _repository(name: str, revision: str | None) -> tuple[str, str | None]:
    found = split_name(name)
    if found is None:
        raise ValueError(f"{name!r} is no model of Hugging Face's hub; expected user/name")
    repo, stated = found
    if stated is not None and revision not in (None, stated):
        raise ValueError(f"{name} names revision {stated}, and revision {revision} is given besides")
    return repo, stated or revision


def _cached(wanted: _Wanted, reason: str) -> Path:
    """The copy in the cache, or an error that says why the hub has not been asked."""
    folder = _cached_or_none(wanted)
    if folder is None:
        raise wanted.missing(f"{wanted} is not in the hub's cache {wanted.cache}, and {reason}")
    return folder


def _cached_or_none(wanted: _Wanted) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(**wanted.request, allow_patterns=wanted.kinds, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _downloaded(wanted: _Wanted) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        info = HfApi(token=wanted.token).model_info(
            wanted.repo, revision=wanted.revision, files_metadata=True
        )
    except HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise
        return _from_cache_instead(wanted, f"the hub answers {error.response.status_code}")
    except (HTTPError, ConnectionError) as error:
        return _from_cache_instead(wanted, f"the hub cannot be reached: {_first_line(error)}")
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or []}
    if wanted.part and not any(name.startswith(f"{wanted.part}/") for name in sizes):
        wanted = replace(wanted, part="")  # a repository of one part alone has it at the top
        needed = ("config.json",)
    else:
        needed = ("config.json", "vocabulary.json")
    files = {name: size for name, size in sizes.items() if any(fnmatch(name, kind) for kind in wanted.kinds)}
    if lacking := [name for name in needed if name not in files]:
        raise ValueError(f"{wanted} on Hugging Face's hub is no model of videolm: it has no {lacking[0]}")
    _say_size(wanted, str(info.sha), files)
    return Path(snapshot_download(**wanted.request, allow_patterns=wanted.kinds, token=wanted.token))


def _from_cache_instead(wanted: _Wanted, reason: str) -> Path:
    folder = _cached(wanted, reason)
    print(f"{reason}; taking {name_in_cache(folder)} from the cache", file=sys.stderr)
    return folder


def _say_size(wanted: _Wanted, commit: str, sizes: dict[str, int]) -> None:
    """Tell how much will be downloaded, if anything."""
    from huggingface_hub import try_to_load_from_cache

    cached = {
        name: try_to_load_from_cache(wanted.repo, name, wanted.cache, revision=commit) for name in sizes
    }
    left = [size for name, size in sizes.items() if not isinstance(cached[name], str)]
    if left:
        amount = f"{len(left)} files, {sum(left) / 1e6:.1f} MB"
        print(f"downloading {wanted.repo}@{commit}: {amount}", file=sys.stderr, flush=True)


@contextmanager
def _in_one_line(wanted: _Wanted) -> Iterator[None]:
    """Raise what huggingface_hub raises as an error of ours, with what to do about it."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise ValueError(
            f"{wanted.repo} is gated: ask for access on {constants.ENDPOINT}/{wanted.repo}, and give a token "
            "of yours (HF_TOKEN, or hf auth login)"
        ) from error
    except RepositoryNotFoundError as error:
        has_token = wanted.token or (wanted.token is None and get_token())
        private = "that the token does not open" if has_token else "(no token is given, as HF_TOKEN)"
        reason = f"Hugging Face's hub has no model {wanted.repo}, or a private one {private}"
        raise wanted.missing(reason) from error
    except RevisionNotFoundError as error:
        reason = f"Hugging Face's hub has no revision {wanted.revision} of {wanted.repo}"
        raise FileNotFoundError(reason) from error
    except HfHubHTTPError as error:
        raise ValueError(f"{wanted}: {_refusal(error)}") from error
    except (HTTPError, LocalEntryNotFoundError) as error:
        raise wanted.missing(f"{wanted}: the hub cannot be reached: {_first_line(error)}") from error


def _refusal(error: Any) -> str:
    status = error.response.status_code
    if status == 401:
        return "the hub does not accept the token (HF_TOKEN, or that of hf auth login)"
    return f"the hub answers {status}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
