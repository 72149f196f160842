from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from videolm.data.loading import probes as probes_module
from videolm.data.loading.buckets import Bucket, BucketBatches, BucketSchedule, assign
from videolm.data.loading.probes import Probes
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.probe import MediaInfo
from videolm.data.sources.entry import Entry

SQUARE = Bucket(num_frames=5, height=16, width=16, batch_size=2, share=0.6)
IMAGES = Bucket(num_frames=1, height=16, width=16, batch_size=4, share=0.25)
WIDE = Bucket(num_frames=5, height=16, width=28, batch_size=1, share=0.15)
ALL = [SQUARE, IMAGES, WIDE]


class Numbers(Dataset):
    """A source whose clips show nothing but which source and draw they are."""

    def __init__(self, bucket: int):
        self.bucket = bucket

    def __getitem__(self, draw: int) -> dict:
        return {"frames": torch.tensor([self.bucket, draw]), "caption": ""}


def draws(batches: BucketBatches, batch: int) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in batches[batch]["frames"].tolist()]


def sized(name: str, height: object, width: object) -> Entry:
    """A file that is not there, of a size that its line gives."""
    return Entry(Path(name), extra={"height": height, "width": width})


def written(path: Path, height: int, width: int, num_frames: int = 2) -> Entry:
    write_clip(Clip(torch.zeros(num_frames, height, width, 3, dtype=torch.uint8), 8.0), path)
    return Entry(path)


def test_any_thousand_batches_from_the_start_of_a_block_meet_the_shares():
    schedule = BucketSchedule(ALL, seed=3)
    for start in (0, 1000, 57_000):
        counts = Counter(schedule[batch][0] for batch in range(start, start + 1000))
        assert counts == {0: 600, 1: 250, 2: 150}


@pytest.mark.parametrize("shares", [(1, 1, 1), (5, 2, 0.01), (3e-3, 1e-3, 1), (700, 200, 100)])
def test_shares_of_any_scale_are_met_to_a_thousandth(shares):
    quotas = BucketSchedule([Bucket(1, 8, 8, 1, share) for share in shares], seed=0).quotas
    assert sum(quotas) == 1000
    for quota, share in zip(quotas, shares, strict=True):
        assert abs(quota / 1000 - share / sum(shares)) < 1e-3


def test_turns_of_each_bucket_count_its_batches_without_gaps():
    schedule = BucketSchedule(ALL, seed=0)
    counts = Counter()
    for batch in range(2500):
        bucket, turn = schedule[batch]
        assert turn == counts[bucket]
        counts[bucket] += 1


def test_the_schedule_is_a_function_of_seed_and_number_and_has_no_period():
    order = [BucketSchedule(ALL, seed=0)[batch] for batch in range(3000)]
    backwards = [BucketSchedule(ALL, seed=0)[batch] for batch in reversed(range(3000))]
    assert backwards[::-1] == order
    names = np.array([bucket for bucket, _ in order]).reshape(3, 1000)
    assert (names[0] != names[1]).any() and (names[1] != names[2]).any()
    assert order != [BucketSchedule(ALL, seed=1)[batch] for batch in range(3000)]


def test_an_epoch_of_clips_is_counted_in_batches_of_mean_size():
    schedule = BucketSchedule(ALL, seed=0)  # 0.6 * 2 + 0.25 * 4 + 0.15 * 1 = 2.35 clips a batch
    assert schedule.batches_of(2350) == 1000 and schedule.batches_of(2349) == 999
    shown = sum(ALL[schedule[batch][0]].batch_size for batch in range(1000))
    assert shown == 2350


def test_processes_share_the_bucket_of_a_batch_and_divide_its_draws():
    schedule = BucketSchedule(ALL, seed=0)
    sources = [Numbers(bucket) for bucket in range(3)]
    ranks = [BucketBatches(schedule, sources, rank, world_size=3) for rank in range(3)]
    seen = Counter()
    for batch in range(200):
        parts = [draws(each, batch) for each in ranks]
        bucket = schedule[batch][0]
        assert {number for part in parts for number, _ in part} == {bucket}
        assert {len(part) for part in parts} == {ALL[bucket].batch_size}
        seen.update(pair for part in parts for pair in part)
    assert set(seen.values()) == {1}
    for bucket in range(3):
        numbers = sorted(draw for number, draw in seen if number == bucket)
        assert numbers == list(range(len(numbers)))


def test_entries_belong_to_the_bucket_of_the_nearest_aspect_ratio(monkeypatch):
    monkeypatch.setattr(probes_module, "probe_header", lambda media: pytest.fail("sizes are given"))
    entries = [sized("square", 480, 480), sized("film", 1080, 1920), sized("tall", 640, 360)]
    # The geometric mean of 1 and 1.75 is 1.323; the arithmetic one, 1.375, is not where they part.
    entries += [sized("narrower", 1000, 1315), sized("wider", 1000, 1330)]
    (square, images, wide), unreadable = assign(entries, ALL)
    assert (square, wide, unreadable) == ([0, 2, 3], [1, 4], {})
    assert images == [0, 1, 2, 3, 4]


def test_buckets_of_one_aspect_ratio_share_their_entries():
    large = Bucket(num_frames=5, height=32, width=56, batch_size=1)
    members, _ = assign([sized("a", 10, 10), sized("b", 9, 16)], [SQUARE, WIDE, large])
    assert members == [[0], [1], [1]]


def test_a_bucket_that_no_entry_is_nearest_to_draws_from_all_videos():
    entries = [sized("a.mp4", 10, 10), sized("b.mp4", 12, 10), sized("c.png", 10, 10)]
    members, _ = assign(entries, ALL)
    assert members == [[0, 1], [0, 1, 2], [0, 1]]


def test_images_serve_only_buckets_of_one_frame():
    members, _ = assign([Entry(Path("a.JPG")), Entry(Path("b.mp4"))], [SQUARE, IMAGES])
    assert members == [[1], [0, 1]]


def test_sizes_are_looked_up_only_where_they_decide(monkeypatch):
    looked_up = []
    info = MediaInfo(10, 10, 8.0, 8, 1.0)
    monkeypatch.setattr(probes_module, "probe_header", lambda media: looked_up.append(str(media)) or info)
    entries = [Entry(Path("a.mp4")), Entry(Path("b.png")), sized("c.mp4", 10, 10)]
    assign(entries, [SQUARE, IMAGES])
    assert looked_up == []
    assign(entries, ALL)
    assert looked_up == ["a.mp4"]


def test_sizes_of_files_are_those_displayed(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.new("RGB", (28, 16)).save(tmp_path / "turned.jpg", exif=turned)
    entries = [Entry(tmp_path / "turned.jpg"), written(tmp_path / "wide.mp4", height=16, width=28)]
    probes = Probes(entries)
    assert [(probes[index].height, probes[index].width) for index in (0, 1)] == [(28, 16), (16, 28)]
    tall = Bucket(num_frames=1, height=28, width=16, batch_size=1)
    wide = Bucket(num_frames=1, height=16, width=28, batch_size=1)
    assert assign(entries, [tall, wide]) == ([[0], [1]], {})


def test_files_whose_size_cannot_be_read_are_left_out_with_the_reason(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"not a clip")
    entries = [
        Entry(tmp_path / "broken.mp4"),
        written(tmp_path / "a.mp4", 16, 16),
        Entry(tmp_path / "missing.mp4"),
        written(tmp_path / "b.mp4", 16, 28),
    ]
    members, unreadable = assign(entries, ALL)
    assert members == [[1], [1, 3], [3]]
    assert set(unreadable) == {0, 2}
    assert "broken.mp4: not a media file" in unreadable[0] and "missing.mp4 is not there" in unreadable[2]
    said = r"none of 1 clips can serve bucket 5 x 16x16: 0 are images, 1 unreadable; .*broken"
    with pytest.raises(ValueError, match=said):
        assign(entries[:1], ALL)


def test_a_bucket_with_nothing_to_draw_from_is_refused():
    with pytest.raises(ValueError, match="none of 2 clips can serve bucket 5 x 16x16: 2 are images"):
        assign([Entry(Path("a.png")), Entry(Path("b.png"))], ALL)


@pytest.mark.parametrize("size", [(10, None), (10, "wide"), (0, 1), (True, 1), (1, float("inf"))])
def test_a_line_with_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=r"a\.mp4: (height|width) is .*; expected both sides in pixels"):
        assign([sized("a.mp4", *size)], ALL)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"share": 0.0}, "share is 0.0 of bucket 5 x 16x16; expected a positive number"),
        ({"share": -1.0}, "share is -1.0"),
        ({"share": float("nan")}, "share is nan"),
        ({"batch_size": 0}, "batch_size is 0; expected 1 or more"),
        ({"num_frames": 0}, "num_frames is 0; expected 1 or more"),
        ({"width": -16}, "width is -16; expected 1 or more"),
    ],
)
def test_buckets_that_make_no_batch_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        BucketSchedule([WIDE, replace(SQUARE, **settings)], seed=0)


def test_a_bucket_that_would_never_come_up_is_refused():
    with pytest.raises(ValueError, match=r"share 0\.0001 of bucket 1 x 8x8 is under 1 in 1000 batches"):
        BucketSchedule([Bucket(1, 8, 8, 1), Bucket(1, 8, 8, 1, share=1e-4)], seed=0)


def test_an_empty_list_of_buckets_is_refused():
    with pytest.raises(ValueError, match="the list of buckets is empty"):
        BucketSchedule([], seed=0)
