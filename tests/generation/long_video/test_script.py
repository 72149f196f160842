"""Scripts of long videos, and the segments that follow from them."""

import pytest

from videolm.data.codes.clip_format import ClipFormat
from videolm.generation.long_video.script import Line, plan, read_script

CLIPS = ClipFormat(
    height=32, width=32, num_frames=17, fps=8.0, grid=(5, 4, 4), temporal_stride=4, factors=(8,),
    video_tokenizer="",
)  # fmt: skip


def segments(lines, **settings):
    planned, total = plan(lines, CLIPS, **({"given": 9, "seconds": None} | settings))
    return [(each.first, each.given, each.text) for each in planned], total


def test_a_line_is_a_segment_unless_it_says_how_long_it_holds():
    assert segments([Line("a"), Line("b"), Line("c")]) == (
        [(0, 0, "a"), (17, 9, "b"), (25, 9, "c")], 33,
    )  # fmt: skip
    held, total = segments([Line("a", 4.0), Line("b", 2.0)])
    assert held == [(0, 0, "a"), (17, 9, "a"), (25, 9, "a"), (33, 9, "b"), (41, 9, "b")]
    assert total == 48


def test_the_last_line_holds_until_the_end_and_what_is_too_long_is_cut():
    assert segments([Line("a"), Line("b")], seconds=5)[0][-2:] == [(25, 9, "b"), (33, 9, "b")]
    assert segments([Line("a", 60.0), Line("b")], seconds=3) == ([(0, 0, "a"), (17, 9, "a")], 24)
    assert segments([], seconds=3)[0] == [(0, 0, None), (17, 9, None)]


@pytest.mark.parametrize(("first", "given"), [(1, 1), (6, 5), (9, 9), (100, 9)])
def test_a_given_video_is_gone_on_from_with_as_many_frames_as_it_has(first, given):
    planned, _ = segments([Line("a")], seconds=20, first=first)
    assert planned[0] == (first, given, "a")
    assert planned[1] == (first + 17 - given, 9, "a")


def test_every_frame_is_made_once():
    planned, total = plan([Line("a", 2.3), Line("b", 4.1)], CLIPS, given=5, seconds=None, first=3)
    ends = [each.first + 17 - each.given for each in planned]
    assert [each.first for each in planned] == [3, *ends[:-1]]
    assert ends[-2] < total <= ends[-1]


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        ([], {}, "nothing says how long"),
        ([Line("a")], {"seconds": 0.0}, "seconds is 0; expected more than 0"),
        ([Line("a")], {"seconds": float("nan")}, "seconds is nan"),
        ([Line("a")], {"seconds": 1e9}, "at most 3600"),
        ([Line("a", 3000.0), Line("b", 3000.0)], {}, "last longer than 3600 s"),
        ([Line("a")], {"seconds": 1.0, "first": 8}, "lasts 1 s already"),
        ([Line("a", 4.0), Line("b", 0.1)], {}, "line 2 of the script lasts 0.1 s and is over before"),
    ],
)
def test_what_cannot_be_planned_is_refused(lines, settings, message):
    with pytest.raises(ValueError, match=message):
        segments(lines, **settings)


def test_scripts_are_read(tmp_path):
    (tmp_path / "s.txt").write_text("a red ball\n\n  a blue star \n")
    assert read_script(tmp_path / "s.txt") == [Line("a red ball"), Line("a blue star")]
    (tmp_path / "s.jsonl").write_text('{"text": "a", "seconds": 2}\n{"text": "b"}\n')
    assert read_script(tmp_path / "s.jsonl") == [Line("a", 2.0), Line("b")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a text a line"),
        ("{", ":1 is not valid JSON"),
        ('{"text": "a"}\n["b"]', ":2 says .*expected an object"),
        ('{"text": 3}', ":1 says .*expected an object"),
        ('{"text": "a", "second": 3}', ":1 says .*expected an object"),
        ('{"text": "a", "seconds": true}', ":1 says .*expected an object"),
        ('{"text": "a", "seconds": -1}', ":1: a line lasts -1 s"),
        ('{"text": " "}', ":1: a line of the script has no text"),
    ],
)
def test_files_that_are_no_scripts_are_refused(tmp_path, content, message):
    (tmp_path / "s.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_script(tmp_path / "s.jsonl")
