"""`videolm data filter`: shots, and which of them stay."""

import json

import pytest
import torch

from videolm.cli import main as cli
from videolm.data.analysis.shots import find_cuts, hamming_distance, measure_shot
from videolm.data.media.clip import Clip, write_clip
from videolm.data.sources.manifest import read_manifest
from videolm.data.synthetic.corpus import Corpus


def frames_of(number, num_frames=12, **settings):
    return Corpus(height=64, width=64, num_frames=num_frames, fps=8.0, **settings)[number].frames


def test_cuts_are_found_and_motion_is_none():
    one, other = frames_of(0), 255 - frames_of(3)
    assert find_cuts(torch.cat([one, other, one])) == [12, 24]
    assert [find_cuts(frames_of(number, 24)) for number in range(8)] == [[]] * 8
    assert find_cuts(one[:1]) == []


def test_looks_tell_still_from_moving_blurred_from_sharp_and_copies_from_others():
    frames = frames_of(1)
    assert measure_shot(frames[:1].expand(12, -1, -1, -1)).motion == 0 < measure_shot(frames).motion
    blurred = torch.nn.functional.avg_pool2d(frames.permute(0, 3, 1, 2).float(), 7, 1, 3)
    blurred = blurred.permute(0, 2, 3, 1).to(torch.uint8)
    assert measure_shot(blurred).sharpness < measure_shot(frames).sharpness / 2
    own = measure_shot(frames).fingerprint
    brighter = (frames.float() * 0.9 + 12).to(torch.uint8)
    assert hamming_distance(own, measure_shot(brighter).fingerprint) < 4
    others = [measure_shot(frames_of(number)).fingerprint for number in range(2, 8)]
    assert sum(hamming_distance(own, other) >= 4 for other in others) >= 5


def test_the_list_holds_the_shots_that_may_stay(tmp_path, capsys):
    one, other = frames_of(0), 255 - frames_of(3)
    write_clip(Clip(torch.cat([one, other]), 8.0), tmp_path / "a.mp4")
    write_clip(Clip(one, 8.0), tmp_path / "copy.mp4")
    write_clip(Clip(frames_of(5)[:1].expand(12, -1, -1, -1).contiguous(), 8.0), tmp_path / "still.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "a.txt").write_text("two shots")
    out = tmp_path / "list.jsonl"
    wishes = ["--min-motion", "0.2", "--duplicates", "4", "--num-workers", "1"]
    assert cli.main(["data", "filter", str(tmp_path), "--out", str(out), *wishes]) == 0
    assert "2 kept, 0 short, 1 still, 0 blurred, 1 doubled, 1 unreadable" in capsys.readouterr().out
    first, second = read_manifest(out)
    assert (first.start, first.end, second.start, second.end) == (0.0, 1.5, 1.5, 3.0)
    assert {first.path.name, second.path.name} == {"a.mp4"} and first.caption == "two shots"
    assert json.loads(out.read_text().splitlines()[0])["motion"] > 0.2


def test_a_negative_number_is_refused_before_anything_is_read(tmp_path, capsys):
    out = tmp_path / "list.jsonl"
    assert cli.main(["data", "filter", str(tmp_path), "--out", str(out), "--duplicates", "-3"]) == 2
    assert "duplicates is -3; expected 0 or more" in capsys.readouterr().err


def test_a_filter_that_leaves_nothing_fails_and_writes_no_list(tmp_path, capsys):
    write_clip(Clip(frames_of(5)[:1].expand(12, -1, -1, -1).contiguous(), 8.0), tmp_path / "still.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    out = tmp_path / "list.jsonl"
    wishes = ["--min-motion", "0.2", "--num-workers", "1"]
    assert cli.main(["data", "filter", str(tmp_path), "--out", str(out), *wishes]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing is left of the 2 clips (1 still, 1 unreadable)" in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/list.jsonl", "there is no folder"),
        ("list.txt", "names no format; expected a suffix of .jsonl"),
        (".", "is a folder; name a file such as"),
    ],
)
@pytest.mark.parametrize("command", ["filter", "caption"])
def test_a_list_that_cannot_be_written_is_refused_before_anything_is_read(
    command, name, message, tmp_path, capsys
):
    assert cli.main(["data", command, str(tmp_path / "nowhere"), "--out", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())
