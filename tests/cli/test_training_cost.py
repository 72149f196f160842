"""`videolm info CONFIG`: what a training costs, told without training."""

import re
import resource
from functools import cache
from pathlib import Path

import pytest

from videolm.cli.config_files import CONFIGS, packaged_config, read_config
from videolm.cli.main import main
from videolm.cli.training_cost import Wanted, describe_config

PRESETS = sorted(path.stem for path in (CONFIGS / "lm").glob("*.yaml"))


@cache
def described(name: str, **wanted) -> str:
    return describe_config(packaged_config(name, "lm"), Wanted(**wanted))


def gibibytes(text: str, name: str = "together") -> float:
    return float(re.search(rf"^  {name} +([\d.]+)$", text, re.MULTILINE)[1])


@pytest.mark.long
@pytest.mark.parametrize("name", PRESETS)
def test_every_packaged_config_is_described(name):
    text = described(name)
    assert "VideoPoet's, as there are no codes in" in text
    tasks = read_config(packaged_config(name, "lm"))["data"]["tasks"]
    for task in tasks:
        assert re.search(rf"^  {task} +[\d,]+ +[\d,]+ +[\d.]+ +[\d.]+$", text, re.MULTILINE)
    if "text_to_video" in tasks:
        assert re.search(r"text_to_video +1,3\d\d +1,280 ", text)


def test_a_packaged_config_is_described_by_its_name(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "lm/clips"]) == 0
    assert capsys.readouterr().out.strip() == described("clips")


@pytest.mark.parametrize(
    ("name", "body", "fewer"),
    [
        ("448x256", 1019, "33.6"), ("896x512", 510, "134.4"), ("300m", 287, "33.6"), ("demo", 1, None),
        ("debug", 0, None),
    ],
)
def test_every_stage_of_super_resolution_is_described(name, body, fewer, capsys):
    assert main(["info", f"super-resolution/{name}"]) == 0
    text = capsys.readouterr().out
    count = int(re.search(r"^  body +([\d,]+)$", text, re.MULTILINE)[1].replace(",", ""))
    assert round(count / 1e6) == body
    assert fewer is None or f"windows have {fewer} times fewer pairs" in text
    assert 0 < gibibytes(text) < 0.9 * 80e9 / 2**30


def test_the_large_presets_fit_the_gpus_that_they_name():
    """80 GB is 74.5 GiB; a tenth of it is not ours."""
    for name in ("300m", "1b", "8b"):
        assert gibibytes(described(name)) < 0.9 * 80e9 / 2**30


def test_the_largest_preset_is_described_without_its_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = describe_config(packaged_config("8b", "lm"), Wanted())
    assert re.search(r"body +7,78\d,\d{3},\d{3}", text)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2**30


def test_options_replace_what_the_config_says():
    text = described("1b", devices=4, strategy="fsdp2", batch_size=2, activation_checkpointing=1)
    assert "each of 4 devices in GiB (fsdp2, bf16-mixed, muon, 2 rows" in text
    assert "all layers' activations recomputed" in text
    assert gibibytes(text) < gibibytes(described("1b")) / 2
    assert re.search(r"text_to_image +\d", text) is None
    assert re.search(r"text_to_video +\d[\d,]* +5,120 ", described("1b", size="17x256x256"))


def test_codes_on_disk_say_sizes_and_vocabulary(coded_run: Path, tmp_path: Path):
    config = tmp_path / "mine.yaml"
    text = packaged_config("debug", "lm").read_text(encoding="utf-8")
    config.write_text(text.replace("runs/debug/shards", str(coded_run / "shards")))
    assert f"9 frames of 32x32 at 8 fps (of {coded_run / 'shards'})" in describe_config(config, Wanted())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("info gigantic", "no model folder gigantic and no config gigantic"),
        ("info 1b --devices 0", "devices is 0"),
        ("info 1b --strategy zero3", "'zero3'"),
        ("info 1b --size 16x128x128", "16"),
        ("info {tmp}/mistyped.yaml", "dimm"),
        ("info {tmp}/other.yaml", "not a config of `videolm lm fit`"),
        ("info {model} --devices 2", "--devices is for a config"),
    ],
)
def test_a_mistake_is_one_line(arguments, part, tmp_path, model_folder, capsys: pytest.CaptureFixture[str]):
    good = packaged_config("debug", "lm").read_text(encoding="utf-8")
    (tmp_path / "mistyped.yaml").write_text(good.replace("dim: 64", "dimm: 64"))
    (tmp_path / "other.yaml").write_text("clips: 3\n")
    assert main(arguments.format(tmp=tmp_path, model=model_folder).split()) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert part in lines[0]


def test_a_world_model_is_described_before_its_clips_are_there(tmp_path: Path):
    config = packaged_config("debug", "lm").read_text()
    other = re.sub(r"tasks: \{.*\}", "tasks: {world: 1}", config)
    other = other.replace("runs/debug/shards", "no-such-shards")
    (tmp_path / "world.yaml").write_text(other)
    text = describe_config(tmp_path / "world.yaml", Wanted())
    assert re.search(r"^  world +[\d,]+ +[\d,]+ ", text, re.MULTILINE)
    assert re.search(r"^  action_0 +8$", text, re.MULTILINE)
    assert re.search(r"^  outcome +6$", text, re.MULTILINE)
