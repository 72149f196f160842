"""Every kind of source gives the same clips with the same words."""

import io
import json
import os
import pickle
import tarfile
from pathlib import Path

import pytest
import torch

from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.media.streams import MediaError
from videolm.data.sources.entry import Entry
from videolm.data.sources.manifest import read_manifest

CAPTIONS = ("a red field", "a green field", "a blue field")


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[bytes]:
    """Three films of one colour each, as they stand in a file."""
    folder = tmp_path_factory.mktemp("films")
    for index in range(3):
        frames = torch.zeros(3, 16, 16, 3, dtype=torch.uint8)
        frames[..., index] = 250
        write_clip(Clip(frames, 8.0), folder / f"{index}.mp4")
    return [(folder / f"{index}.mp4").read_bytes() for index in range(3)]


def colour(entry: Entry) -> int:
    return int(read_clip(entry.media, num_frames=1).frames.float().mean((0, 1, 2)).argmax())


def write_tar(path, members):
    """Members are (name, bytes) or TarInfo objects."""
    with tarfile.open(path, "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return path


def of_kind(kind, tmp_path, films):
    """A source of some kind that holds the three films, and what to call it."""
    rows = [{"path": f"{index}.mp4", "caption": CAPTIONS[index], "take": index + 1} for index in range(3)]
    if kind in ("folder", "list", "csv", "paths"):
        for index, film in enumerate(films):
            (tmp_path / f"{index}.mp4").write_bytes(film)
    if kind == "folder":
        for index in range(3):
            (tmp_path / f"{index}.txt").write_text(CAPTIONS[index] + "\n")
            (tmp_path / f"{index}.json").write_text(json.dumps({"take": index + 1}))
        return tmp_path
    if kind == "list":
        (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return tmp_path
    if kind == "csv":
        lines = [",".join([row["path"], row["caption"], str(row["take"]), ""]) for row in rows]
        lines = ["file_name,text,take,start", *lines]
        (tmp_path / "list.csv").write_text("\n".join(lines))
        return tmp_path / "list.csv"
    if kind in ("paths", "parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        if kind == "parquet":
            for row, film in zip(rows, films, strict=True):
                row["video"] = {"bytes": film, "path": row.pop("path")}
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=2)
        return tmp_path / "a.parquet"
    if kind == "dataset":
        import datasets

        columns = {"clip": [{"bytes": film, "path": None} for film in films], "caption": list(CAPTIONS)}
        dataset = datasets.Dataset.from_dict(columns | {"take": [1, 2, 3]})
        features = dataset.features.copy()
        features["clip"] = datasets.Video(decode=False)
        dataset.cast(features).save_to_disk(tmp_path / "saved")
        return f"hf:{tmp_path / 'saved'}"
    members = []
    for index, film in enumerate(films):
        members += [(f"./00{index}.mp4", film), (f"./00{index}.txt", CAPTIONS[index].encode())]
        members += [(f"./00{index}.json", json.dumps({"take": index + 1}).encode())]
    for shard in range(3):
        write_tar(tmp_path / f"a-{shard:02d}.tar", members[3 * shard : 3 * shard + 3])
    return tmp_path if kind == "tars" else str(tmp_path / "a-{00..02}.tar")


KINDS = ["folder", "list", "csv", "paths", "parquet", "dataset", "tars", "pattern"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_same_clips(kind, tmp_path, films):
    source = of_kind(kind, tmp_path, films)
    entries = pickle.loads(pickle.dumps(read_manifest(source)))
    assert [colour(entry) for entry in entries] == [0, 1, 2]
    assert [entry.caption for entry in entries] == list(CAPTIONS)
    assert [str(entry.extra["take"]) for entry in entries] == ["1", "2", "3"]
    assert [entry.caption for entry in read_manifest(source, {"take": "2"})] == [CAPTIONS[1]]


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
def test_remote_files_are_read_where_they_are(tmp_path, films, suffix):
    import fsspec

    if suffix == ".tar":
        local = write_tar(tmp_path / "a.tar", [("0.mp4", films[1])])
    else:
        local = of_kind("parquet", tmp_path, films)
    with fsspec.open(f"memory://bucket/a{suffix}", "wb") as file:
        file.write(local.read_bytes())
    entries = pickle.loads(pickle.dumps(read_manifest(f"memory://bucket/a{suffix}")))
    assert [colour(entry) for entry in entries] == ([1] if suffix == ".tar" else [0, 1, 2])
    with pytest.raises(ValueError, match=r"expected a \.tar or \.parquet"):
        read_manifest("memory://bucket/a.txt")
    with pytest.raises(FileNotFoundError):
        read_manifest("memory://bucket/none.parquet")


@pytest.fixture
def hub_folder(tmp_path, films, monkeypatch):
    """A data set as it lies on the hub, of two configs; one has tars, the other Parquet with more media."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    (folder / "tables").mkdir(parents=True)
    (folder / "tars").mkdir()
    media = {name: [{"bytes": film, "path": None} for film in films] for name in ("video", "poster", "noise")}
    dataset = datasets.Dataset.from_dict(media | {"caption": list(CAPTIONS), "take": [1, 2, 3]})
    kinds = {"video": datasets.Video, "poster": datasets.Image, "noise": datasets.Audio}
    features = dataset.features | {name: kind(decode=False) for name, kind in kinds.items()}
    dataset = dataset.cast(datasets.Features(features))
    dataset.to_parquet(folder / "tables" / "train.parquet")
    dataset.save_to_disk(tmp_path / "saved")
    members = [(f"{index}.mp4", film) for index, film in enumerate(films)]
    write_tar(folder / "tars" / "test.tar", members)
    configs = [{"config_name": name, "data_files": f"{name}/*"} for name in ("tables", "tars")]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    return folder


def test_data_sets_of_the_hub_are_read_where_they_are(hub_folder):
    entries = pickle.loads(pickle.dumps(read_manifest(f"hf-stream:{hub_folder}:tables")))
    assert [colour(entry) for entry in entries] == [0, 1, 2]
    assert [entry.caption for entry in entries] == list(CAPTIONS)
    assert entries[1].extra == {"take": 2}
    assert [colour(entry) for entry in read_manifest(f"hf-stream:{hub_folder}:tars@train")] == [0, 1, 2]
    assert not list((hub_folder.parent / "cache").rglob("*.arrow"))
    with pytest.raises(ValueError, match=r"tables.*tars"):
        read_manifest(f"hf-stream:{hub_folder}")
    with pytest.raises(ValueError, match="no split 'test'; it has train"):
        read_manifest(f"hf-stream:{hub_folder}:tars@test")
    with pytest.raises(ValueError, match="read it as hf:"):
        read_manifest(f"hf-stream:{hub_folder.parent / 'saved'}")
    with pytest.raises(FileNotFoundError, match="no data set"):
        read_manifest(f"hf-stream:{hub_folder.parent / 'none'}")


def test_of_several_media_the_video_is_the_clip(hub_folder):
    entries = read_manifest(f"hf:{hub_folder.parent / 'saved'}")
    assert [colour(entry) for entry in entries] == [0, 1, 2]
    assert entries[1].extra == {"take": 2}


def test_a_sound_beside_a_film_is_no_clip_of_its_own(tmp_path, films):
    (tmp_path / "a.mp4").write_bytes(films[0])
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "b.wav").write_bytes(b"")
    assert [entry.path.name for entry in read_manifest(tmp_path)] == ["a.mp4", "b.wav"]


def link(name, target, kind=tarfile.SYMTYPE):
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def test_what_is_dangerous_in_a_tar_is_named_and_not_read(tmp_path, films):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(films[2])
    inside = tmp_path / "in"
    inside.mkdir()
    write_tar(
        inside / "a.tar",
        [
            ("good.mp4", films[0]),
            ("../evil.mp4", films[1]),
            ("/etc/evil.mp4", films[1]),
            link("link.mp4", str(secret)),
            link("hard.mp4", "good.mp4", tarfile.LNKTYPE),
            link("pipe.mp4", "", tarfile.FIFOTYPE),
        ],
    )
    entries = read_manifest(inside / "a.tar")
    assert [entry.path.name for entry in entries if not entry.problem] == ["good.mp4"]
    problems = {entry.path.name: entry.problem for entry in entries if entry.problem}
    assert problems.keys() == {"evil.mp4", "link.mp4", "hard.mp4", "pipe.mp4"}
    assert "leaves the tar's folder" in problems["evil.mp4"] and "link or device" in problems["link.mp4"]
    for entry in entries[1:]:
        with pytest.raises(MediaError, match=r"a\.tar"):
            entry.media  # noqa: B018
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "in", "secret.mp4"]


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a pickle was run')",)


def test_pickles_in_tars_are_not_loaded(tmp_path, films):
    bomb = pickle.dumps(Bomb())
    names = ("0.pkl", "0.pyd", "0.pickle", "0.npy", "0.pt", "0.pth")
    write_tar(tmp_path / "a.tar", [("0.mp4", films[0]), *((name, bomb) for name in names), ("1.pkl", bomb)])
    (entry,) = read_manifest(tmp_path / "a.tar")
    assert colour(entry) == 0 and entry.captions == ()


def test_a_damaged_tar_costs_what_is_damaged(tmp_path, films):
    whole = write_tar(tmp_path / "a.tar", [("0.mp4", films[0]), ("1.mp4", films[1])]).read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: 1024 + len(films[0]) + 200])
    entries = read_manifest(tmp_path / "a.tar")
    assert colour(entries[0]) == 0
    assert any(entry.problem for entry in entries[1:]) or len(entries) == 1
    (tmp_path / "b.tar").write_bytes(b"no tar at all" * 100)
    (entry,) = read_manifest(tmp_path / "b.tar")
    assert "not a tar" in entry.problem


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "path,caption\na.mp4", "line 2: it has another number of cells"),
        ("a.csv", "path,start\na.mp4,soon", "start is 'soon'"),
        ("a.csv", "caption\na dog", "path is None"),
        ("a.parquet", "PAR1 no more", "not a Parquet file"),
        ("a.jsonl", "[" * 100_000, "line 1"),
        ("a.jsonl", '{"path": "a\\u0000.mp4"}', "zero byte"),
        ("a.jsonl", '{"path": "a\\ud800.mp4"}', "which is no character"),
    ],
)
def test_wrong_tables_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        read_manifest(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_wrong_sidecar_costs_its_clip_only(tmp_path, films):
    for index in range(2):
        (tmp_path / f"{index}.mp4").write_bytes(films[index])
    (tmp_path / "0.json").write_text("{")
    bad, good = read_manifest(tmp_path)
    assert "sidecar" in bad.problem and not good.problem


def test_names_that_are_no_text_are_refused_and_odd_ones_stay_on_one_line(tmp_path, films):
    for name in (b"bad\xff.mp4", b"two\nlines \x1b[31m.mp4", "\u65e5\u672c \u00fc.mp4".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(films[0][:40])
    write_tar(tmp_path / "a.tar", [("in/bad\udcff.mp4", films[0]), ("../bad\udcff\n.mp4", films[0])])
    entries = read_manifest(tmp_path) + read_manifest(tmp_path / "a.tar")
    for entry in entries:
        with pytest.raises(MediaError) as raised:
            read_clip(entry.media)
        assert str(raised.value).isprintable() and str(raised.value).encode()
    assert sum(entry.problem == "its name is not UTF-8" for entry in entries) == 2


def test_ranges_of_shards_are_bounded(tmp_path):
    with pytest.raises(ValueError, match="stands for"):
        read_manifest(str(tmp_path / "a-{5..2}.tar"))
    with pytest.raises(ValueError, match="stands for"):
        read_manifest(str(tmp_path / "a-{0..99999999}.tar"))
    with pytest.raises(FileNotFoundError, match=r"a-0\.tar"):
        read_manifest(str(tmp_path / "a-{0..3}.tar"))
