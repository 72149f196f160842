"""Before a language model is trained its sequences come back as frames, beside the clips that they are of."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from encoding import encode_source
from PIL import Image

from videolm.cli.main import main
from videolm.data.codes.shards import ShardReader, ShardWriter
from videolm.data.media.clip import write_clip
from videolm.tasks.task import all_tasks
from videolm.tasks.training_data import round_trip as module
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.coded_clips import SizedClips
from videolm.tasks.training_data.lm_datamodule import LMDataModule
from videolm.tasks.training_data.round_trip import Returned, original_of, round_trip, said

SIZE = {"height": 32, "width": 32, "num_frames": 9, "fps": 8.0}
SIZES = "{dim: 16, layers: 1, heads: 2, kv_heads: 1, hidden: 32, rotary_dims: [4, 2, 2]}"


@pytest.fixture(scope="module")
def encoder(model_folder) -> ClipEncoder:
    return ClipEncoder.from_pretrained(model_folder, **SIZE)


def data_of(run: Path, **more) -> LMDataModule:
    tasks = {"unconditional": 1.0}
    settings = {"model": str(run / "model"), "shards": str(run / "shards"), "tasks": tasks, "batch_size": 4}
    return LMDataModule(**settings | {"validation_share": 0.2} | more)


def test_sequences_of_every_task_hold_the_codes_of_their_clips(coded_run, monkeypatch):
    monkeypatch.setattr(module, "_CLIPS", 40)
    tasks = {task.name: 1.0 for task in all_tasks() if not task.variants and not task.has_actions}
    data = data_of(coded_run, tasks=tasks)
    names = {each.name.split(":")[0] for each in round_trip(data)}
    visual = {task.name for task in data.mixture.tasks if "visual" in task.parts}
    assert names == visual and len(names) > 4


def test_frames_are_those_that_the_tokenizer_decodes_of_the_clips_codes(coded_run):
    data = data_of(coded_run)
    found = round_trip(data)
    assert len(found) == 4 and all(each.original is None and each.psnr_db is None for each in found)
    assert said(found, Path("x.png")) == [
        "sequences decoded to frames: 4; the originals cannot be had: look at x.png"
    ]


@pytest.mark.parametrize("kind", ["corpus", "files", "live corpus", "live files"])
def test_originals_are_the_frames_that_were_coded(kind, encoder, model_folder, corpus, tmp_path):
    source = "synthetic"
    if "files" in kind:
        source = str(tmp_path / "clips")
        (tmp_path / "clips").mkdir()
        for number in range(3):
            write_clip(corpus[number], tmp_path / "clips" / f"{number}.mp4")
    if "live" in kind:
        tasks = {"unconditional": 1.0}
        data = LMDataModule(str(model_folder), tasks, source=source, clips=3, validation_share=0.3, **SIZE)
        clips = data.clips
    else:
        encode_source(encoder, source, tmp_path / "shards", clips=3)
        clips = SizedClips([ShardReader(tmp_path / "shards")])
    for index in range(3):
        original = original_of(clips, index)
        assert original is not None
        again = encoder.video.encode(original.permute(3, 0, 1, 2)[None] / 127.5 - 1)[0]
        assert (again == clips[index].codes["visual"]).float().mean() > 0.99


def test_a_source_that_is_gone_has_no_originals(encoder, corpus, tmp_path):
    (tmp_path / "clips").mkdir()
    write_clip(corpus[0], tmp_path / "clips" / "0.mp4")
    encode_source(encoder, str(tmp_path / "clips"), tmp_path / "shards")
    shutil.rmtree(tmp_path / "clips")
    assert original_of(SizedClips([ShardReader(tmp_path / "shards")]), 0) is None


def test_frames_that_are_no_nearer_than_a_single_colour_are_said_to_be_wrong():
    clip = torch.randint(256, (9, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    (line,) = said([Returned("a", clip, clip)], Path("x.png"))
    assert line == "sequences decoded to frames: 1, PSNR 58.9 dB; beside their clips in x.png"
    _, warning = said([Returned("a", 255 - clip, clip)], Path("x.png"))
    assert "these are not the clips' codes" in warning


def fit(run: Path, out: Path, *more: str) -> int:
    folders = ["--data.shards", str(run / "shards"), "--data.model", str(run / "model"), "--out", str(out)]
    few = ["--data.batch_size", "4", "--data.validation_share", "0.2", "--data.tasks", "{unconditional: 1}"]
    command = ["lm", "fit", "--config", "debug", "--trainer.callbacks", "null", "--model.model", SIZES]
    return main([*command, *folders, *few, "--trainer.max_steps", "2", *more])


def test_a_fit_writes_the_picture_and_the_psnr_and_ends_with_the_weights_it_has_without(
    encoder, model_folder, tmp_path, monkeypatch, capsys, same_weights
):
    shutil.copytree(model_folder, tmp_path / "run/model", ignore=shutil.ignore_patterns("lm"))
    encode_source(encoder, "synthetic", tmp_path / "run/shards", clips=24)
    assert fit(tmp_path / "run", tmp_path / "with") == 0
    assert capsys.readouterr().out.count("sequences decoded to frames: 4, PSNR ") == 1
    stage = tmp_path / "with/training/lm"
    with Image.open(stage / "samples/round-trip.png") as picture:
        assert picture.size[0] >= 9 * 64 and picture.size[1] == 8 * (64 + 16)
    assert "round_trip/psnr_db" in (stage / "metrics.csv").read_text().splitlines()[0]
    monkeypatch.setattr(module.RoundTrip, "on_train_start", lambda *_: None)
    assert fit(tmp_path / "run", tmp_path / "without") == 0
    assert same_weights(stage, tmp_path / "without/training/lm")


def test_codes_out_of_range_are_one_line_before_the_first_step(coded_run, tmp_path, capsys):
    run = tmp_path / "coded"
    shutil.copytree(coded_run, run)
    reader = ShardReader(run / "shards")
    clips = [reader[number] for number in range(len(reader))]
    clips = [replace(clip, codes=clip.codes | {"visual": clip.codes["visual"] + 64}) for clip in clips]
    writer = ShardWriter(run / "shards", reader.clips, {"source": "random"})
    writer.write(0, clips)
    writer.finish()
    assert fit(run, tmp_path / "out") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "the codes of file-" in last and "do not fit the tokenizers: visual codes lie in [64, 127]" in last
    assert not (tmp_path / "out/training/lm/last.ckpt").exists()


def test_codes_of_another_tokenizer_are_refused_by_name(coded_run, tmp_path, capsys):
    run = tmp_path / "coded"
    shutil.copytree(coded_run, run)
    index = json.loads((run / "shards/index.json").read_text())
    index["clips"]["video_tokenizer"] = "0" * 16
    (run / "shards/index.json").write_text(json.dumps(index))
    assert fit(run, tmp_path / "out") == 2
    assert "codes of other tokenizers" in capsys.readouterr().err
