"""Encoding once more after the source or the shards have changed: nothing old is served as new."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from encoding import encode_source

from videolm.data.codes.shards import ShardReader
from videolm.data.media.clip import write_clip
from videolm.data.synthetic.corpus import Corpus
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

SIZES = {"height": 16, "width": 16, "num_frames": 5, "fps": 8.0}
SETTINGS = {"shard_size": 2, "windows": 1}


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    torch.manual_seed(0)
    config = VideoTokenizerConfig(bits=4, channels=4, multipliers=(1, 1), patch=4, spatial_strides=(1,),
                                  temporal_strides=(4,), temporal_kernel=4)  # fmt: skip
    return ClipEncoder(VideoTokenizer(config).eval(), None, **SIZES)


@pytest.fixture
def clips(tmp_path) -> Path:
    """Five films and a broken one, with captions."""
    folder, corpus = tmp_path / "clips", Corpus(**SIZES, sample_rate=None)
    folder.mkdir()
    for number in range(5):
        write_clip(corpus[number], folder / f"{number}.mp4")
    (folder / "5.mp4").write_bytes(b"no film")
    write_list(folder, {})
    return folder


def write_list(folder: Path, changes: dict[int, dict]) -> None:
    rows = [{"path": f"{number}.mp4", "caption": f"clip {number}"} for number in range(6)]
    rows = [row | changes.get(number, {}) for number, row in enumerate(rows)]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))


def content(folder: Path) -> list:
    reader = ShardReader(folder)
    return [
        (clip.captions, clip.path, clip.codes["visual"].tolist())
        for clip in map(reader.__getitem__, range(len(reader)))
    ]


def corrected(folder: Path) -> None:
    write_list(folder, {3: {"caption": "a corrected caption"}})


def cut(folder: Path) -> None:
    write_list(folder, {0: {"start": 0.1}, 2: {"end": 0.6}})


def with_another_key(folder: Path) -> None:
    write_list(folder, {1: {"group": "cats"}})


def replaced(folder: Path) -> None:
    """Of the same size and time: only the contents tell."""
    status = (folder / "1.mp4").stat()
    write_clip(Corpus(**SIZES, sample_rate=None)[77], folder / "1.mp4")
    data = (folder / "1.mp4").read_bytes()[: status.st_size]
    (folder / "1.mp4").write_bytes(data + bytes(status.st_size - len(data)))
    os.utime(folder / "1.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))


def repaired(folder: Path) -> None:
    shutil.copy(folder / "4.mp4", folder / "5.mp4")


def removed(folder: Path) -> None:
    rows = (folder / "captions.jsonl").read_text().splitlines()
    (folder / "captions.jsonl").write_text("\n".join(rows[:2] + rows[3:]))


CHANGES = [corrected, cut, with_another_key, replaced, repaired, removed]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_encoded_anew_and_counted(encoder, clips, tmp_path, capsys, change):
    encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS)
    assert "since these shards" not in capsys.readouterr().out
    change(clips)
    again = encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS)
    assert "since these shards were written" in capsys.readouterr().out
    fresh = encode_source(encoder, str(clips), tmp_path / "fresh", **SETTINGS)
    assert content(tmp_path / "shards") == content(tmp_path / "fresh")
    assert (again.clips, again.skipped) == (fresh.clips, fresh.skipped)


def test_the_counts_are_those_of_what_changed(encoder, clips, tmp_path, capsys):
    encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS)
    corrected(clips)
    encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS)
    said = capsys.readouterr().out
    assert (
        "1 parts of the source are new or have changed, and 1 are gone or have changed; 2 in 1 shards" in said
    )


def test_what_did_not_change_is_not_encoded_again(encoder, clips, tmp_path, capsys, monkeypatch):
    encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ClipEncoder, "encode", None)
    for name in ("clips", f"{clips}/", "./clips/../clips"):  # a relative path is an absolute one
        assert encode_source(encoder, name, tmp_path / "shards", **SETTINGS).clips == 5
    assert "since these shards" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "harm"),
    [(f"shard-00001.{suffix}", "deleted") for suffix in ("json", "jsonl", "safetensors")]
    + [(f"shard-00001.{suffix}", "flipped") for suffix in ("jsonl", "safetensors")]
    + [("index.json", "deleted")],
)
def test_a_part_of_a_shard_that_is_gone_or_damaged_is_written_again(encoder, clips, tmp_path, name, harm):
    encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS)
    before, path = content(tmp_path / "shards"), tmp_path / "shards" / name
    if harm == "deleted":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert encode_source(encoder, str(clips), tmp_path / "shards", **SETTINGS).clips == 5
    assert content(tmp_path / "shards") == before


def test_members_of_a_tar_count_with_the_tar(encoder, clips, tmp_path):
    import tarfile

    def pack(names: list[int]) -> None:
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            for place, number in enumerate(names):
                tar.add(clips / f"{number}.mp4", f"{place}.mp4")

    pack([0, 1, 2])
    encode_source(encoder, str(tmp_path / "a.tar"), tmp_path / "shards", **SETTINGS)
    pack([0, 3, 2])
    encode_source(encoder, str(tmp_path / "a.tar"), tmp_path / "shards", **SETTINGS)
    encode_source(encoder, str(tmp_path / "a.tar"), tmp_path / "fresh", **SETTINGS)
    assert content(tmp_path / "shards") == content(tmp_path / "fresh")
