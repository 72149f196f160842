import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from encoding import encode_source

from videolm.cli import main as cli
from videolm.data.analysis.depth import FlatDepth
from videolm.data.analysis.geometry import EstimatedGeometry, SceneGeometry
from videolm.data.codes.shards import ShardReader
from videolm.data.loading.clip_sources import open_source
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.media.streams import MediaError
from videolm.data.media.timing import audio_latents
from videolm.data.synthetic.corpus import Corpus
from videolm.tasks.conditions import Material, seeded
from videolm.tasks.task import all_tasks, load_task
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.encode_shards import sizes_of, summary
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

SIZES = {"height": 16, "width": 16, "num_frames": 5, "fps": 8.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model folder with untrained tokenizers."""
    folder = tmp_path_factory.mktemp("run") / "model"
    torch.manual_seed(0)
    video = VideoTokenizer(VideoTokenizerConfig(bits=4, channels=4, multipliers=(1, 1), patch=4,
                                                spatial_strides=(1,), temporal_strides=(4,),
                                                temporal_kernel=4))  # fmt: skip
    video.save_pretrained(folder / "video_tokenizer")
    config = AudioTokenizerConfig(
        sample_rate=8000, ratios=(10, 8), num_filters=2, hidden_size=4, codebook_size=8
    )
    audio = AudioTokenizer.of_config(config)
    audio.set_codebooks(torch.randn(config.num_levels, config.codebook_size, config.hidden_size))
    audio.save_pretrained(folder / "audio_tokenizer")
    return folder


@pytest.fixture(scope="module")
def encoder(model) -> ClipEncoder:
    return ClipEncoder.from_pretrained(model, **SIZES)


@pytest.fixture
def clips(tmp_path) -> Path:
    """A folder of: two clips with sound, a silent one, one too short, one that is no video."""
    folder = tmp_path / "clips"
    folder.mkdir()
    corpus = Corpus(height=32, width=16, num_frames=12, fps=8.0, sample_rate=8000)
    write_clip(corpus[0], folder / "a.mp4")
    write_clip(corpus[1], folder / "b.mp4")
    write_clip(Clip(corpus[2].frames, 8.0), folder / "silent.mp4")
    write_clip(corpus[3].window(0, 3), folder / "short.mp4")
    (folder / "text.mp4").write_text("not a video")
    lines = [
        {"path": "a.mp4", "caption": ["eins", "one"], "group": "x"},
        {"path": "b.mp4", "group": "x"},
        {"path": "text.mp4", "caption": "none", "group": "x"},
        {"path": "silent.mp4", "caption": "drei", "group": "y"},
        {"path": "short.mp4", "caption": "vier", "group": "y"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "captions.jsonl").write_text(text)
    return folder


def test_codes_have_the_shape_that_the_format_says(encoder):
    corpus = Corpus(**SIZES, sample_rate=8000)
    loud, silent = corpus[0], Clip(corpus[1].frames, 8.0)
    muted = Clip(silent.frames, 8.0, torch.zeros_like(loud.waveform), 8000)
    codes = encoder.encode([loud, silent, muted])
    assert encoder.clips.shapes == {"visual": (2, 4, 4), "audio": (2, audio_latents(5, 8.0, 8000, 80))}
    assert {name: tuple(each.shape) for name, each in codes[0].items()} == encoder.clips.shapes
    assert codes[1].keys() == codes[2].keys() == {"visual"}
    for name, size in (("visual", 16), ("audio", 8)):
        assert codes[0][name].min() >= 0 and codes[0][name].max() < size


def test_a_clip_has_the_same_codes_in_any_company(encoder):
    corpus = Corpus(**SIZES, sample_rate=8000)
    alone = encoder.encode([corpus[1]])[0]
    among = encoder.encode([corpus[0], corpus[1], corpus[2]])[1]
    for name in alone:
        assert (alone[name] == among[name]).float().mean() > 0.95  # a sum in another order may tip a sign


def test_the_corpus_becomes_shards(encoder, tmp_path):
    encoded = encode_source(encoder, "synthetic", tmp_path / "shards", clips=7, batch_size=3, shard_size=4)
    reader = ShardReader(tmp_path / "shards")
    assert (encoded.clips, encoded.with_audio, len(reader)) == (7, 7, 7)
    assert reader.clips == encoder.clips
    corpus = Corpus(**SIZES, sample_rate=8000)
    for index in range(7):
        assert reader.captions(index) == corpus.captions(index)
        visual = encoder.encode([corpus[index]])[0]["visual"]
        assert (reader[index].codes["visual"] == visual).float().mean() > 0.95


def test_unusable_clips_are_skipped_counted_and_named(encoder, clips, tmp_path):
    encoded = encode_source(encoder, str(clips), tmp_path / "shards", windows=1)
    reader = ShardReader(tmp_path / "shards")
    assert [Path(reader.source_of(index)).name for index in range(len(reader))] == [
        "a.mp4", "b.mp4", "silent.mp4",
    ]  # fmt: skip
    assert [reader.captions(index) for index in range(3)] == [("eins", "one"), (), ("drei",)]
    assert [reader.has(index, "audio") for index in range(3)] == [True, True, False]
    assert reader[2].extra == {"group": "y"}
    assert (encoded.clips, encoded.with_audio) == (3, 2)
    text = "\n".join(summary(encoded))
    assert "skipped 2" in text and "text.mp4" in text
    assert "short.mp4: 3 frames at 8 fps; expected at least 5" in text


def test_where_selects_entries(encoder, clips, tmp_path):
    assert encode_source(encoder, str(clips), tmp_path / "y", where=["group=y"]).clips == 2
    with pytest.raises(ValueError, match="the embedded corpus has none"):
        encode_source(encoder, "synthetic", tmp_path / "x", where=["group=y"], clips=3)


def test_long_clips_give_as_many_windows_as_fit(encoder, clips, tmp_path):
    encoded = encode_source(encoder, str(clips), tmp_path / "shards", where=["group=x"])
    assert encoded.clips == 2 * 2  # 12 frames hold two windows of 5
    one = encode_source(encoder, str(clips), tmp_path / "one", where=["group=x"], windows=1)
    assert one.clips == 2
    two, first = ShardReader(tmp_path / "shards"), ShardReader(tmp_path / "one")
    assert torch.equal(two[0].codes["visual"], first[0].codes["visual"])
    assert two.source_of(0) == two.source_of(1)


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_killed_run_goes_on_to_the_same_shards(encoder, tmp_path, monkeypatch, after):
    settings = {"clips": 6, "batch_size": 1, "shard_size": 2}
    encode_source(encoder, "synthetic", tmp_path / "whole", **settings)
    encode, calls = encoder.encode, []

    def killed(clips):
        if len(calls) == after:
            raise Killed
        calls.append(1)
        return encode(clips)

    monkeypatch.setattr(encoder, "encode", killed)
    with pytest.raises(Killed):
        encode_source(encoder, "synthetic", tmp_path / "parts", **settings)
    monkeypatch.undo()
    encode_source(encoder, "synthetic", tmp_path / "parts", **settings)
    whole, parts = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "parts")
    )
    assert whole == parts


def test_more_clips_of_the_corpus_are_added_to_those_there(encoder, tmp_path):
    encode_source(encoder, "synthetic", tmp_path, clips=3)
    first = ShardReader(tmp_path)[2].codes["visual"]
    assert encode_source(encoder, "synthetic", tmp_path, clips=5).clips == 5
    assert torch.equal(ShardReader(tmp_path)[2].codes["visual"], first)
    with pytest.raises(ValueError, match="holds codes made with seed 0, now 1"):
        encode_source(encoder, "synthetic", tmp_path, clips=9, seed=1)


def test_workers_give_the_same_shards(encoder, clips, tmp_path):
    for workers in (0, 2):
        encode_source(encoder, str(clips), tmp_path / str(workers), num_workers=workers)
    alone, together = ShardReader(tmp_path / "0"), ShardReader(tmp_path / "2")
    assert alone.skipped == together.skipped
    for index in range(3):
        assert torch.equal(alone[index].codes["visual"], together[index].codes["visual"])


def test_a_run_that_was_killed_for_good_goes_on_to_the_same_shards(encoder, clips, tmp_path, start_forked):
    """In a process of its own, at whatever point it is when its first shard is complete."""
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(24):
        content = (clips / ("a.mp4" if index % 3 else "text.mp4")).read_bytes()
        (folder / f"{index:02d}.mp4").write_bytes(content)
    settings = {"batch_size": 2, "shard_size": 4, "windows": 1}
    encode_source(encoder, str(folder), tmp_path / "whole", **settings)
    process = start_forked(lambda: encode_source(encoder, str(folder), tmp_path / "parts", **settings))
    while process.is_alive() and not (tmp_path / "parts" / "shard-00001.json").exists():
        time.sleep(0.005)
    process.kill()
    process.join()
    encode_source(encoder, str(folder), tmp_path / "parts", **settings)
    whole, parts = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("[!.]*")}
        for name in ("whole", "parts")
    )
    assert whole == parts and len(whole) == 1 + 3 * 6
    assert len(ShardReader(tmp_path / "parts")) == 16


def test_files_added_later_are_encoded_and_none_twice(encoder, clips, tmp_path):
    folder = tmp_path / "growing"
    folder.mkdir()
    for name in ("b", "d"):
        (folder / f"{name}.mp4").write_bytes((clips / "a.mp4").read_bytes())
    encode_source(encoder, str(folder), tmp_path / "shards", shard_size=2, windows=1)
    (folder / "a.mp4").write_bytes((clips / "b.mp4").read_bytes())
    assert encode_source(encoder, str(folder), tmp_path / "shards", shard_size=2, windows=1).clips == 3
    reader = ShardReader(tmp_path / "shards")
    assert [Path(reader.source_of(index)).name for index in range(3)] == ["a.mp4", "b.mp4", "d.mp4"]


def test_buckets_take_what_suits_them(model, tmp_path):
    corpus = Corpus(height=32, width=32, num_frames=12, fps=8.0, sample_rate=8000)
    folder = tmp_path / "mixed"
    folder.mkdir()
    write_clip(corpus[0], folder / "long.mp4")
    write_clip(corpus[1].window(0, 6), folder / "medium.mp4")
    write_clip(corpus[2].window(0, 3), folder / "short.mp4")
    write_clip(corpus[3].window(0, 1), folder / "photo.png")
    write_clip(Clip(corpus[4].frames[:, :, 8:24].contiguous(), 8.0), folder / "tall.mp4")
    write_clip(Clip(corpus[5].frames[:, 8:24].contiguous(), 8.0), folder / "wide.mp4")
    sizes = [(9, 16, 16), (5, 16, 16), (5, 32, 16), (1, 16, 16), (9, 16, 32)]
    encoders = [
        ClipEncoder.from_pretrained(model, num_frames=n, height=h, width=w, fps=8.0) for n, h, w in sizes
    ]
    for workers in (0, 1):
        out = tmp_path / f"shards-{workers}"
        encoded = encode_source(encoders, str(folder), out, num_workers=workers)
        assert (encoded.clips, encoded.skipped) == (8, [])  # the short film is three images
        names = json.loads((out / "buckets.json").read_text())["buckets"]
        readers = {name: ShardReader(out / name) for name in names}
        assert {
            name: sorted({Path(reader.source_of(index)).stem for index in range(len(reader))})
            for name, reader in readers.items()
        } == {
            "9x16x16": ["long", "tall"],
            "5x16x16": ["medium"],
            "5x32x16": [],
            "1x16x16": ["photo", "short"],
            "9x16x32": ["wide"],
        }
        assert readers["1x16x16"].clips.grid == (1, 4, 4)


def test_ray_writes_the_same_shards(model, clips, tmp_path):
    """In processes of their own, where no classes are wrapped to check types; those Ray could not send."""
    pytest.importorskip("ray.data")
    settings = ["--buckets", "5x16x16,1x16x16", "--shard-size", "2", "--batch-size", "2", "--device", "cpu"]
    outs = [tmp_path / engine for engine in ("local", "ray")]
    for out in outs:
        command = ["encode", str(clips), "--model", str(model), "--out", str(out), "--engine", out.name]
        _python("-m", "videolm.cli.main", *command, *settings, "--num-workers", "2").wait()
    files = [{path.relative_to(out): path.read_bytes() for path in out.rglob("[!.]*.*")} for out in outs]
    assert len(files[0]) > 8 and files[0] == files[1]


def test_an_engine_that_is_not_there_is_said(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = ["encode", "synthetic", "--model", str(model), "--out", str(tmp_path / "x"), "--engine"]
    assert cli.main([*arguments, "ray"]) == 2
    assert "install the extra videolm[ray]" in capsys.readouterr().err
    assert cli.main([*arguments, "spark"]) == 2
    assert "expected local or ray" in capsys.readouterr().err


@pytest.mark.parametrize("buckets", ["", "17x128", "5x16x16,5x16x16", "axbxc"])
def test_wrong_buckets_are_refused(buckets):
    with pytest.raises(ValueError, match="FRAMESxHEIGHTxWIDTH"):
        sizes_of(buckets)


def test_a_source_without_a_usable_clip_is_one_line(encoder, clips, tmp_path):
    with pytest.raises(ValueError, match=r"none of the 1 entries .*short.mp4") as error:
        (clips / "captions.jsonl").write_text('{"path": "short.mp4"}')
        encode_source(encoder, str(clips), tmp_path / "shards")
    assert "\n" not in str(error.value)


def test_a_size_the_tokenizer_does_not_take_is_refused(model):
    with pytest.raises(ValueError, match="clip has 6 frames"):
        ClipEncoder.from_pretrained(model, **SIZES | {"num_frames": 6})
    with pytest.raises(ValueError, match="frames are 18x16"):
        ClipEncoder.from_pretrained(model, **SIZES | {"height": 18})


def test_a_folder_without_tokenizers_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model folder"):
        ClipEncoder.from_pretrained(tmp_path / "none", **SIZES)
    with pytest.raises(FileNotFoundError, match="video_tokenizer is not a folder"):
        ClipEncoder.from_pretrained(tmp_path, **SIZES)


def test_a_video_only_model_has_no_sound(model, tmp_path):
    (tmp_path / "video_tokenizer").symlink_to(model / "video_tokenizer")
    encoder = ClipEncoder.from_pretrained(tmp_path, **SIZES)
    assert encoder.clips.shapes.keys() == {"visual"}
    assert len(open_source(encoder.clips, "synthetic", count=2)) == 2
    encoded = encode_source(encoder, "synthetic", tmp_path / "shards", clips=2)
    assert (encoded.clips, encoded.with_audio) == (2, 0)


def test_variants_of_a_clip_are_coded_beside_it_and_follow_from_its_name(model, tmp_path):
    tasks = all_tasks()
    encoder = ClipEncoder.from_pretrained(model, **SIZES, tasks=tasks)
    encode_source(encoder, "synthetic", tmp_path / "shards", clips=3, batch_size=2)
    reader = ShardReader(tmp_path / "shards")
    assert set(reader.clips.variants) == {"inpainting", "outpainting", "motion"}
    assert reader.clips.variants["outpainting"]["pad"] == "edge"
    assert all(reader.has(0, name) for name in reader.clips.variants)
    corpus = Corpus(**SIZES, sample_rate=8000)
    material = Material(corpus[2], SceneGeometry(corpus, corpus.scene(2)))
    for task in tasks:
        for name in task.variants:
            made = task.conditions(material, seeded(f"{reader.source_of(2)} 0", name))[name]
            codes = encoder.encode([Clip(made.frames, 8.0)])[0]["visual"]
            assert (reader[2].codes[name] == codes).float().mean() > 0.95


def test_flow_and_depth_of_files_must_be_found_somehow(model, clips, tmp_path):
    encoder = ClipEncoder.from_pretrained(model, **SIZES, tasks=[load_task("stylization")])
    with pytest.raises(ValueError, match="say how they are found"):
        encode_source(encoder, str(clips), tmp_path / "shards")
    still = EstimatedGeometry(lambda clip: torch.zeros(5, 2, 16, 16), FlatDepth())
    encoder = ClipEncoder.from_pretrained(
        model, **SIZES, tasks=[load_task("stylization")], geometry=still
    )
    encode_source(encoder, str(clips), tmp_path / "shards")
    assert ShardReader(tmp_path / "shards")[0].codes["motion"].shape == (2, 4, 4)


def _python(*arguments: str) -> subprocess.Popen:
    paths = os.pathsep.join(each or os.getcwd() for each in sys.path)
    return subprocess.Popen([sys.executable, *arguments], env=os.environ | {"PYTHONPATH": paths})


@pytest.fixture
def film(tmp_path) -> Path:
    """A folder of a film of 20 windows, and a short one before and after it."""
    folder = tmp_path / "films"
    folder.mkdir()
    corpus = Corpus(height=16, width=16, num_frames=102, fps=8.0)
    write_clip(Clip(corpus[0].frames, 8.0), folder / "b.mp4")
    for number, name in enumerate(("a", "c")):
        write_clip(Clip(corpus[1 + number].frames[:7].contiguous(), 8.0), folder / f"{name}.mp4")
    return folder


def test_a_long_film_is_shared_out_among_shards_and_each_window_is_there_once(
    encoder, film, tmp_path, monkeypatch
):
    encode_source(encoder, str(film), tmp_path / "whole")
    monkeypatch.setattr("videolm.data.loading.clip_sources._MOST_WINDOWS", 3)
    encoded = encode_source(encoder, str(film), tmp_path / "pieces", shard_size=6)
    whole, pieces = ShardReader(tmp_path / "whole"), ShardReader(tmp_path / "pieces")
    assert len(list((tmp_path / "pieces").glob("*.safetensors"))) == 4  # of 4, 6, 6 and 6 windows
    assert len(whole) == len(pieces) == encoded.clips == 22
    for index in range(22):
        assert pieces.key_of(index) == whole.key_of(index)
        assert (pieces[index].codes["visual"] == whole[index].codes["visual"]).float().mean() > 0.9
    assert encoded.footage.files == 3 and encoded.footage.used == pytest.approx(22 * 5 / 8)


@pytest.mark.parametrize("after", [0, 1, 4, 9])
def test_a_run_that_was_killed_in_a_film_goes_on_to_the_same_shards(
    encoder, film, tmp_path, monkeypatch, after
):
    monkeypatch.setattr("videolm.data.loading.clip_sources._MOST_WINDOWS", 3)
    settings = {"batch_size": 2, "shard_size": 4}
    encode_source(encoder, str(film), tmp_path / "whole", **settings)
    encode, calls = encoder.encode, []

    def killed(clips):
        if len(calls) == after:
            raise Killed
        calls.append(1)
        return encode(clips)

    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode", killed)
        with pytest.raises(Killed):
            encode_source(encoder, str(film), tmp_path / "parts", **settings)
    encode_source(encoder, str(film), tmp_path / "parts", **settings)
    whole, parts = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "parts")
    )
    assert whole == parts


def test_what_a_variant_draws_follows_from_the_window_however_films_are_cut(
    model, film, tmp_path, monkeypatch
):
    encoder = ClipEncoder.from_pretrained(model, **SIZES, tasks=[load_task("inpainting")])
    encode_source(encoder, str(film), tmp_path / "whole")
    monkeypatch.setattr("videolm.data.loading.clip_sources._MOST_WINDOWS", 3)
    encode_source(encoder, str(film), tmp_path / "pieces")
    whole, pieces = ShardReader(tmp_path / "whole"), ShardReader(tmp_path / "pieces")
    for index in range(len(whole)):
        same = whole[index].codes["inpainting"] == pieces[index].codes["inpainting"]
        assert same.float().mean() > 0.9


def test_a_film_that_is_damaged_on_its_way_is_named_once_and_gives_what_can_be_read(
    encoder, film, tmp_path, monkeypatch
):
    monkeypatch.setattr("videolm.data.loading.clip_sources._MOST_WINDOWS", 3)

    def read(media, **settings):
        if Path(media).name == "b.mp4" and settings["start"] > 8:
            raise MediaError("b.mp4: damaged here")
        return read_clip(media, **settings)

    monkeypatch.setattr("videolm.data.loading.clip_reader.read_clip", read)
    encoded = encode_source(encoder, str(film), tmp_path / "shards")
    assert encoded.clips == 2 + 15
    assert [reason for _, reason in encoded.skipped] == ["b.mp4: damaged here"]
