"""JSON and YAML of anybody's files: read within bounds, or refused in one line."""

import json
import resource
import subprocess
import sys

import pytest

from videolm.data.runtime.files import read_json
from videolm.data.runtime.parsing import bounded_text, parse_json, parse_yaml

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
)


def said(read, *arguments) -> str:
    with pytest.raises(ValueError) as raised:
        read(*arguments)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300
    return str(raised.value)


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "levels deep"),
        ("[" * 150 + "]" * 150, "levels deep"),
        ('{"a": ' * 100_000, "levels deep"),
        ('{"text": "a \\ud800 b"}', "which is no character"),
        ('{"\\udfff": 1}', "which is no character"),
        ('{"seed": %s}' % ("9" * 400), "a whole number of"),
        ('{"seed": %s}' % ("9" * 5000), "4300"),
        ("{", "f.txt is not"),
    ],
)
def test_what_no_reader_can_use_is_refused_in_one_line(parse, text, message):
    assert message in said(parse, text, "f.txt")


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_what_is_in_bounds_is_read(parse):
    value = {"a": [1, 2.5, None, True], "b": {"é": "😀"}, "seed": 2**64 - 1, "deep": [[[[[]]]]]}
    assert parse(json.dumps(value, ensure_ascii=False), "f") == value


def test_aliases_of_yaml_are_read_while_they_stand_for_little():
    assert parse_yaml("base: &b {x: 1}\nother: {<<: *b, y: 2}\nlist: [*b, *b]", "f") == {
        "base": {"x": 1}, "other": {"x": 1, "y": 2}, "list": [{"x": 1}, {"x": 1}]
    }  # fmt: skip


@pytest.mark.parametrize("text", [BOMB, BOMB.replace("[*", "{<<: [*").replace("]", "]}")])
def test_aliases_that_stand_for_much_are_refused_before_they_are_built(text):
    assert "aliases stand for more than" in said(parse_yaml, text, "f") or "not YAML" in said(
        parse_yaml, text, "f"
    )


def test_an_alias_in_itself_is_refused():
    assert "inside of what it stands for" in said(parse_yaml, "a: &a [*a]", "f")


def test_a_file_of_eight_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(8 * 2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "has more than" in said(read_json, path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    assert "not UTF-8" in said(bounded_text, tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize(
    "command", [["chain", "--model", ".", "--out", "o"], ["lm", "fit", "--out", "o", "--config"]]
)
def test_a_bomb_ends_a_command_in_one_line_and_little_memory(tmp_path, command):
    (tmp_path / "bomb.yaml").write_text(BOMB)
    limit = f"import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, ({2**31}, {2**31})); "
    code = limit + "from videolm.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *command, str(tmp_path / "bomb.yaml")], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "aliases stand for more than" in done.stderr
    assert done.stderr.count("\n") == 1
