"""Lists as other projects write them: each gives its clips with their captions, times and keys."""

import json

import pytest
from films import COLOURS, colour_of, write_films

from videolm.data.media.streams import MediaError
from videolm.data.sources.columns import listed, seconds, typed
from videolm.data.sources.manifest import read_listing, read_manifest

FOUR = [f"a {colour} square" for colour in COLOURS]
TIMES = "[['0:00:00.000', '0:00:00.250'], ['0:00:00.250', '0:00:00.500']]"


@pytest.fixture
def folder(tmp_path):
    return write_films(tmp_path / "clips")


def check(source, captions=FOUR):
    """All four colours in their order, with these captions."""
    listing = read_listing(source)
    assert [colour_of(entry) for entry in listing.entries] == list(COLOURS)
    assert [entry.caption for entry in listing.entries] == list(captions)
    return listing


def rows(name="path", caption="caption", suffix=".mp4"):
    return [{name: f"{colour}{suffix}", caption: f"a {colour} square"} for colour in COLOURS]


def as_csv(header, end="\n", delimiter=","):
    lines = [header, *(f"{colour}.mp4{delimiter}a {colour} square" for colour in COLOURS)]
    return end.join(lines) + end


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", as_csv("file_name,text")),
        ("metadata.jsonl", "\n".join(map(json.dumps, rows("file_name", "text")))),
        ("metadata.json", json.dumps(rows("file_name", "text"))),
        ("captions.tsv", as_csv("path\tcaption", delimiter="\t")),
        ("only.csv", as_csv("video,caption")),
    ],
)
def test_a_list_beside_media_says_what_the_clips_are(folder, name, content):
    (folder / name).write_text(content)
    (folder / "red.txt").write_text("not what the list says")
    (folder / "more.mp4").write_bytes((folder / "red.mp4").read_bytes())
    listing = check(folder)
    assert any("not in its list, left out: 1 (" in note and "more.mp4" in note for note in listing.notes)


def test_a_parquet_beside_media_is_read_and_so_are_lists_in_folders_of_splits(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split in ("test", "train"):
        write_films(tmp_path / split)
        pq.write_table(pa.Table.from_pylist(rows("file_name", "text")), tmp_path / split / "metadata.parquet")
    entries = read_manifest(tmp_path)
    assert [colour_of(entry) for entry in entries] == list(COLOURS) * 2
    assert [entry.caption for entry in entries] == FOUR * 2


def test_of_several_lists_beside_media_none_is_guessed_and_all_are_named(folder):
    for name in ("train.csv", "val.csv"):
        (folder / name).write_text(as_csv("path,caption"))
    (folder / "costs.csv").write_text("month,sum\nmay,3\n")
    listing = read_listing(folder)
    assert [entry.captions for entry in listing.entries] == [()] * 4
    assert any("name it: 2 (train.csv, val.csv)" in note for note in listing.notes)
    assert any("not read as lists" in note and "costs.csv" in note for note in listing.notes)
    check(folder / "val.csv")


def test_names_and_prompts_are_read_line_by_line(tmp_path):
    write_films(tmp_path / "videos")
    (tmp_path / "videos.txt").write_text("".join(f"videos/{colour}.mp4\n" for colour in COLOURS))
    (tmp_path / "prompts.txt").write_text("\n".join(FOUR))
    check(tmp_path)
    check(tmp_path / "videos.txt")
    (tmp_path / "prompts.txt").write_text("\n".join(FOUR[:3]))
    with pytest.raises(ValueError, match=r"videos\.txt has 4 lines and prompts\.txt 3"):
        read_manifest(tmp_path / "videos.txt")
    assert any("is not read" in note and "prompts.txt 3" in note for note in read_listing(tmp_path).notes)
    (tmp_path / "videos.txt").unlink()
    assert any("no clip" in note and "prompts.txt" in note for note in read_listing(tmp_path).notes)


def test_webvid_names_files_by_number_and_folder(tmp_path):
    header = "videoid,contentUrl,duration,page_dir,name\r\n"
    lines = [
        f'10{number},https://example.org/v.mp4,PT00H00M03S,000001_000050,"a {colour} square"\r\n'
        for number, colour in enumerate(COLOURS)
    ]
    (tmp_path / "results.csv").write_text(header + "".join(lines))
    with pytest.raises(ValueError) as raised:
        read_manifest(tmp_path / "results.csv")
    said = str(raised.value)
    assert "results.csv line 2: there is no 000001_000050/100.mp4" in said and "\n" not in said
    assert "columns are videoid, contentUrl, duration, page_dir, name; known are path (" in said
    names = [f"000001_000050/10{number}.mp4" for number in range(4)]
    write_films(tmp_path / "videos", names)
    check(tmp_path / "results.csv")
    (tmp_path / "videos" / names[2]).unlink()
    listing = read_listing(tmp_path / "results.csv")
    assert [bool(entry.problem) for entry in listing.entries] == [False, False, True, False]


@pytest.mark.parametrize("name", ["videoID", "video"])
def test_lists_of_times_in_cells_are_parts_of_their_film(folder, name):
    lines = [
        f'{colour}{"" if name == "videoID" else ".mp4"},"{TIMES}",'
        f'"[\'a {colour} left\', ""a {colour}\'s right""]",'
        '"[0.43, 0.39]"'
        for colour in COLOURS
    ]
    (folder / "panda.csv").write_text("\r\n".join([f"{name},timestamp,caption,matching_score", *lines]))
    entries = read_manifest(folder / "panda.csv")
    assert [(entry.start, entry.end) for entry in entries] == [(0.0, 0.25), (0.25, 0.5)] * 4
    assert [colour_of(entry) for entry in entries] == [colour for colour in COLOURS for _ in range(2)]
    assert [entry.captions for entry in entries[:2]] == [("a red left",), ("a red's right",)]
    assert [entry.extra for entry in entries[:2]] == [{"matching_score": 0.43}, {"matching_score": 0.39}]


def test_other_forms_of_parts_and_what_is_wrong_with_some(folder):
    values = [
        {"path": "red.mp4", "timestamps": [[0, 0.25], [0.3, 0.3]], "sentences": ["a", "b"]},
        {"path": "red.mp4", "timestamp": [0.1, 0.4], "caption": "a"},
        {"path": "red.mp4", "timestamp": 1598301, "caption": "a"},
        {"path": "red.mp4", "segments": [["0:00", "0:01"], ["0:01", "0:02"]], "caption": ["a"]},
    ]
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, values)))
    entries = read_manifest(folder / "list.jsonl")
    assert [(entry.start, entry.end, entry.captions) for entry in entries[:4]] == [
        (0.0, 0.25, ("a",)), (None, None, ()), (0.1, 0.4, ("a",)), (None, None, ("a",)),
    ]  # fmt: skip
    assert "part 2 is wrong: the part from 0.3 s to 0.3 s is empty" in entries[1].problem
    assert entries[3].extra == {"timestamp": 1598301}
    assert "it has 2 times and 1 captions" in entries[4].problem


@pytest.mark.parametrize(
    "content",
    [
        rows(),
        {"path": [f"{colour}.mp4" for colour in COLOURS], "caption": FOUR},
        {"version": 1, "data": rows()},
        {colour: {"caption": f"a {colour} square"} for colour in COLOURS},
        [
            {"id": f"{colour}-1", "video": f"{colour}.mp4", "conversations": [
                {"from": "human", "value": "<video>\nWhat is seen?"},
                {"from": "gpt", "value": f"a {colour}\nsquare"},
                {"from": "human", "value": "Does it move?"}, {"from": "gpt", "value": "No."},
            ]}
            for colour in COLOURS
        ],
        [
            {"videos": [f"{colour}.mp4"], "messages": [
                {"role": "user", "content": "<video>Describe it."},
                {"role": "assistant", "content": [{"type": "text", "text": f"a {colour} square"}]},
            ]}
            for colour in COLOURS
        ],
    ],
)  # fmt: skip
def test_json_in_all_its_forms(folder, content):
    (folder / "list.json").write_text(json.dumps(content, indent=1))
    check(folder / "list.json")
    (folder / "list.json").write_text(json.dumps({"path": ["a.mp4"], "caption": []}))
    with pytest.raises(ValueError, match="different lengths: path has 1, caption has 0"):
        read_manifest(folder / "list.json")


def test_white_space_of_captions_is_one_blank(folder):
    texts = [f'"The video shows a {colour} square.\nIt moves\u2028to the\r\n right."' for colour in COLOURS]
    lines = [f"{colour}.mp4,{text},5.1" for colour, text in zip(COLOURS, texts, strict=True)]
    (folder / "OpenVid.csv").write_text("\r\n".join(["video,caption,aesthetic score", *lines]), newline="")
    wanted = [f"The video shows a {colour} square. It moves to the right." for colour in COLOURS]
    assert check(folder / "OpenVid.csv", wanted).entries[0].extra == {"aesthetic score": 5.1}
    values = [row | {"caption": row["caption"].replace(" ", "\u2028")} for row in rows()]
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in values))
    check(folder / "a.jsonl")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".txt"])
def test_byte_order_marks(folder, encoding, suffix):
    content = {
        ".csv": as_csv("path,caption"), ".tsv": as_csv("path\tcaption", delimiter="\t"),
        ".jsonl": "\n".join(map(json.dumps, rows())), ".json": json.dumps(rows()),
        ".txt": as_csv("# names and captions", delimiter=" "),
    }  # fmt: skip
    (folder / f"list{suffix}").write_text(content[suffix], encoding=encoding)
    check(folder / f"list{suffix}")


@pytest.mark.parametrize(
    "content",
    [
        as_csv("path, caption", delimiter=", "),
        as_csv("Path,Caption"),
        as_csv("File Name;TEXT", delimiter=";"),
        as_csv("path,caption", end="\r"),
        as_csv("path,caption,", end=",\n"),
        "\n" + as_csv("path,caption", end="\n\n"),
        as_csv("path,caption").split("\n", 1)[1],
        "id,path,caption\n" + "".join(f'{n},"{c}.mp4", "a {c} square"\n' for n, c in enumerate(COLOURS)),
    ],
)
def test_dialects_of_csv(folder, content):
    (folder / "list.csv").write_text(content, newline="")
    check(folder / "list.csv")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0:00:00.125", 0.125),
        ("00:00,125", 0.125),
        ("0.125", 0.125),
        ("0.125s", 0.125),
        ("01:02:03.5", 3723.5),
        (2, 2),
    ],
)
def test_times(value, expected):
    assert seconds("start", value) == expected


@pytest.mark.parametrize("value", ["soon", "1:2:3:4", "-1", "nan", "inf", True, [1], f"{9 * 10**400}:00:00"])
def test_what_is_no_time(value):
    with pytest.raises(ValueError, match="expected seconds or hh:mm:ss"):
        seconds("start", value)


def test_numbers_and_booleans_of_cells_are_typed_where_they_read_back_the_same(folder):
    lines = [f"{colour}.mp4,{n},{n % 2 == 0},007,1e5,16" for n, colour in enumerate(COLOURS)]
    (folder / "list.csv").write_text("\n".join(["path,take,audio,code,odd,Height", *lines]))
    first, *_ = read_manifest(folder / "list.csv")
    assert first.extra == {"take": 0, "audio": True, "code": "007", "odd": "1e5", "height": 16}
    values = [{"path": f"{colour}.mp4", "audio": n % 2 == 0, "rate": 2.0} for n, colour in enumerate(COLOURS)]
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, values)))
    for name in ("list.csv", "list.jsonl"):
        for true in ("true", "True"):
            chosen = read_manifest(folder / name, {"audio": true})
            assert [entry.path.stem for entry in chosen] == ["red", "blue"]
    assert len(read_manifest(folder / "list.jsonl", {"rate": "2"})) == 4
    assert len(read_manifest(folder / "list.csv", {"code": "007"})) == 4
    with pytest.raises(ValueError, match="no clip with code=7"):
        read_manifest(folder / "list.csv", {"code": "7"})
    assert [typed(each) for each in ("1_000", "nan", " 1", "0.50", "-3", "0.5")] == [
        "1_000",
        "nan",
        " 1",
        "0.50",
        -3,
        0.5,
    ]


BAD = {
    ".csv": (
        b"path,caption\nred.mp4,a red square\n",
        b"green.mp4,caf\xe9\n",
        b"blue.mp4,a,b,c\n",
        b"blue.mp4,a blue square\n",
    ),
    ".jsonl": (
        b'{"path": "red.mp4", "caption": "a red square"}\n',
        b'{"path": "green.mp4", "caption": "caf\xe9"}\n',
        b"{\n",
        b'{"path": "blue.mp4", "caption": "a blue square"}\n',
    ),
    ".txt": (
        b"red.mp4 a red square\n",
        b"green.mp4 caf\xe9\n",
        b"no name of a file\n",
        b"blue.mp4,a blue square\n",
    ),
}


@pytest.mark.parametrize("suffix", BAD)
def test_a_bad_line_costs_its_clip_and_is_named(folder, suffix):
    (folder / f"list{suffix}").write_bytes(b"".join(BAD[suffix]))
    first, latin, broken, last = read_manifest(folder / f"list{suffix}")
    assert (first.caption, last.caption) == ("a red square", "a blue square")
    number = 3 if suffix == ".csv" else 2
    for entry, line, said in ((latin, number, "it is not UTF-8 (byte 0xe9)"), (broken, number + 1, "")):
        with pytest.raises(MediaError) as raised:
            entry.media  # noqa: B018
        assert str(raised.value).startswith(f"{folder / f'list{suffix}'} line {line}: {said}")
    (folder / f"list{suffix}").write_bytes(b"".join(BAD[suffix][1:3]))
    with pytest.raises(ValueError, match=r"no row of list|not a text") as raised:
        read_manifest(folder / f"list{suffix}")
    assert "\n" not in str(raised.value)


def test_a_quote_too_many_costs_its_line(folder):
    lines = ['red.mp4,"a red square', *as_csv("path,caption").splitlines()[2:]]
    (folder / "list.csv").write_text(
        "\n".join(["path,caption", *lines, 'yellow.mp4,"a last, ""quoted"" one"'])
    )
    entries = read_manifest(folder / "list.csv")
    assert [bool(entry.problem) for entry in entries] == [True, False, False, False, False]
    assert "list.csv line 2: it has another number of cells" in f"{entries[0].path}: {entries[0].problem}"
    assert entries[-1].caption == 'a last, "quoted" one'


def test_bad_lines_do_not_hide_behind_a_condition(folder):
    lines = ['{"path": "red.mp4", "group": "a"}', '{"path": "green.mp4", "group": "b"}', "{"]
    (folder / "list.jsonl").write_text("\n".join(lines))
    good, bad = read_manifest(folder / "list.jsonl", {"group": "a"})
    assert good.path.name == "red.mp4" and bad.problem
    with pytest.raises(ValueError, match="no clip with group=c; group is a, b"):
        read_manifest(folder / "list.jsonl", {"group": "c"})


def test_files_are_found_by_name_where_a_list_lies_beside_their_folder(tmp_path):
    write_films(tmp_path / "video" / "deep")
    (tmp_path / "list.csv").write_text(as_csv("video,caption"))
    listing = check(tmp_path / "list.csv")
    assert any("found by their names in other folders: 4" in note for note in listing.notes)
    write_films(tmp_path / "other", ["red.mp4"])
    first, *_ = read_manifest(tmp_path / "list.csv")
    assert first.path == tmp_path / "red.mp4"  # two files of that name: neither is guessed


def test_kinetics_names_hold_the_times(tmp_path):
    write_films(tmp_path, ["red_000010_000020.mp4", "green.mp4"])
    text = "label,youtube_id,time_start,time_end\nswimming,red,10,20\nswimming,green,0,0.25\n"
    (tmp_path / "k.csv").write_text(text)
    cut, whole = read_manifest(tmp_path / "k.csv")
    assert (colour_of(cut), cut.start, cut.end) == ("red", None, None)
    assert (colour_of(whole), whole.start, whole.end) == ("green", 0.0, 0.25)


def test_a_number_beside_a_path_is_kept_as_a_key(folder):
    (folder / "list.csv").write_text("id,path,caption,page_dir\n7,red.mp4,a red square,x\n")
    (entry,) = read_manifest(folder / "list.csv", {"id": "7"})
    assert colour_of(entry) == "red" and entry.extra == {"id": "7", "page_dir": "x"}


def test_class_folders_give_class_and_group(tmp_path):
    write_films(tmp_path, ["Archery/v_Archery_g01_c02.avi", "Archery/v_Archery_g02_c01.avi", "Bowling/b.mp4"])
    entries = read_manifest(tmp_path)
    assert [entry.extra for entry in entries] == [
        {"class": "Archery", "group": "g01"}, {"class": "Archery", "group": "g02"}, {"class": "Bowling"},
    ]  # fmt: skip
    assert len(read_manifest(tmp_path, {"class": "Archery"})) == 2
    (tmp_path / "Bowling" / "b.json").write_text('{"class": "bowls"}')
    assert read_manifest(tmp_path)[2].extra == {"class": "bowls"}
    (tmp_path / "trainlist01.txt").write_text("Archery/v_Archery_g01_c02.avi 1\nBowling/b.mp4 2\n")
    first, second = read_manifest(tmp_path / "trainlist01.txt")
    assert first.extra == {"label": 1} and second.path == tmp_path / "Bowling/b.mp4"


def test_cells_that_spell_lists_are_parsed_within_bounds():
    assert listed("['a', \"b's\"]") == ["a", "b's"] and listed('["a", null]') == ["a", None]
    assert listed("['a cat' 'a dog']") == ["a cat", "a dog"]
    assert listed("[a scene] with a cat") == "[a scene] with a cat"
    assert listed("[__import__('os')]") == "[__import__('os')]" and listed("[1 ** 9]") == "[1 ** 9]"
    for hostile in ("[" * 100_000, "[" * 9 + "]" * 9, "[" + "-" * 100_000 + "1]", "['a'" + " 'a'" * 300_000):
        try:
            assert isinstance(listed(hostile), str)
        except ValueError as error:
            assert "too deeply" in str(error) or "characters" in str(error)


def test_names_that_no_file_can_have_cost_their_line(folder):
    (folder / "list.csv").write_text(
        f"path,caption\n{'a' * 5000}.mp4,a\nred.mp4/b.mp4,a\nred.mp4,a red square\n"
    )
    *gone, red = read_manifest(folder / "list.csv")
    assert red.caption == "a red square" and len(gone) == 2
    (folder / "list.json").write_text(
        '[{"id": "../red"}, {"id": "red", "page_dir": "../clips"}, {"id": "red"}]'
    )
    first, second, third = read_manifest(folder / "list.json")
    assert first.problem and not second.problem and colour_of(third) == "red"
