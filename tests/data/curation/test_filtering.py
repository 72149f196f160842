"""`videolm data filter`: shots, and which of them stay."""

import json
import weakref

import pytest
import torch
from films import COLOURS, colour_of

from videolm.cli import main as cli
from videolm.data.analysis.shots import find_cuts, hamming_distance, mark_cuts, measure_shot
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.sources.manifest import read_manifest
from videolm.data.synthetic.corpus import Corpus


def frames_of(number, num_frames=12, **settings):
    return Corpus(height=64, width=64, num_frames=num_frames, fps=8.0, **settings)[number].frames


def test_cuts_are_found_and_motion_is_none():
    one, other = frames_of(0), 255 - frames_of(3)
    assert find_cuts(torch.cat([one, other, one])) == [12, 24]
    assert [find_cuts(frames_of(number, 24)) for number in range(8)] == [[]] * 8
    assert find_cuts(one[:1]) == []


def test_native_rates_repeated_frames_and_flashes():
    one, other = frames_of(0, 24), 255 - frames_of(3, 24)
    for times in (2, 3):
        slow = torch.cat([one, other]).repeat_interleave(times, 0)  # 8 frames a second, shown as 16 or 24
        assert find_cuts(slow, 8.0 * times) == [24 * times]
        assert find_cuts(torch.cat([one[:13], other]), 8.0 * times) == [13]
    flash = one.clone()
    flash[10:12] = 255 - flash[10:12]
    assert find_cuts(flash, 24.0) == [] and find_cuts(flash, 8.0) == [10, 12]
    quick = [piece for n in range(6) for piece in (one[2 * n : 2 * n + 12], other[2 * n : 2 * n + 12])]
    assert find_cuts(torch.cat(quick), 24.0) == list(range(12, 144, 12))


def test_a_flat_picture_that_grows_brighter_is_no_cut():
    for step in (0.5, 1, 2, 5):
        levels = (torch.arange(48) * step).to(torch.uint8)
        assert find_cuts(levels[:, None, None, None].expand(-1, 16, 16, 3), 24.0) == []


def test_measures_need_no_more_than_a_frame_at_a_time():
    frames = frames_of(2)
    grey = frames.float().mean(-1)
    inner = grey[:, 1:-1, 1:-1]
    sides = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    measures = measure_shot(frames)
    assert measures.motion == pytest.approx((grey[1:] - grey[:-1]).abs().mean().item(), rel=1e-5)
    assert measures.sharpness == pytest.approx((sides - 4 * inner).std().item(), rel=1e-4)


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
    counts, number, *left_out, wrote = capsys.readouterr().out.splitlines()
    assert counts == "2 kept, 0 short, 1 still, 0 blurred, 1 doubled, 1 unreadable"
    assert number == "files of which nothing is kept: 3" and wrote == f"wrote {out}"
    assert left_out[:2] == [f"  {tmp_path / 'copy.mp4'}: 1 doubled", f"  {tmp_path / 'still.mp4'}: 1 still"]
    assert left_out[2].startswith(f"  {tmp_path / 'text.mp4'}: not a media file")
    first, second = read_manifest(out)
    assert (first.start, first.end, second.start, second.end) == (0.0, 1.5, 1.5, 3.0)
    assert {first.path.name, second.path.name} == {"a.mp4"} and first.caption == "two shots"
    assert json.loads(out.read_text().splitlines()[0])["motion"] > 0.2


@pytest.mark.parametrize(
    ("suffix", "fps"),
    [
        (".mp4", 24.0),
        pytest.param(".webm", 24.0, marks=pytest.mark.long),
        pytest.param(".mp4", 29.97, marks=pytest.mark.long),
        pytest.param(".webm", 59.94, marks=pytest.mark.long),
    ],
)
def test_a_shot_keeps_no_frame_of_the_next_one_at_whatever_rate_it_is_read(tmp_path, suffix, fps):
    lengths = {"red": 37, "green": 41, "blue": 20, "yellow": 31}
    parts = [
        torch.tensor(COLOURS[name], dtype=torch.uint8).expand(n, 16, 16, 3) for name, n in lengths.items()
    ]
    write_clip(Clip(torch.cat(parts), fps), tmp_path / f"a{suffix}")
    out = tmp_path / "list.jsonl"
    assert cli.main(["data", "filter", str(tmp_path), "--out", str(out), "--num-workers", "1"]) == 0
    entries = read_manifest(out)
    assert [colour_of(entry) for entry in entries] == list(COLOURS)
    for entry, (name, number) in zip(entries, lengths.items(), strict=True):
        for rate in (None, fps, 8.0, 10.0, 25.0, 60.0):
            clip = read_clip(entry.media, start=entry.start, end=entry.end, fps=rate)
            off = (clip.frames.float().mean((1, 2)) - torch.tensor(COLOURS[name])).abs().amax(1)
            assert off.max() < 40, (name, rate, off)
            assert abs(clip.num_frames - number / fps * clip.fps) <= 1
    assert read_clip(entries[0].media, start=0.0, end=entries[0].end).num_frames == 37


def test_a_film_of_any_length_is_cut(tmp_path, capsys):
    colours = [
        torch.tensor(COLOURS[name], dtype=torch.uint8).expand(1050, 16, 16, 3) for name in ("red", "blue")
    ]
    write_clip(Clip(torch.cat(colours), 1.0), tmp_path / "a.mp4")
    out = tmp_path / "list.jsonl"
    assert cli.main(["data", "filter", str(tmp_path), "--out", str(out), "--num-workers", "1"]) == 0
    assert [(entry.start, entry.end) for entry in read_manifest(out)] == [(0.0, 1050.0), (1050.0, 2100.0)]


def test_shots_of_a_part_stay_inside_it(tmp_path):
    write_clip(Clip(torch.cat([frames_of(0), 255 - frames_of(3), frames_of(0)]), 8.0), tmp_path / "a.mp4")
    (tmp_path / "in.jsonl").write_text('{"path": "a.mp4", "start": 0.5, "end": 2.25}')
    out = tmp_path / "list.jsonl"
    assert (
        cli.main(["data", "filter", str(tmp_path / "in.jsonl"), "--out", str(out), "--num-workers", "1"]) == 0
    )
    assert [(entry.start, entry.end) for entry in read_manifest(out)] == [(0.5, 1.5), (1.5, 2.25)]


def test_frames_in_waiting_are_few_however_long_a_film_is():
    frame, alive = torch.zeros(8, 8, 3, dtype=torch.uint8), []

    def film():
        for number in range(3000):
            own = frame.clone()
            alive.append(weakref.ref(own))
            yield number / 24, own

    most = 0
    for number, _ in enumerate(mark_cuts(film())):
        if number % 100 == 0:
            most = max(most, sum(each() is not None for each in alive))
    assert 0 < most < 100


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
