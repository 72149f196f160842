"""The command that scores clips by what is read off them."""

import json
import shutil
from pathlib import Path

import pytest

from videolm.examples.sprites.read_attributes import read_attributes
from videolm.examples.sprites.render import render


@pytest.fixture
def clips(sheets_folder: Path) -> list[str]:
    """Names of rendered clips in clips/."""
    render(sheets_folder, out=Path("clips"), clips=6, seed=2)
    return [json.loads(line)["path"] for line in Path("clips/captions.jsonl").read_text().splitlines()]


def rows(text: str) -> dict[str, list[float]]:
    lines = [line.split() for line in text.splitlines()]
    return {line[0]: [float(word) for word in line[1:]] for line in lines[1:] if len(line) == 4}


def test_rendered_clips_are_all_right(sheets_folder: Path, clips, capsys: pytest.CaptureFixture[str]):
    assert read_attributes(sheets_folder, "clips", out=Path("read.jsonl")) == [Path("read.jsonl")]
    table = rows(capsys.readouterr().out)
    assert set(table) == {"action", "direction", "body", "hair", "top", "bottom", "shoes", "all"}
    assert all(values == [1, 0, 0] for values in table.values())
    first = json.loads(Path("read.jsonl").read_text().splitlines()[0])
    assert first["asked"].items() <= first["read"].items()


def test_made_clips_are_scored_against_what_was_asked_for(
    sheets_folder: Path, clips, capsys: pytest.CaptureFixture[str]
):
    Path("made").mkdir()
    for name in clips[:4]:
        shutil.copy(f"clips/{clips[0]}", f"made/{name}")  # a model that always shows the same
    read_attributes(sheets_folder, "clips", made=Path("made"))
    out = capsys.readouterr().out
    assert f"2 of 6 clips, such as {Path(clips[4]).stem}, are not in made: left out" in out
    asked = [json.loads(line) for line in Path("clips/captions.jsonl").read_text().splitlines()][:4]
    right = sum(line["hair"] == asked[0]["hair"] for line in asked) / 4
    assert rows(out)["hair"] == [right, 1 - right, 0] and rows(out)["all"][0] == 0.25


def test_reconstructions_of_a_tokenizer_are_read(
    sheets_folder: Path, clips, model, capsys: pytest.CaptureFixture[str]
):
    model.save_pretrained("model")
    read_attributes(sheets_folder, "clips", model=Path("model"))
    assert rows(capsys.readouterr().out)["all"][0] == 0  # its weights are random


def test_sources_that_cannot_be_scored_are_said(sheets_folder: Path, clips):
    Path("empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty has no clip with a name of the source's"):
        read_attributes(sheets_folder, "clips", made=Path("empty"))
    with pytest.raises(ValueError, match="made and model are both given"):
        read_attributes(sheets_folder, "clips", made=Path("empty"), model=Path("empty"))
    Path("list.jsonl").write_text(json.dumps({"path": f"clips/{clips[0]}", "action": "walk"}))
    with pytest.raises(ValueError, match=r"list\.jsonl does not say direction, body, hair"):
        read_attributes(sheets_folder, "list.jsonl")
