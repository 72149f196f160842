"""Tars as people pack them: in any order, with dots in names, compressed, joined, cut off, with litter."""

import io
import pickle
import tarfile

import pytest
from films import COLOURS, colour_film, colour_of, write_tar

from videolm.data.media.streams import MediaError
from videolm.data.sources.archives import _kept_open
from videolm.data.sources.manifest import read_listing, read_manifest

FOUR = [f"a {colour} square" for colour in COLOURS]


def members(names=COLOURS, video=".mp4", text=".txt"):
    """The film and the text of each colour, under these names."""
    pairs = zip(names, COLOURS, strict=True)
    return [
        each
        for name, colour in pairs
        for each in ((name + video, colour_film(colour)), (name + text, f"a {colour} square\n".encode()))
    ]


def check(source):
    listing = read_listing(source)
    assert [colour_of(entry) for entry in listing.entries] == list(COLOURS)
    assert [entry.caption for entry in listing.entries] == FOUR
    return listing


def test_members_of_a_sample_need_not_stand_together(tmp_path):
    whole = members()
    for order in (whole[::2] + whole[1::2], whole[1::2] + whole[::2], whole[1::2] + whole[-2::-2][::-1]):
        check(write_tar(tmp_path / "a.tar", order))


@pytest.mark.parametrize(
    ("names", "video", "text"),
    [
        (["vid_0.5_10.5", "vid_12.0_22.0", "vid_30.0_40.0", "other_7.25_9.75"], ".mp4", ".txt"),
        (["ytABC_00.5", "ytABC_01.0", "ytABC_01.5", "ytABC_02.0"], ".mp4", ".txt"),
        (["clip.v0", "clip.v1", "clip.v2", "clip.v3"], ".mp4", ".TXT"),
        (["./a.b/1", "./a.b/2", "./a.c/1", "./a.c/2"], ".mp4", ".txt"),
        (["0001", "0002", "0003", "0004"], ".video.mp4", ".txt"),
        (["0001", "0002", "0003", "0004"], ".mp4", ".mp4.txt"),
        (["0001", "0002", "0003", "0004"], ".video.mp4", ".caption.txt"),
        (["1.5", "2.5", "3.5", "4.5"], ".mp4", ".en.txt"),
    ],
)
def test_names_with_dots_keep_their_captions(tmp_path, names, video, text):
    listing = check(write_tar(tmp_path / "a.tar", members(names, video, text)))
    assert listing.notes == []


def test_two_media_under_one_key_are_two_clips_and_what_is_unclear_is_counted(tmp_path):
    films = [("0001.left.mp4", colour_film("red")), ("0001.right.mp4", colour_film("green"))]
    films += [("0002.mp4", colour_film("blue")), ("0002.webm", colour_film("yellow", ".webm"))]
    texts = [("0001.txt", b"left or right?"), ("0002.txt", b"both"), ("0003.txt", b"of none")]
    listing = read_listing(write_tar(tmp_path / "a.tar", films + texts))
    assert [colour_of(entry) for entry in listing.entries] == list(COLOURS)
    assert [entry.captions for entry in listing.entries] == [(), (), ("both",), ("both",)]
    strays, bare = listing.notes
    assert strays.endswith("texts that belong to no clip, or to no single one: 2 (0001.txt, 0003.txt)")
    assert bare.endswith("though others have one: 2 (0001.left.mp4, 0001.right.mp4)")


def test_posters_sounds_and_litter_take_no_place(tmp_path):
    beside = [
        ("green.wav", b"RIFF"),
        ("green.jpg", b"poster"),
        ("red.thumb.png", b"poster"),
        ("red.audio.mp3", b""),
    ]
    litter = ["._red.mp4", "__MACOSX/._red.mp4", ".DS_Store", "in/.DS_Store", "Thumbs.db", "./._blue.txt"]
    whole = [(name, b"x") for name in litter] + beside + members()
    listing = check(write_tar(tmp_path / "a.tar", whole))
    (note,) = listing.notes
    assert "no clips of their own: 4 (" in note
    own = [("a.png", colour_film("red", ".png", 1)), ("a.txt", b"its own"), ("b.mp4", colour_film("blue"))]
    assert [entry.caption for entry in read_manifest(write_tar(tmp_path / "b.tar", own))] == ["its own", None]


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz")]
)
def test_compressed_tars_are_read_in_any_order(tmp_path, name, mode):
    listing = check(write_tar(tmp_path / name, members(), mode))
    assert any("is compressed" in note for note in listing.notes)
    entries = pickle.loads(pickle.dumps(listing.entries))
    assert [colour_of(entry) for entry in entries[::-1]] == list(COLOURS)[::-1]
    (tmp_path / name).rename(tmp_path / "wrong.tar")
    check(tmp_path / "wrong.tar")
    (tmp_path / "one.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    (entry,) = read_manifest(tmp_path / "one.tar.zst")
    assert "unpack it first: zstd -d" in entry.problem


def test_a_compressed_tar_is_unpacked_once_for_clips_in_their_order(tmp_path, monkeypatch):
    import gzip

    begun = []
    rewind = gzip._GzipReader._rewind
    monkeypatch.setattr(gzip._GzipReader, "_rewind", lambda self: begun.append(1) or rewind(self))
    entries = read_manifest(write_tar(tmp_path / "a.tar.gz", members(), "w:gz"))
    _kept_open.cache_clear()
    begun.clear()
    for entry in entries:
        entry.media  # noqa: B018
    assert not begun
    entries[0].media  # noqa: B018
    assert begun


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_off_or_damaged_is_named_and_costs_what_is_gone(tmp_path, mode):
    whole = write_tar(tmp_path / "a.tar", members()).read_bytes()
    ends = {"in a film": whole.index(b"blue.mp4") + 900, "at a member": whole.index(b"blue.mp4")}
    broken = bytearray(whole)
    broken[ends["at a member"] : ends["at a member"] + 200] = bytes(range(1, 201))
    for content, said in (
        (whole[: ends["in a film"]], "end"),
        (whole[: ends["at a member"]], "no mark of its end"),
        (bytes(broken), "what follows byte"),
    ):
        with (open if mode == "w" else __import__("gzip").open)(tmp_path / "b.tar", "wb") as file:
            file.write(content)
        entries = read_manifest(tmp_path / "b.tar")
        good = [entry for entry in entries if not entry.problem]
        assert [colour_of(entry) for entry in good[:2]] == ["red", "green"]
        assert said in entries[-1].problem and entries[-1].path.name == "b.tar"
        for entry in [*good[2:], *entries[len(good) :]]:
            with pytest.raises(MediaError, match=r"b\.tar"):
                entry.media  # noqa: B018


def test_joined_tars_are_read_to_their_end_and_names_that_come_again_are_clips(tmp_path):
    one, other = (write_tar(tmp_path / f"{n}.tar", members()[4 * n : 4 * n + 4]).read_bytes() for n in (0, 1))
    (tmp_path / "a.tar").write_bytes(one + other)
    check(tmp_path / "a.tar")
    again = members(["0", "1", "0", "1"])
    entries = read_manifest(write_tar(tmp_path / "b.tar", again))
    assert [(colour_of(entry), entry.caption) for entry in entries] == list(zip(COLOURS, FOUR, strict=True))
    assert [entry.path.name for entry in entries] == ["0.mp4", "1.mp4", "0#2.mp4", "1#2.mp4"]


def test_a_folder_of_tars_beside_films_names_them(tmp_path):
    (tmp_path / "in").mkdir()
    write_tar(tmp_path / "in" / "a.tar", members())
    check(tmp_path)
    (tmp_path / "b.mp4").write_bytes(colour_film("red"))
    listing = read_listing(tmp_path)
    assert [entry.path.name for entry in listing.entries] == ["b.mp4"]
    assert any("tars beside other clips, not read: 1 (" in note for note in listing.notes)


def test_an_empty_tar_names_no_clips(tmp_path):
    with tarfile.open(fileobj=io.BytesIO(), mode="w"):
        pass
    write_tar(tmp_path / "a.tar", [])
    with pytest.raises(ValueError, match="names no clips"):
        read_manifest(tmp_path / "a.tar")
