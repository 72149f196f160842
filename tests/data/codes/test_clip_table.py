"""Columns of captions: what they say, and that they are made once on a machine."""

import json
import shutil

import numpy as np
import pytest
import torch

from videolm.data.codes import checked_files, clip_table
from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter
from videolm.data.sources.held_out import key_number

CLIPS = ClipFormat(8, 8, 5, 8.0, (2, 1, 2), 4, (8, 4), "v1")


def write(folder, count: int = 5) -> None:
    writer = ShardWriter(folder, CLIPS, {"source": str(folder), "split": ""})
    for shard in range(2):
        writer.write(shard, [clip(shard * count + number) for number in range(count)])
    writer.finish()


def clip(number: int) -> CodedClip:
    extra = {0: {}, 1: {"group": 7}, 2: {"group": "sieben"}, 3: {"long_caption": "at length"}}[number % 4]
    captions = ("ein Käse", f"clip {number}") if number % 2 else ()
    codes = {"visual": torch.full((2, 1, 2), number)}
    return CodedClip(codes, captions, f"s{number}", extra, f"a/{number}.mp4")


def test_columns_say_what_the_lines_say(tmp_path):
    write(tmp_path)
    columns = ShardReader(tmp_path).columns
    clips = [clip(number) for number in range(10)]
    assert columns.has_text.tolist() == [bool(each.captions or each.long_caption) for each in clips]
    assert columns.path.tolist() == [key_number(each.path) for each in clips]
    groups = [f"group {each.extra['group']}" if "group" in each.extra else "" for each in clips]
    assert columns.group.tolist() == [key_number(each) if each else 0 for each in groups]
    assert not columns.has_audio.any() and (columns.file == columns.path).all()


def test_parsing_at_once_and_one_by_one_agree(tmp_path):
    writer = ShardWriter(tmp_path, CLIPS, {})
    writer.write(0, [clip(number) for number in range(8) if number % 4 != 1])  # groups that are texts
    data = (tmp_path / "shard-00000.jsonl").read_bytes()
    at_once = clip_table._parsed_at_once(data)
    assert at_once == clip_table._parsed_one_by_one(data, tmp_path)


@pytest.mark.parametrize("line", ['{"captions": []}', "[]", '{"captions": [1], "source": "", "extra": {}}'])
def test_a_line_that_is_no_clip_is_refused(tmp_path, line):
    with pytest.raises(ValueError, match="has a line that is no clip"):
        clip_table._columns(f"{line}\n".encode(), tmp_path / "x.jsonl", {})


def test_a_table_is_made_once_and_again_for_other_captions(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOLM_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "shards")
    reader = ShardReader(tmp_path / "shards")
    assert isinstance(reader.columns.path, np.memmap)
    made = []

    def noted(*given, plain=clip_table._write):
        made.append(plain(*given))

    monkeypatch.setattr(clip_table, "_write", noted)
    assert ShardReader(tmp_path / "shards").captions(3) == reader.captions(3) and not made
    shutil.rmtree(tmp_path / "shards")
    write(tmp_path / "shards", count=4)
    assert len(ShardReader(tmp_path / "shards")) == 8 and len(made) == 1
    assert len(list((tmp_path / "cache" / "tables").iterdir())) == 1


def test_a_checksum_is_compared_once_on_a_machine_and_again_for_a_changed_file(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOLM_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "shards")
    hashed = []

    def noted(path, plain=checked_files.file_hash):
        hashed.append(path.name)
        return plain(path)

    monkeypatch.setattr(checked_files, "file_hash", noted)
    for _ in range(2):
        reader = ShardReader(tmp_path / "shards")
        assert [int(reader[number].codes["visual"][0, 0, 0]) for number in (0, 3, 7)] == [0, 3, 7]
    assert hashed == ["shard-00000.safetensors", "shard-00001.safetensors"]
    path = tmp_path / "shards" / "shard-00001.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"shard-00001\.safetensors is damaged"):
        ShardReader(tmp_path / "shards")[7]


def test_without_a_place_for_tables_captions_stay_in_memory(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOLM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    write(tmp_path / "shards")
    with pytest.warns(UserWarning, match="cannot be written"):
        reader = ShardReader(tmp_path / "shards")
        assert reader[3].captions == clip(3).captions


def test_the_number_of_lines_is_that_of_the_clips(tmp_path):
    write(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    index["shards"][0]["clips"] = 4
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="it has 5 clips; 4 were written"):
        ShardReader(tmp_path)
