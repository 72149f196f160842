"""Lists of clips."""

import json

import pytest

from videolm.data.media.reading import read_clip
from videolm.data.media.streams import MediaError
from videolm.data.sources.manifest import read_manifest

LINES = (
    {"path": "a.mp4", "caption": "a dog", "group": "pets", "age": 3},
    {"path": "deep/b.mp4", "caption": ["a cat", "a small cat"], "start": 1, "end": 2.5, "group": "pets"},
    {"path": "../c.mp4", "group": "cars"},
)


@pytest.fixture
def listed(tmp_path):
    def write(*lines):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        (tmp_path / "captions.jsonl").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_lines_become_entries(listed):
    folder = listed(*LINES)
    dog, cat, car = read_manifest(folder)
    assert (dog.path, dog.caption, dog.start, dog.end) == (folder / "a.mp4", "a dog", None, None)
    assert dog.extra == {"group": "pets", "age": 3}
    assert (cat.path, cat.captions) == (folder / "deep/b.mp4", ("a cat", "a small cat"))
    assert (cat.start, cat.end) == (1.0, 2.5)
    assert (car.path, car.caption, car.captions) == (folder / "../c.mp4", None, ())


def test_entries_become_lines_again(listed):
    long = {"path": "e.mp4", "long_caption": "A red car in the rain."}
    folder = listed(*LINES, {"path": "d.mp4", "caption": None, "long_caption": None, "start": 0}, long)
    entries = read_manifest(folder)
    (folder / "again.jsonl").write_text("\n".join(json.dumps(entry.to_json()) for entry in entries))
    assert read_manifest(folder / "again.jsonl") == entries
    assert entries[4].extra == {"long_caption": "A red car in the rain."}
    assert entries[3].to_json() == {"path": str(folder / "d.mp4"), "start": 0.0}


def test_a_file_may_be_named_instead_of_its_folder(listed):
    folder = listed(*LINES)
    assert read_manifest(folder / "captions.jsonl") == read_manifest(folder)


def test_absolute_paths_and_empty_lines_are_fine(listed):
    (entry,) = read_manifest(listed("", {"path": "/elsewhere/a.mp4"}, "  "))
    assert str(entry.path) == "/elsewhere/a.mp4"


def test_where_compares_as_text(listed):
    folder = listed(*LINES)
    assert [entry.caption for entry in read_manifest(folder, {"age": "3"})] == ["a dog"]
    assert len(read_manifest(folder, {"group": "pets"})) == 2
    assert len(read_manifest(folder, {"group": "pets", "age": "3"})) == 1


def test_where_without_a_match_tells_what_there_is(listed):
    folder = listed(*LINES)
    with pytest.raises(ValueError, match=r"no clip with group=boats; group is pets, cars$"):
        read_manifest(folder, {"group": "boats"})
    with pytest.raises(ValueError, match=r"no clip has colour, only age, group$"):
        read_manifest(folder, {"colour": "red"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Expecting property name"),
        ("[1]", "expected an object"),
        ({"caption": "a dog"}, "path is None"),
        ({"path": 3}, "path is 3"),
        ({"path": "a.mp4", "caption": 5}, "caption is 5"),
        ({"path": "a.mp4", "caption": ["a", None]}, "caption is"),
        ({"path": "a.mp4", "long_caption": ["a"]}, "long_caption is"),
        ({"path": "a.mp4", "start": "soon"}, "start is 'soon'"),
        ({"path": "a.mp4", "start": True}, "start is True"),
        ({"path": "a.mp4", "end": -1}, "end is -1"),
        ({"path": "a.mp4", "start": 3, "end": 2}, "from 3.0 s to 2.0 s is empty"),
        ('{"path": "a.mp4", "start": NaN}', "start is nan"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_costs_its_clip(listed, line, message):
    good, bad = read_manifest(listed(LINES[0], "", line))
    assert good.caption == "a dog" and not good.problem
    with pytest.raises(MediaError, match=f"captions.jsonl line 3: .*{message}") as raised:
        bad.media  # noqa: B018
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "list.jsonl").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"list.jsonl is not a text file"):
        read_manifest(tmp_path / "list.jsonl")
    (tmp_path / "list.doc").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"list.doc is no kind of list .* expected one of .csv"):
        read_manifest(tmp_path / "list.doc")


def test_a_media_file_is_a_list_of_one(tmp_path):
    (tmp_path / "clip.mp4").touch()
    (entry,) = read_manifest(tmp_path / "clip.mp4")
    assert entry.path == tmp_path / "clip.mp4"


def test_a_folder_without_a_list_is_all_its_media_files_in_order(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.MP4", "deep/a.webm", "c.png", "notes.txt", ".c.mp4.part", ".hidden.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "link.mp4").symlink_to("nowhere")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    entries = read_manifest(tmp_path)
    names = [entry.path.relative_to(tmp_path).as_posix() for entry in entries]
    assert names == ["b.MP4", "c.png", "deep/a.webm", "link.mp4", "loop.mp4"]
    assert [entry.caption for entry in entries] == [None] * 5
    for entry in entries[3:]:
        with pytest.raises(FileNotFoundError, match="is not there"):
            read_clip(entry.media)
    with pytest.raises(ValueError, match=r"no clip with group=x; no clip has group, only class$"):
        read_manifest(tmp_path, {"group": "x"})
    with pytest.raises(ValueError, match="no clip with group=x; no clip has group or any other key"):
        read_manifest(tmp_path / "c.png", {"group": "x"})


def test_nothing_to_read_is_an_error(tmp_path, listed):
    with pytest.raises(ValueError, match=r"neither a captions.jsonl nor media files"):
        read_manifest(tmp_path)
    with pytest.raises(ValueError, match="names no clips"):
        read_manifest(listed(""))
    with pytest.raises(FileNotFoundError, match="nowhere is not there"):
        read_manifest(tmp_path / "nowhere")
