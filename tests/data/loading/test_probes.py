import json
import tarfile
from pathlib import Path

import pytest
import torch

from videolm.data.loading import probes as probes_module
from videolm.data.loading.probes import Probes, cache_folder
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.probe import MediaInfo
from videolm.data.sources.entry import Entry
from videolm.data.sources.manifest import read_manifest

FILE = [1, 2, "0" * 64, True]


@pytest.fixture
def clips(tmp_path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(3):
        frames = torch.full((4 + number, 16, 24, 3), 60 * number, dtype=torch.uint8)
        write_clip(Clip(frames, 8.0), folder / f"{number}.mp4")
    (folder / "3.mp4").write_text("no film")
    return folder


@pytest.fixture
def probed(monkeypatch) -> list[str]:
    """Names of the files whose headers are read."""
    names: list[str] = []
    real = probes_module.probe_header

    def noted(media):
        names.append(Path(str(media)).name)
        return real(media)

    monkeypatch.setattr(probes_module, "probe_header", noted)
    return names


def opened(source: Path, cache: Path | None) -> Probes:
    return Probes(read_manifest(source), str(source), cache)


def test_each_file_is_probed_once_and_never_again_while_it_is_the_same(clips, tmp_path, probed):
    for _ in range(2):
        probes = opened(clips, tmp_path / "cache")
        probes.look_up(range(4))
        assert [probes[index].num_frames for index in range(3)] == [4, 5, 6]
        assert probes[0] == MediaInfo(16, 24, 8.0, 4, 0.5)
        assert "3.mp4: not a media file" in probes[3]
    assert sorted(probed) == ["0.mp4", "1.mp4", "2.mp4", "3.mp4", "3.mp4"]  # what failed is tried again
    write_clip(Clip(torch.zeros(9, 16, 24, 3, dtype=torch.uint8), 8.0), clips / "1.mp4")
    probed.clear()
    probes = opened(clips, tmp_path / "cache")
    assert [probes[index].num_frames for index in range(3)] == [4, 9, 6] and probed == ["1.mp4"]


def test_processes_add_to_what_others_have_written(clips, tmp_path, probed):
    one, other = (opened(clips, tmp_path / "cache") for _ in range(2))
    assert one[0] and other[1]
    one.save()
    other.save()
    probed.clear()
    third = opened(clips, tmp_path / "cache")
    assert third[0] and third[1] and probed == []


@pytest.mark.long
def test_workers_find_the_same(clips, tmp_path):
    alone, together = (opened(clips, tmp_path / name) for name in ("one", "two"))
    alone.look_up(range(4))
    together.look_up(range(4), num_workers=2)
    assert [alone[index] for index in range(4)] == [together[index] for index in range(4)]
    (one,), (two,) = ((tmp_path / name).iterdir() for name in ("one", "two"))
    assert json.loads(one.read_text()) == json.loads(two.read_text())


def test_members_of_a_tar_are_kept_until_the_tar_changes(clips, tmp_path, probed):
    tar = tmp_path / "a.tar"

    def pack(*names: str) -> None:
        with tarfile.open(tar, "w") as archive:
            for name in names:
                archive.add(clips / name, name)

    pack("0.mp4", "1.mp4")
    for _ in range(2):
        probes = opened(tar, tmp_path / "cache")
        probes.look_up(range(2))
        assert [probes[index].num_frames for index in range(2)] == [4, 5]
    assert len(probed) == 2
    pack("1.mp4", "2.mp4")
    assert [opened(tar, tmp_path / "cache")[index].num_frames for index in range(2)] == [5, 6]


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: "{",
        lambda stored: "[]",
        lambda stored: {"version": 99, "probes": {}},
        lambda stored: stored | {"probes": []},
        lambda stored: stored | {"probes": {"x": {"info": [1, 2], "file": FILE}}},
        lambda stored: stored | {"probes": {"x": {"info": [1, 2, 3.0, 4, 5.0, 0, 0], "file": None}}},
        lambda stored: stored | {"probes": {"x": {"info": [-1, 2, 3.0, 4, 5.0, 0, 0], "file": FILE}}},
        lambda stored: stored | {"probes": {"x": {"info": [1, 2, 3.0, 4, True, 0, 0], "file": FILE}}},
    ],
)
def test_a_damaged_cache_is_made_anew_with_a_note(clips, tmp_path, change):
    opened(clips, tmp_path / "cache").look_up(range(3))
    (path,) = (tmp_path / "cache").iterdir()
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    probes = opened(clips, tmp_path / "cache")
    with pytest.warns(UserWarning, match=r"probes-\w+\.json is damaged and made anew"):
        assert probes[2].num_frames == 6
    with pytest.warns(UserWarning, match="is damaged"):
        probes.save()
    assert len(json.loads(path.read_text())["probes"]) == 1


def test_a_cache_without_bound_is_not_read(clips, tmp_path, monkeypatch):
    opened(clips, tmp_path / "cache").look_up(range(3))
    monkeypatch.setattr(probes_module, "_MOST_BYTES", 10)
    with pytest.warns(UserWarning, match="it has more than 10 bytes"):
        assert opened(clips, tmp_path / "cache")[0].num_frames == 4


def test_nothing_is_kept_in_the_folder_of_the_clips(clips, probed):
    for _ in range(2):
        probes = opened(clips, clips / "cache")
        probes.look_up(range(3))
    assert not (clips / "cache").exists() and len(probed) == 6


def test_the_folder_is_the_one_that_is_chosen_or_of_the_user(monkeypatch, tmp_path):
    assert cache_folder(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / "videolm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / ".cache" / "videolm"


def test_an_entry_that_cannot_be_used_has_its_reason():
    probes = Probes([Entry(Path("x.mp4"), problem="a link in a tar"), Entry(Path("missing.mp4"))])
    assert probes[0] == "x.mp4: a link in a tar" and probes[1] == "missing.mp4 is not there"
