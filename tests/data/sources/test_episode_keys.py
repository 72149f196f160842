"""Actions in people's own lists of clips."""

import json

import pytest

from videolm.data.sources.manifest import read_manifest

GOOD = {"path": "a.mp4", "actions": [2, 2, 0], "rewards": [0, 0.5, 1], "terminated": True}


def entry_of(folder, name, text):
    (folder / name).write_text(text)
    return read_manifest(folder / name)[0]


def test_actions_of_any_kind_of_list_are_the_same(tmp_path):
    import pyarrow
    import pyarrow.parquet

    line = json.dumps(GOOD)
    found = [entry_of(tmp_path, "captions.jsonl", line), entry_of(tmp_path, "list.json", f"[{line}]")]
    cells = 'path,actions,rewards,terminated\na.mp4,"[2, 2, 0]","[0, 0.5, 1]",true\n'
    found.append(entry_of(tmp_path, "list.csv", cells))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([GOOD]), tmp_path / "list.parquet")
    found.append(read_manifest(tmp_path / "list.parquet")[0])
    for entry in found:
        assert not entry.problem
        assert entry.extra == {name: value for name, value in GOOD.items() if name != "path"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rewards": [0, 1]}, "there are 3 actions and 2 rewards"),
        ({"rewards": 3}, "rewards are 3; expected a list"),
        ({"rewards": [0, None, 1]}, "rewards 1 is None; expected a finite number"),
        ({"terminated": [True]}, "there are 3 actions and 1 terminated"),
        ({"terminated": "yes"}, "terminated are 'yes'"),
        ({"actions": []}, "as many values for each step"),
        ({"actions": [[1], [1, 2], [1]]}, "as many values for each step"),
        ({"actions": [1, [1], 1]}, "as many values for each step"),
        ({"actions": [1, {}, 1]}, "action 1 has {}"),
        ({"actions": [1, float("nan"), 1]}, "action 1 has nan"),
        ({"actions": [[1, float("inf")]] * 3}, "action 0 has inf"),
        ({"actions": [1, 10**400, 1]}, "action 1 has 1000"),
        ({"action_rate": 0}, "action_rate is 0; expected actions per second"),
    ],
)
def test_what_does_not_fit_is_a_problem_of_its_line(tmp_path, change, words):
    lines = [json.dumps(GOOD), json.dumps(GOOD | change)]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    good, bad = read_manifest(tmp_path / "captions.jsonl")
    assert not good.problem
    assert bad.path.name == "captions.jsonl line 2" and words in bad.problem


def test_a_column_of_that_name_with_texts_is_a_key_like_any_other(tmp_path):
    """Charades keeps its labels there."""
    entry = entry_of(tmp_path, "list.csv", "id,path,actions\nX,a.mp4,c092 11.90 21.20;c147 0.00 12.60\n")
    assert not entry.problem
    assert entry.extra["actions"] == "c092 11.90 21.20;c147 0.00 12.60"


def test_parts_of_a_film_each_know_all_its_actions(tmp_path):
    line = {"path": "a.mp4", "timestamp": [[0, 1], [1, 2], [2, 3]], "actions": [0, 1, 2]}
    (tmp_path / "captions.jsonl").write_text(json.dumps(line))
    parts = read_manifest(tmp_path / "captions.jsonl")
    assert [part.extra["actions"] for part in parts] == [[0, 1, 2]] * 3
