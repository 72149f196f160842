"""`videolm data inspect`: counts, verdicts, a contact sheet."""

import json
import os

import pytest
import torch
from PIL import Image

from videolm.cli import main as cli
from videolm.data.curation.inspection import inspect_source
from videolm.data.media.clip import Clip, write_clip
from videolm.data.synthetic.corpus import Corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    corpus = Corpus(height=32, width=48, num_frames=12, fps=8.0, sample_rate=8000)
    write_clip(corpus[0], folder / "a.mp4")
    write_clip(Clip(corpus[1].frames, 8.0, torch.zeros(1, 12000), 8000), folder / "silent.mp4")
    write_clip(Clip(corpus[2].frames[:, :, :32].contiguous(), 4.0), folder / "mute.webm")
    write_clip(corpus[3].window(0, 1), folder / "photo.png")
    write_clip(corpus[4], folder / "sound.wav")
    (folder / "text.mp4").write_text("not a video")
    whole = (folder / "mute.webm").read_bytes()
    (folder / "cut.webm").write_bytes(whole[: len(whole) // 2])
    names = ["a.mp4", "a.mp4", "silent.mp4", "mute.webm", "photo.png", "sound.wav", "text.mp4", "gone.mp4"]
    lines = [{"path": name, "group": name[0]} for name in names]
    lines[0]["caption"] = "something"
    lines[1]["start"] = 0.5
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_verdicts_are_about_files_and_say_what_is_in_them(folder, capsys):
    assert cli.main(["data", "inspect", str(folder), "--json", "--num-workers", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    files = {each["path"].rpartition("/")[2]: each for each in found["files"]}
    assert [name for name, each in files.items() if not each["readable"]] == ["text.mp4", "gone.mp4"]
    assert "not a media file" in files["text.mp4"]["reason"] and "not there" in files["gone.mp4"]["reason"]
    film = files["a.mp4"]
    assert (film["height"], film["width"], film["fps"], film["num_frames"]) == (32, 48, 8.0, 12)
    assert film["seconds"] == 1.5 and film["loudness"] > 0.01 and film["clips"] == 2
    assert [files[name]["kind"] for name in ("photo.png", "sound.wav")] == ["image", "sound"]
    counts = found["overview"]
    assert (counts["files"], counts["clips"], counts["clips_with_captions"]) == (7, 8, 1)
    assert (counts["with_sound"], counts["silent_tracks"], counts["unreadable"]) == (3, 1, 2)
    assert counts["sizes"] == {"32x48": 3, "32x32": 1} and counts["aspect_ratios"]["3:2"] == 3


def test_a_sheet_shows_the_clips_and_the_text_names_what_is_unreadable(folder, tmp_path, capsys):
    arguments = ["data", "inspect", str(folder), "--num-workers", "1", "--quick"]
    assert cli.main([*arguments, "--where", "group=t", "--sheet", str(tmp_path / "a.jpg")]) == 2
    assert "a.jpg" in capsys.readouterr().err
    assert cli.main([*arguments, "--sheet", str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "7 files, 8 clips, 1 with captions" in lines
    assert sum("text.mp4" in line for line in lines) == 1
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (8 * 96, 96)
        shown = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8).reshape(96, 8, 96, 3)
    blank = [bool((shown[:, column] == 255).all()) for column in range(8)]
    assert blank == [False] * 4 + [True] * 4


def test_a_source_of_which_nothing_can_be_read_is_a_mistake_told_after_the_verdicts(folder, capsys):
    arguments = ["data", "inspect", str(folder), "--num-workers", "1"]
    assert cli.main([*arguments, "--json", "--where", "group=t"]) == 2
    printed = capsys.readouterr()
    (file,) = json.loads(printed.out)["files"]
    assert not file["readable"]
    (line,) = printed.err.splitlines()
    assert line.endswith(f"error: none of the 1 files can be read; the first: {file['reason']}")


def test_what_is_left_out_and_what_is_wrong_in_a_list_is_told(folder, tmp_path, capsys):
    lines = [json.dumps({"path": str(folder / "a.mp4"), "caption": "a"}), "{", '{"path": 3}']
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    assert cli.main(["data", "inspect", str(tmp_path / "list.jsonl"), "--num-workers", "1", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 files, 3 clips, 1 with captions"
    assert any(line.split() == ["unreadable", "2"] for line in lines)
    assert sum("list.jsonl line 2: " in line or "list.jsonl line 3: path is 3" in line for line in lines) == 2
    (tmp_path / "README.txt").write_text("on it")
    (tmp_path / "b.png").write_bytes((folder / "photo.png").read_bytes())
    (tmp_path / "list.jsonl").unlink()
    assert cli.main(["data", "inspect", str(tmp_path), "--num-workers", "1", "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.endswith("texts that belong to no clip, or to no single one: 1 (README.txt)")


def test_the_number_of_many_files_is_said_before_any_is_read(folder, tmp_path, capsys, monkeypatch):
    for number in range(1200):
        os.link(folder / "text.mp4", tmp_path / f"{number}.mp4")
    said = []

    def reading(function, indices, *_):
        said.append(capsys.readouterr().err)
        return map(function, indices)

    monkeypatch.setattr("videolm.data.curation.inspection.map_in_processes", reading)
    findings = inspect_source(str(tmp_path), {}, quick=True, num_workers=1, seconds=60).findings
    assert len(findings) == 1200 and all(finding.info is None for finding in findings)
    assert said == ["inspect: 1200 files are listed and now read\n"]
