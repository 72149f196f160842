"""Damaged and hostile input: each case is read or refused in words; none ends the run, hangs or runs code.

    VIDEOLM_FUZZ_CASES=1000 pytest tests/data/test_fuzzing.py

The cases follow from their number alone; without the variable there are about a hundred.
"""

import io
import json
import os
import pickle
import random
import tarfile

import pytest
import torch
from damage import VALUES, damaged, with_another_value
from safetensors.torch import save_file

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter
from videolm.data.media.clip import write_clip
from videolm.data.media.probe import probe
from videolm.data.media.reading import read_clip
from videolm.data.media.streams import MediaError
from videolm.data.media.writing import WRITABLE
from videolm.data.runtime.files import read_json
from videolm.data.runtime.pretrained import load_weights
from videolm.data.sources.manifest import read_manifest
from videolm.data.synthetic.corpus import Corpus

CASES = int(os.environ.get("VIDEOLM_FUZZ_CASES", "100"))
REFUSALS = (ValueError, FileNotFoundError)  # a MediaError is a ValueError


def share(part: float) -> range:
    return range(max(1, round(CASES * part)))


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    clip = Corpus(height=32, width=32, num_frames=6, fps=8.0, sample_rate=8000)[0]
    for suffix in WRITABLE:
        write_clip(clip.window(0, 1) if suffix == ".png" else clip, folder / f"a{suffix}")
    return {suffix: (folder / f"a{suffix}").read_bytes() for suffix in WRITABLE}


def refused_or(read, *arguments, **settings):
    """The result, or None where the input is refused in one line."""
    try:
        return read(*arguments, **settings)
    except REFUSALS as error:
        assert str(error) and "\n" not in str(error), repr(error)
        return None


@pytest.mark.parametrize("suffix", WRITABLE)
def test_damaged_media_are_read_or_refused(tmp_path, originals, suffix):
    for case in share(0.1):
        path = tmp_path / f"{case}{suffix}"
        path.write_bytes(damaged(originals[suffix], random.Random(f"{suffix} {case}")))
        found = refused_or(probe, path)
        clip = refused_or(read_clip, path, fps=8.0, height=16, width=16, sample_rate=8000)
        assert clip is None or clip.frames.shape[1:] == (16, 16, 3)
        if found is not None and found[0].kind != "sound":
            assert found[0].num_frames > 0
    assert len(list(tmp_path.iterdir())) == len(share(0.1))
    (tmp_path / f"whole{suffix}").write_bytes(originals[suffix])
    assert refused_or(probe, tmp_path / f"whole{suffix}") is not None


def test_lists_of_wrong_types_are_read_or_refused(tmp_path):
    for case in share(0.15):
        chance = random.Random(case)
        keys = ["path", "caption", "start", "end", "height", "file_name", "text", "odd"]
        chosen = (chance.sample(keys, chance.randrange(1, 6)) for _ in range(2))
        rows = [{key: chance.choice(VALUES) for key in each} for each in chosen]
        path = tmp_path / f"{case}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        for entry in refused_or(read_manifest, path) or ():
            assert all(isinstance(each, str) for each in entry.captions)
            assert refused_or(lambda entry=entry: read_clip(entry.media)) is None
        cells = [["path", "caption", "start", "end"]]
        cells += [[str(chance.choice(VALUES)) for _ in range(4)] for _ in range(3)]
        (tmp_path / "a.csv").write_text("\n".join(",".join(row) for row in cells))
        refused_or(read_manifest, tmp_path / "a.csv")
    good = tmp_path / "good.parquet"
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist([{"path": "a.mp4", "caption": "a"}] * 5), good)
    for case in share(0.1):
        path = tmp_path / "bad.parquet"
        path.write_bytes(damaged(good.read_bytes(), random.Random(case)))
        refused_or(read_manifest, path)


def bomb(marker) -> bytes:
    """A pickle that makes a file when it is loaded."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    return pickle.dumps(Evil())


def hostile_tar(path, originals, marker, chance):
    types = b"0123456"  # files, links, devices, folders, pipes
    names = ("a", "b", "../a", "../../b", "/tmp/c", "./d/e", "..", "a/../../f", "C:\\g")
    kind = chance.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(path, "w", format=kind) as archive:
        for _ in range(chance.randrange(1, 8)):
            suffix = chance.choice((*WRITABLE, ".txt", ".json", ".pkl", ".pyd", ".pt", ""))
            data = originals.get(suffix, bomb(marker))
            header = tarfile.TarInfo(chance.choice(names) + suffix)
            header.type = bytes([chance.choice(types)]) if chance.random() < 0.4 else tarfile.REGTYPE
            header.linkname = chance.choice(("/etc/passwd", "a.mp4", "../../x"))
            header.size = len(data) if header.type == tarfile.REGTYPE else 0
            archive.addfile(header, io.BytesIO(data))
    if chance.random() < 0.5:
        path.write_bytes(damaged(path.read_bytes(), chance))


def test_hostile_tars_are_read_or_refused_and_write_nothing(tmp_path, originals):
    inside, marker = tmp_path / "in" / "deep", tmp_path / "exploded"
    inside.mkdir(parents=True)
    usable = 0
    for case in share(0.2):
        path = inside / "a.tar"
        hostile_tar(path, originals, marker, random.Random(case))
        for entry in refused_or(read_manifest, path) or ():
            try:
                media = entry.media
            except MediaError:
                continue
            usable += refused_or(probe, media, whole=False) is not None
        assert sorted(each.name for each in tmp_path.rglob("*")) == ["a.tar", "deep", "in"]
    assert usable > 0


CLIPS = ClipFormat(
    height=8, width=8, num_frames=5, fps=8.0, grid=(2, 1, 2), temporal_stride=4, factors=(8, 4),
    video_tokenizer="v",
)  # fmt: skip


FOREIGN = ("../../shard-00000", "shard-99999")


def write_shards(folder):
    writer = ShardWriter(folder, CLIPS, {"source": "here"})
    codes = torch.arange(4).reshape(2, 1, 2)
    for number in range(2):
        writer.write(number, [CodedClip({"visual": codes}, ("a",), "s")] * 2, ["s"], [("b", "bad")])
    writer.finish()


def test_damaged_shards_are_read_or_refused(tmp_path):
    outside = tmp_path / "precious.safetensors"
    outside.write_bytes(b"precious")
    for case in share(0.2):
        chance, folder = random.Random(case), tmp_path / "in" / f"{case}"
        write_shards(folder)
        path = chance.choice(sorted(folder.iterdir()))
        if path.suffix == ".json" and chance.random() < 0.8:
            path.write_text(json.dumps(with_another_value(json.loads(path.read_text()), chance, FOREIGN)))
        else:
            path.write_bytes(damaged(path.read_bytes(), chance))
        reader = refused_or(ShardReader, folder)
        if reader is not None:
            for number in range(len(reader)):
                refused_or(reader.__getitem__, number)
        writer = refused_or(ShardWriter, folder, CLIPS, {"source": "here"})
        if writer is not None:
            writer.finish(1)
        assert outside.read_bytes() == b"precious"


def test_pickles_in_the_place_of_weights_are_not_loaded(tmp_path):
    marker = tmp_path / "exploded"
    model = torch.nn.Linear(2, 2)
    good = tmp_path / "good.safetensors"
    save_file(model.state_dict(), good)
    for case in share(0.05):
        folder, chance = tmp_path / f"{case}", random.Random(case)
        folder.mkdir()
        data = bomb(marker) if case % 3 == 0 else damaged(good.read_bytes(), chance)
        if case % 3 == 1:
            buffer = io.BytesIO()
            torch.save({"weight": torch.zeros(2)}, buffer)
            data = buffer.getvalue()
        (folder / "model.safetensors").write_bytes(data)
        refused_or(load_weights, torch.nn.Linear(2, 2), folder)
        (folder / "config.json").write_bytes(damaged(b'{"kind": "x", "config_version": 1}', chance))
        refused_or(read_json, folder / "config.json")
    assert not marker.exists()
    pickle.loads(bomb(marker))
    assert marker.exists()  # or the test would prove nothing
