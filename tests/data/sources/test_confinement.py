"""What a source may reach outside its folder: texts never by links, media unless it is confined."""

import json
import os
from pathlib import Path

import pytest

from videolm.cli.main import main
from videolm.data.media.clip import write_clip
from videolm.data.runtime.confinement import VARIABLE, is_confined
from videolm.data.sources.manifest import read_listing, read_manifest
from videolm.generation.chain.chain_file import read_chain
from videolm.generation.prompt_file import read_prompts
from videolm.generation.run_request import PromptOptions

SECRET = "a private text"


@pytest.fixture
def confine(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")


@pytest.fixture
def source(tmp_path, corpus) -> Path:
    """A folder with a clip, beside a private text and a private clip."""
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(corpus[0], folder / "a.mp4")
    write_clip(corpus[1], tmp_path / "private.mp4")
    (tmp_path / "private.txt").write_text(SECRET)
    (tmp_path / "private.jsonl").write_text(json.dumps({"path": "clips/a.mp4", "caption": SECRET}))
    return folder


def usable(listing) -> list[str]:
    return sorted(entry.path.name for entry in listing.entries if not entry.problem)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("a.txt", "private.txt"),
        ("a.caption", "private.txt"),
        ("a.json", "private.txt"),
        ("captions.jsonl", "private.jsonl"),
        ("metadata.jsonl", "private.jsonl"),
    ],
)
def test_a_text_that_is_a_link_out_of_the_folder_is_not_read(link, target, source, tmp_path):
    (source / link).symlink_to(tmp_path / target)
    listing = read_listing(source)
    assert usable(listing) == ["a.mp4"] and not any(entry.captions for entry in listing.entries)
    assert [entry.path.name for entry in listing.entries if "outside the folder" in entry.problem] == [link]


def test_a_file_of_prompts_that_is_a_link_out_is_not_read(source, tmp_path):
    (source / "videos.txt").write_text("a.mp4")
    (source / "prompts.txt").symlink_to(tmp_path / "private.txt")
    assert [entry.captions for entry in read_manifest(source / "videos.txt")] == [()]


@pytest.mark.parametrize("is_confined", ["", "1"])
def test_links_inside_a_source_and_of_a_hub_snapshot_are_followed(is_confined, source, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, is_confined)
    (source / "texts").mkdir()
    (source / "texts" / "one").write_text("a dog")
    (source / "a.txt").symlink_to("texts/one")
    assert [entry.captions for entry in read_manifest(source)] == [("a dog",)]
    snapshot, blobs = tmp_path / "hub" / "snapshots" / "main", tmp_path / "hub" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1").write_bytes((source / "a.mp4").read_bytes())
    (blobs / "2").write_text("a cat")
    for name, blob in (("b.mp4", "1"), ("b.txt", "2")):
        (snapshot / name).symlink_to(os.path.join("..", "..", "blobs", blob))
    assert [(each.captions, each.problem) for each in read_manifest(snapshot)] == [(("a cat",), "")]


def test_confined_lists_name_nothing_outside_their_folder(source, tmp_path, confine):
    (source / "link.mp4").symlink_to(tmp_path / "private.mp4")
    (source / "linked").symlink_to(tmp_path)
    names = ["a.mp4", "../private.mp4", str(tmp_path / "private.mp4"), "link.mp4", "linked/private.mp4"]
    (source / "list.jsonl").write_text("\n".join(json.dumps({"path": name}) for name in names))
    listing = read_listing(source / "list.jsonl")
    assert usable(listing) == ["a.mp4"]
    assert sum("--confine" in entry.problem for entry in listing.entries) == 4


def test_confined_folders_follow_no_link_out(source, tmp_path, confine):
    (source / "link.mp4").symlink_to(tmp_path / "private.mp4")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.mp4").write_bytes((tmp_path / "private.mp4").read_bytes())
    (source / "linked").symlink_to(tmp_path / "more")
    assert usable(read_listing(source)) == ["a.mp4"]


def test_without_it_media_are_followed(source, tmp_path):
    (source / "list.jsonl").write_text(json.dumps({"path": "../private.mp4"}))
    assert usable(read_listing(source / "list.jsonl")) == ["private.mp4"]


def test_the_option_holds_for_one_command(source, tmp_path, capsys):
    (source / "list.jsonl").write_text(json.dumps({"path": "../private.mp4"}))
    command = ["data", "inspect", str(source / "list.jsonl"), "--num-workers", "0"]
    assert main([*command, "--confine"]) == 2
    assert "--confine keeps" in capsys.readouterr().err
    assert not is_confined() and main(command) == 0


def test_confined_prompts_and_chains_name_nothing_outside(source, tmp_path, confine):
    (source / "prompts.jsonl").write_text(json.dumps({"image": "../private.mp4"}))
    with pytest.raises(ValueError, match="--confine"):
        read_prompts(source / "prompts.jsonl", PromptOptions())
    (source / "chain.yaml").write_text("steps: [{task: image_to_video, image: ../private.mp4}]")
    with pytest.raises(ValueError, match="--confine"):
        read_chain(source / "chain.yaml")


@pytest.mark.parametrize("where", ["absolute", "relative"])
def test_a_data_set_names_no_file_outside(where, source, tmp_path, monkeypatch):
    datasets, pa = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    import pyarrow.parquet

    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "private.mp4") if where == "absolute" else "private.mp4"
    good = {"bytes": (source / "a.mp4").read_bytes(), "path": None}
    schema = datasets.Features({"video": datasets.Video(decode=False)}).arrow_schema
    folder = tmp_path / "downloaded"
    folder.mkdir()
    rows = pa.Table.from_pylist([{"video": {"bytes": None, "path": path}}, {"video": good}], schema=schema)
    pyarrow.parquet.write_table(rows, folder / "train.parquet")
    outside, inside = read_manifest(f"hf:{folder}")
    assert inside.media
    with pytest.raises(ValueError, match="outside the data set"):
        print(outside.media)
