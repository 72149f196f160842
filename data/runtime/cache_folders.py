"""Where caches go: $XDG_CACHE_HOME or ~/.cache, and elsewhere if nothing can be written there."""

import os
import stat
import sys
import tempfile
from pathlib import Path

CACHE_VARIABLE = "VIDEOLM_CACHE"
# What other libraries would keep elsewhere in the home, and what they may find in the usual place.
_OTHERS = ("MPLCONFIGDIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "TRITON_CACHE_DIR")
_READABLE = {"HF_HOME": "huggingface", "TORCH_HOME": "torch"}


def user_cache() -> Path:
    """The folder of this user's caches, of all programs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def cache_of_codes() -> Path:
    """Where copies and tables of shards are kept: $VIDEOLM_CACHE, or else videolm in `user_cache`."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache() / "videolm")


def redirect_unwritable_caches() -> None:
    """Let this process and its children keep caches in the folder of temporary files if the home takes none.

    A line on stderr says so. Models that are in the usual place already are still read from there.
    """
    usual = user_cache()
    if _is_writable(usual):
        return
    place = Path(tempfile.gettempdir()) / f"videolm-cache-{os.getuid()}"
    if not _is_own(place):
        return
    for variable, name in _READABLE.items():
        if (usual / name).is_dir():
            os.environ.setdefault(variable, str(usual / name))
    os.environ["XDG_CACHE_HOME"] = str(place)
    for variable in _OTHERS:
        os.environ.setdefault(variable, str(place))
    print(
        f"{usual} cannot be written: caches go to {place} (XDG_CACHE_HOME names another place)",
        file=sys.stderr,
    )


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _is_own(folder: Path) -> bool:
    """Whether the folder is, or now becomes, one that nobody else can write to."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return False
    is_open = bool(stat.S_IMODE(state.st_mode) & 0o022)
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not is_open
