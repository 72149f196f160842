"""Caches go elsewhere where the home takes none."""

import os
from pathlib import Path

import pytest

from videolm.data.runtime import cache_folders
from videolm.data.runtime.cache_folders import redirect_unwritable_caches, user_cache

VARIABLES = (
    "MPLCONFIGDIR",
    "WANDB_CONFIG_DIR",
    "WANDB_DATA_DIR",
    "TRITON_CACHE_DIR",
    "HF_HOME",
    "TORCH_HOME",
)


@pytest.fixture(autouse=True)
def unset(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(cache_folders.tempfile, "tempdir", str(tmp_path))


def in_a_file(tmp_path: Path) -> Path:
    """A place in which nobody, not even root, can make a folder."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "cache"


def test_a_home_that_takes_nothing_is_said_in_a_line_and_gone_around(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_a_file(tmp_path)))
    redirect_unwritable_caches()
    assert user_cache() == tmp_path / f"videolm-cache-{os.getuid()}"
    assert {os.environ.get(name) for name in VARIABLES[:4]} == {str(user_cache())}
    assert user_cache().stat().st_mode & 0o777 == 0o700
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "XDG_CACHE_HOME" in lines[0]
    redirect_unwritable_caches()
    assert not capsys.readouterr().err


def test_a_usual_home_is_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    redirect_unwritable_caches()
    assert user_cache() == tmp_path / "new" / "cache" and user_cache().is_dir()
    assert not capsys.readouterr().err and "MPLCONFIGDIR" not in os.environ


@pytest.mark.parametrize("make", [lambda path: path.mkdir(mode=0o777), lambda path: path.symlink_to("/")])
def test_a_folder_that_others_can_write_to_takes_no_caches(make, tmp_path, monkeypatch):
    place = tmp_path / f"videolm-cache-{os.getuid()}"
    make(place)
    if not place.is_symlink():
        place.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_a_file(tmp_path)))
    redirect_unwritable_caches()
    assert user_cache() == tmp_path / "file" / "cache"
