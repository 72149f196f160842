import json
import os
import pickle
from dataclasses import replace

import pytest
import torch

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter

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
    """Clips 0 to `count`, of which shards that are there already are not written again."""
    writer = ShardWriter(folder, CLIPS, SOURCE)
    for number, start in enumerate(range(0, count, shard_size)):
        members = range(start, min(start + shard_size, count))
        names = [f"file-{member}" for member in members]
        if not writer.has(number, names):
            skipped = [("bad", "no reason")] if number == 0 else []
            writer.write(number, [clip(each, sounds=each % 3 != 0) for each in members], names, skipped)
    writer.finish()
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


class Killed(BaseException):
    pass


@pytest.mark.parametrize("killed_after", range(8))
def test_a_killed_writer_goes_on_without_a_lost_or_doubled_clip(tmp_path, monkeypatch, killed_after):
    """Whatever file it was about to put in place."""
    write(tmp_path / "whole", 9)
    replace_, calls = os.replace, []

    def killed(*arguments):
        if len(calls) == killed_after:
            raise Killed
        calls.append(arguments)
        replace_(*arguments)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        write(tmp_path / "parts", 9)
    monkeypatch.undo()
    write(tmp_path / "parts", 9)
    whole, parts = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "parts")
    )
    assert whole == parts
    reader = ShardReader(tmp_path / "parts")
    assert [reader.source_of(number) for number in range(len(reader))] == [f"file-{n}" for n in range(9)]
    assert reader.skipped == [("bad", "no reason")]


def test_writers_of_different_shards_do_not_disturb_each_other(tmp_path):
    writers = [ShardWriter(tmp_path, CLIPS, SOURCE) for _ in range(2)]
    writers[1].write(1, [clip(1)], ["file-1"])
    writers[0].write(0, [clip(0)], ["file-0"])
    writers[1].load()
    writers[1].finish()
    reader = ShardReader(tmp_path)
    assert [reader.source_of(number) for number in range(2)] == ["file-0", "file-1"]


def test_entries_that_have_changed_are_written_again(tmp_path):
    writer = write(tmp_path, 4)
    assert writer.has(0, [f"file-{number}" for number in range(4)])
    assert not writer.has(0, ["another", "file-1", "file-2", "file-3"])
    (tmp_path / "shard-00000.safetensors").write_bytes(b"half")
    assert not ShardWriter(tmp_path, CLIPS, SOURCE).has(0, [f"file-{number}" for number in range(4)])


def test_shards_beyond_the_last_are_removed(tmp_path):
    writer = write(tmp_path, 9)
    writer.finish(num_shards=1)
    assert len(ShardReader(tmp_path)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.json", "shard-00000.json", "shard-00000.jsonl", "shard-00000.safetensors",
    ]  # fmt: skip


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
        f"shard-0000{number}.{suffix}" for number in (0, 1) for suffix in ("safetensors", "jsonl", "json")
    }


def test_other_codes_are_not_mixed_in(tmp_path):
    write(tmp_path, 4)
    with pytest.raises(ValueError, match="holds codes made with video_tokenizer v1, now v2: choose another"):
        ShardWriter(tmp_path, replace(CLIPS, video_tokenizer="v2"), SOURCE)
    with pytest.raises(ValueError, match=r"holds codes made with source .*, now there: choose another"):
        ShardWriter(tmp_path, CLIPS, {"source": "there"})


def test_wrong_shapes_are_named(tmp_path):
    writer = ShardWriter(tmp_path, CLIPS, SOURCE)
    with pytest.raises(ValueError, match=r"visual codes of file-0 have the shape \(1, 1, 2\)"):
        writer.write(0, [replace(clip(0), codes={"visual": torch.zeros(1, 1, 2, dtype=torch.int64)})])
    with pytest.raises(ValueError, match="file-0 has no visual codes"):
        writer.write(0, [replace(clip(0), codes={"audio": clip(0).codes["audio"]})])


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
        ({"clips": {"height": 3}}, "is damaged"),
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


def test_a_file_in_place_of_the_folder_is_refused_before_clips_are_read(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file; expected a folder"):
        ShardWriter(tmp_path / "file", CLIPS, {})


def test_shards_in_object_storage_are_copied_as_they_are_needed(tmp_path, monkeypatch):
    import fsspec

    monkeypatch.setenv("VIDEOLM_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "local", 10)
    remote = fsspec.filesystem("memory")
    remote.put(str(tmp_path / "local"), "/bucket/codes", recursive=True)
    reader = pickle.loads(pickle.dumps(ShardReader("memory://bucket/codes")))
    assert len(reader) == 10 and not list((tmp_path / "cache").rglob("*.safetensors"))
    assert_same(reader[5], clip(5))
    assert [path.name for path in (tmp_path / "cache").rglob("*.safetensors")] == ["shard-00001.safetensors"]
    remote.rm("/bucket/codes/shard-00002.safetensors")
    with pytest.raises(FileNotFoundError, match=r"shard-00002\.safetensors is missing"):
        reader[9]
    with pytest.raises(FileNotFoundError, match=r"memory://bucket/none has no index\.json"):
        ShardReader("memory://bucket/none")
    with pytest.raises(ValueError, match=r"cannot be opened|not known"):
        ShardReader("nonsense://bucket/codes")


def test_codes_that_the_index_speaks_of_and_no_shard_has_are_named(tmp_path):
    write(tmp_path, 2)
    index = json.loads((tmp_path / "index.json").read_text())
    index["clips"]["variants"] = {"elsewhere": {}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="has no elsewhere codes, which the index speaks of"):
        ShardReader(tmp_path)[0]
