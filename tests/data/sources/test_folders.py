"""Folders: links, posters, sounds, texts without a film, and hundreds of thousands of files."""

import os
import time

import pytest
from films import COLOURS, colour_of, write_films

from videolm.data.sources.manifest import read_listing, read_manifest
from videolm.data.sources.scanning import scan


def test_class_folders_that_are_links_are_followed_and_counted(tmp_path):
    write_films(tmp_path / "store", ["a/red.mp4", "a/green.mp4", "b/blue.mp4", "b/yellow.mp4"])
    for case, real in (("dataset", ()), ("partial", ("a",))):
        folder = tmp_path / case
        folder.mkdir()
        for name in ("a", "b"):
            if name in real:
                write_films(folder, ["a/red.mp4", "a/green.mp4"])
            else:
                (folder / name).symlink_to(f"../store/{name}")
        listing = read_listing(folder)
        assert sorted(map(colour_of, listing.entries)) == sorted(COLOURS)
        assert [entry.extra["class"] for entry in listing.entries] == ["a", "a", "b", "b"]
        assert listing.notes[0].startswith(f"links to folders that are followed: {2 - len(real)} (")


def test_links_that_lead_back_end(tmp_path):
    folder = write_films(tmp_path / "around" / "set", ["a/red.mp4", "b/green.mp4"])
    write_films(tmp_path / "around" / "other", ["blue.mp4"])
    (folder / "a" / "loop").symlink_to("..")
    (folder / "again").symlink_to("b")
    (folder / "up").symlink_to("../..")
    (folder / "self").symlink_to("self")
    (folder / "nowhere").symlink_to("gone")
    listing = read_listing(folder)
    assert [entry.path.relative_to(folder).as_posix() for entry in listing.entries] == [
        "a/red.mp4",
        "b/green.mp4",
    ]
    assert any("already or around the source, left out: 3 (" in note for note in listing.notes)
    (tmp_path / "link").symlink_to(folder)
    assert len(read_manifest(tmp_path / "link")) == 2


def test_links_inside_linked_folders_are_followed_once(tmp_path):
    write_films(tmp_path / "far" / "deep", ["red.mp4"])
    (tmp_path / "far" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set").mkdir()
    for name in ("one", "two"):
        (tmp_path / "set" / name).symlink_to("../far")
    (entry,) = read_manifest(tmp_path / "set")
    assert entry.path == tmp_path / "set" / "one" / "deep" / "red.mp4"


def test_pictures_and_sounds_beside_a_film_are_no_clips(tmp_path):
    write_films(tmp_path, ["red.mp4", "green.MP4", "blue.png.mp4"])
    for name in (
        "red.jpg",
        "red.WAV",
        "red.thumb.png",
        "green.wav",
        "blue.png",
        "alone.jpg",
        "alone.wav",
        "song.mp3",
    ):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "red.txt").write_text("a red\n square ")
    (tmp_path / "red.info.json").write_text('{"description": "subscribe!", "timestamp": 1598301}')
    (tmp_path / "README.txt").write_text("all about it")
    listing = read_listing(tmp_path)
    names = [entry.path.name for entry in listing.entries]
    assert names == ["alone.jpg", "blue.png.mp4", "green.MP4", "red.mp4", "song.mp3"]
    assert (listing.entries[3].captions, listing.entries[3].extra) == (("a red square",), {})
    companions, strays, bare = listing.notes
    assert "no clips of their own: 6 (" in companions and "1 (README.txt)" in strays and ": 4 (" in bare


def test_several_texts_are_several_captions(tmp_path):
    write_films(tmp_path, ["red.mp4"])
    (tmp_path / "red.txt").write_text("red")
    (tmp_path / "red.fr.txt").write_text("rouge")
    (tmp_path / "red.json").write_text('{"caption": "old", "group": "a"}')
    (tmp_path / "red.more.json").write_text('{"group": "b", "take": 2}')
    (entry,) = read_manifest(tmp_path)
    assert entry.captions == ("red", "rouge") and entry.extra == {"group": "a", "take": 2}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    write_films(tmp_path, ["a/red.mp4", "b/green.mp4"])
    (tmp_path / "b").chmod(0)
    try:
        good, bad = read_manifest(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o755)
    assert good.path.name == "red.mp4" and "cannot be read" in bad.problem


def test_a_folder_is_listed_without_a_look_at_its_files(tmp_path, monkeypatch):
    write_films(tmp_path / "0", ["red.mp4"])
    for folder in range(4):
        (tmp_path / str(folder)).mkdir(exist_ok=True)
        for number in range(500):
            os.link(tmp_path / "0" / "red.mp4", tmp_path / str(folder) / f"{number}.mp4")
    asked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *words, **more: asked.append(words) or stat(*words, **more))
    begin = time.perf_counter()
    found = scan(tmp_path)
    assert sum(len(names) for _, names in found.folders) == 2001
    assert len(asked) < 20 and time.perf_counter() - begin < 5


def test_data_sets_on_disk_may_have_any_name(tmp_path, monkeypatch):
    import datasets
    from films import colour_film

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    dataset = datasets.Dataset.from_dict(
        {"clip": [{"bytes": colour_film("red"), "path": None}], "text": ["a"]}
    )
    dataset = dataset.cast_column("clip", datasets.Video(decode=False))
    folder = tmp_path / "my@set:1"
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(folder)
    for source in (str(folder), f"hf:{folder}", f"hf:{folder}@test"):
        (entry,) = read_manifest(source)
        assert (colour_of(entry), entry.caption) == ("red", "a")
    with pytest.raises(ValueError, match="no split 'other'; it has train, test"):
        read_manifest(f"hf:{folder}@other")


def test_a_revision_and_a_split_of_the_hub_can_both_be_chosen(monkeypatch):
    import datasets

    asked = []

    def load(name, config, revision):
        asked.append((name, config, revision))
        raise ValueError("far away")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda name: ["small", "large"])
    for words in ("a/b@test", "a/b:v1.0@test", "a/b:small", "a/b:small:v1.0@test", "a/b::v1.0"):
        with pytest.raises(ValueError, match="far away"):
            read_manifest(f"hf:{words}")
    assert asked == [
        ("a/b", None, None), ("a/b", None, "v1.0"), ("a/b", "small", None), ("a/b", "small", "v1.0"),
        ("a/b", None, "v1.0"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="too many parts"):
        read_manifest("hf:a/b:c:d:e")
