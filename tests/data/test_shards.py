import json
import pickle
from dataclasses import replace

import pytest
import torch

from videolm.data.clip_format import ClipFormat
from videolm.data.shards import CodedClip, ShardReader, ShardWriter

CLIPS = ClipFormat(
    height=8, width=8, num_frames=5, fps=8.0, grid=(2, 1, 2), temporal_stride=4, factors=(8, 4),
    video_tokenizer="v1", codebook_sizes=(16, 16), audio_frames=3, sample_rate=160, hop_length=32,
    audio_tokenizer="a1",
)  # fmt: skip
SOURCE = {"source": "here"}


def clip(number: int, sounds: bool = True) -> CodedClip:
    generator = torch.Generator().manual_seed(number)
    codes = {"visual": torch.randint(32, (2, 1, 2), generator=generator)}
    if sounds:
        codes["audio"] = torch.randint(16, (2, 3), generator=generator)
    return CodedClip(codes, (f"clip {number}", "ein Käse"), f"file-{number}", {"group": "g"})


def write(folder, count, shard_size=4):
    writer = ShardWriter(folder, CLIPS, SOURCE, shard_size)
    for number in range(writer.position, count):
        writer.add([clip(number, sounds=number % 3 != 0)])
    writer.flush()
    return writer


def assert_same(read: CodedClip, written: CodedClip):
    assert read.codes.keys() == written.codes.keys()
    for name, codes in written.codes.items():
        assert torch.equal(read.codes[name], codes)
    assert (read.captions, read.source, read.extra) == (written.captions, written.source, written.extra)


def test_clips_come_back_as_they_were_written(tmp_path):
    write(tmp_path, 10)
    reader = ShardReader(tmp_path)
    assert len(reader) == 10
    assert reader.clips == CLIPS
    for number in range(10):
        assert_same(reader[number], clip(number, sounds=number % 3 != 0))
        assert reader.has(number, "audio") == (number % 3 != 0)
        assert reader.has(number, "visual") and not reader.has(number, "masked")
    assert reader.captions(7) == ("clip 7", "ein Käse")
    assert reader.source_of(7) == "file-7"
    with pytest.raises(IndexError):
        reader[10]


def test_a_reader_can_be_sent_to_a_worker(tmp_path):
    write(tmp_path, 5)
    reader = ShardReader(tmp_path)
    assert torch.equal(reader[4].codes["visual"], clip(4).codes["visual"])  # a file is open now
    assert_same(pickle.loads(pickle.dumps(reader))[4], clip(4))


@pytest.mark.parametrize("killed_after", range(9))
def test_a_killed_writer_goes_on_without_a_lost_or_doubled_clip(tmp_path, killed_after):
    writer = ShardWriter(tmp_path, CLIPS, SOURCE, shard_size=4)
    for number in range(killed_after):
        writer.add([clip(number)], skipped=[("bad", "no reason")] if number == 1 else [])
    del writer  # whatever waited is lost with it
    writer = ShardWriter(tmp_path, CLIPS, SOURCE, shard_size=4)
    assert writer.position == killed_after // 4 * 4
    for number in range(writer.position, 9):
        writer.add([clip(number)], skipped=[("bad", "no reason")] if number == 1 else [])
    writer.flush()
    reader = ShardReader(tmp_path)
    assert [reader.source_of(number) for number in range(len(reader))] == [f"file-{n}" for n in range(9)]
    assert reader.skipped == [("bad", "no reason")]


def test_windows_of_one_entry_stay_together(tmp_path):
    """So that the position in the source says exactly what has been written."""
    writer = ShardWriter(tmp_path, CLIPS, SOURCE, shard_size=2)
    writer.add([clip(0), clip(1), clip(2)])
    assert ShardWriter(tmp_path, CLIPS, SOURCE).position == 1
    assert len(ShardReader(tmp_path)) == 3


def test_a_shard_cut_off_while_it_was_written_does_not_count(tmp_path):
    write(tmp_path, 4)
    (tmp_path / "shard-00001.safetensors").write_bytes(b"half")
    write(tmp_path, 6)
    reader = ShardReader(tmp_path)
    assert_same(reader[5], clip(5))


def test_nothing_is_written_twice(tmp_path):
    write(tmp_path, 6)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write(tmp_path, 6)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {"index.json"} | {
        f"shard-0000{number}.{suffix}" for number in (0, 1) for suffix in ("safetensors", "jsonl")
    }


def test_other_codes_are_not_mixed_in(tmp_path):
    write(tmp_path, 4)
    with pytest.raises(ValueError, match=r"another format .*video_tokenizer v1 and v2"):
        ShardWriter(tmp_path, replace(CLIPS, video_tokenizer="v2"), SOURCE)
    with pytest.raises(ValueError, match="another source"):
        ShardWriter(tmp_path, CLIPS, {"source": "there"})


def test_wrong_shapes_are_named(tmp_path):
    writer = ShardWriter(tmp_path, CLIPS, SOURCE)
    with pytest.raises(ValueError, match=r"visual codes of file-0 have the shape \(1, 1, 2\)"):
        writer.add([replace(clip(0), codes={"visual": torch.zeros(1, 1, 2, dtype=torch.int64)})])
    with pytest.raises(ValueError, match="file-0 has no visual codes"):
        writer.add([replace(clip(0), codes={"audio": clip(0).codes["audio"]})])


@pytest.mark.parametrize("suffix", ["safetensors", "jsonl"])
def test_a_missing_shard_is_named(tmp_path, suffix):
    write(tmp_path, 10)
    (tmp_path / f"shard-00001.{suffix}").unlink()
    with pytest.raises(FileNotFoundError, match=rf"shard-00001\.{suffix} is missing") as error:
        ShardReader(tmp_path)
    assert "\n" not in str(error.value)


def test_a_damaged_shard_is_named(tmp_path):
    write(tmp_path, 10)
    path = tmp_path / "shard-00001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    reader = ShardReader(tmp_path)
    assert_same(reader[1], clip(1))
    with pytest.raises(ValueError, match=r"shard-00001\.safetensors is damaged") as error:
        reader[5]
    assert "\n" not in str(error.value)
    path.write_bytes(content[:-9])
    with pytest.raises(ValueError, match=r"shard-00001\.safetensors is damaged: it has \d+ bytes"):
        ShardReader(tmp_path)


def test_damaged_captions_are_named(tmp_path):
    write(tmp_path, 4)
    path = tmp_path / "shard-00000.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("clip 1", "clip 7"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"shard-00000\.jsonl is damaged"):
        ShardReader(tmp_path)


def test_what_is_not_a_folder_of_codes_is_said_in_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a folder of codes: it has no index.json"):
        ShardReader(tmp_path)
    write(tmp_path, 4)
    index = json.loads((tmp_path / "index.json").read_text())
    for damage, message in [
        ({"format_version": 9}, "format_version 9; this videolm reads 1"),
        ({"clips": {"height": 3}}, "is not complete"),
    ]:
        (tmp_path / "index.json").write_text(json.dumps(index | damage))
        with pytest.raises(ValueError, match=message):
            ShardReader(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({k: v for k, v in index.items() if k != "shards"}))
    with pytest.raises(ValueError, match=r"lacks \['shards'\]"):
        ShardReader(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        ShardReader(tmp_path)
