"""Damage of a model folder is named when it is loaded, in one line; what was changed on purpose is taken."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from videolm.cli.main import main
from videolm.data.runtime import checksums
from videolm.data.runtime.checksums import check_files, record_checksums
from videolm.generation.pipeline import VideoLM
from videolm.tasks.model_config import PARTS, model_fingerprint


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    shutil.copytree(model_folder, tmp_path / "model")
    return tmp_path / "model"


def refused(folder: Path, capsys) -> str:
    """What a command says of the folder: one line, exit code 2."""
    out = folder.parent / "x.mp4"
    assert main(["generate", "--model", str(folder), "--task", "unconditional", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and not out.exists()
    return said


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)


def change(path: Path, changed) -> None:
    weights = load_file(path)
    save_file(weights | changed(weights), path)


def zeros(path: Path) -> None:
    change(path, lambda weights: {name: torch.zeros_like(value) for name, value in weights.items()})


def swapped(path: Path) -> None:
    def swap(weights):
        first, second = "layers.0.norm_attention.weight", "layers.1.norm_attention.weight"
        names = [name for name in weights if name.startswith("layers.0.")]
        name = next(
            name for name in names if not torch.equal(weights[name], weights[name.replace("0", "1", 1)])
        )
        first, second = name, name.replace("0", "1", 1)
        return {first: weights[second].clone(), second: weights[first].clone()}

    change(path, swap)


def not_a_number(path: Path) -> None:
    name = next(name for name, value in load_file(path).items() if value.is_floating_point())
    change(path, lambda weights: {name: torch.full_like(weights[name], torch.nan)})


@pytest.mark.parametrize("harm", [cut, flip, zeros, swapped, not_a_number], ids=lambda harm: harm.__name__)
def test_damaged_weights_of_the_language_model_are_named(folder, capsys, harm):
    harm(folder / "lm" / "model.safetensors")
    assert "lm/model.safetensors is damaged or was changed" in refused(folder, capsys)


@pytest.mark.parametrize("harm", [cut, flip], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("part", ["video_tokenizer", "audio_tokenizer", "text_tokenizer", "."])
def test_damage_of_every_part_is_named(folder, part, harm):
    names = [name for name in json.loads((folder / part / "checksums.json").read_text())["files"]]
    assert len(names) > 1
    for name in names:
        path = folder / part / name
        whole = path.read_bytes()
        harm(path)
        with pytest.raises(ValueError, match=rf"{name} is (damaged or was changed|not valid JSON)"):
            VideoLM.from_pretrained(folder)
        path.write_bytes(whole)
    VideoLM.from_pretrained(folder)


@pytest.mark.parametrize("harm", [cut, not_a_number], ids=lambda harm: harm.__name__)
def test_of_a_folder_without_checksums_what_can_be_seen_is_named(folder, capsys, harm):
    for path in folder.rglob("checksums.json"):
        path.unlink()
    VideoLM.from_pretrained(folder)
    harm(folder / "lm" / "model.safetensors")
    assert "lm/model.safetensors" in refused(folder, capsys)


def test_a_change_on_purpose_is_taken_without_the_list(folder):
    config = folder / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ValueError, match=r"remove checksums\.json beside it if it was changed on purpose"):
        VideoLM.from_pretrained(folder)
    (folder / "checksums.json").unlink()
    VideoLM.from_pretrained(folder)


def test_a_part_is_replaced_as_a_whole_folder(folder, make_model):
    make_model(1).save_pretrained(folder.parent / "other")
    shutil.rmtree(folder / "lm")
    before = model_fingerprint(folder)
    shutil.copytree(folder.parent / "other" / "lm", folder / "lm")
    if (folder / "vocabulary.json").read_bytes() == (folder.parent / "other/vocabulary.json").read_bytes():
        VideoLM.from_pretrained(folder)
    check_files(folder / "lm")
    assert model_fingerprint(folder) != before


def test_a_fingerprint_follows_the_weights_and_not_the_place_or_time(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "lm" / "model.safetensors").touch()
    before = model_fingerprint(folder)
    assert model_fingerprint(tmp_path / "elsewhere") == before == VideoLM.from_pretrained(folder).fingerprint
    for part in PARTS:
        flip(folder / part / "config.json")
        assert model_fingerprint(folder) != before
        flip(folder / part / "config.json")


def test_a_large_file_is_sampled_and_verified_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "WHOLE_BYTES", 2**20)
    path = tmp_path / "weights"
    path.write_bytes(bytes(range(256)) * 2**17)  # 32 MiB, of which 16 are sampled
    record_checksums(tmp_path)
    check_files(tmp_path, verify=True)
    data = bytearray(path.read_bytes())
    data[2**16 + 2**15] ^= 1  # between two samples
    path.write_bytes(data)
    check_files(tmp_path)
    with pytest.raises(ValueError, match="damaged or was changed"):
        check_files(tmp_path, verify=True)
    data[:8] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged or was changed"):
        check_files(tmp_path)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("lm", {"heads": 0}, "heads is 0"),
        ("lm", {"layers": ["a"]}, "layers is ['a']; expected a whole number"),
        ("lm", {"dim": 2**50, "heads": 1, "kv_heads": 1}, "does not fit"),
        ("lm", {"layers": 10**9}, "layers is 1000000000"),
        ("lm", {"rotary_dims": [4, 6]}, "expected a list of 3"),
        ("video_tokenizer", {"bits": "6"}, "bits is '6'; expected a whole number"),
        ("video_tokenizer", {"multipliers": []}, "0 stages"),
        (".", {"clips": {"fps": 0}}, "fps is 0"),
        (".", {"clips": {"fps": float("nan")}}, "fps is nan; expected a finite number"),
        (".", {"clips": {"hop_length": None}}, "hop_length is None"),
        (".", {"clips": {"grid": [3, 4]}}, "grid is (3, 4)"),
        (".", {"tasks": "all"}, "tasks are 'all'"),
        (".", {"text_pieces": 1.5}, "text_pieces 1.5"),
    ],
)
def test_settings_of_a_wrong_kind_or_size_are_one_line(folder, capsys, part, changes, message):
    path = folder / part / "config.json"
    stored = json.loads(path.read_text())
    for name, value in changes.items():
        stored[name] = stored[name] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(stored))
    path.with_name("checksums.json").unlink()
    assert message in refused(folder, capsys)


def test_a_missing_setting_is_named(folder, capsys):
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    del stored["clips"]["hop_length"]
    path.write_text(json.dumps(stored))
    path.with_name("checksums.json").unlink()
    assert "hop_length is 0; expected 1 or more" in refused(folder, capsys)
