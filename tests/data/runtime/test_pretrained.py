"""Model folders."""

import json
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from videolm.data.runtime.files import read_json, replacing, write_json
from videolm.data.runtime.pretrained import LATER, PretrainedMixin, fingerprint, identity


@dataclass(frozen=True)
class ScaleConfig:
    sizes: tuple[int, ...] = (2, 3)
    gain: float = 1.0


class Scale(PretrainedMixin, nn.Module):
    kind = "scale"
    config_class = ScaleConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.randn(config.sizes))


@pytest.fixture
def folder(tmp_path):
    Scale(ScaleConfig(gain=0.5)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change_config(folder, **changes):
    values = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "checksums.json").unlink()  # a change on purpose


def test_loading_gives_back_what_was_saved(tmp_path):
    model = Scale(ScaleConfig(sizes=(4, 1)))
    model.save_pretrained(tmp_path / "deep" / "model")
    loaded = Scale.from_pretrained(tmp_path / "deep" / "model")
    assert torch.equal(loaded.weight, model.weight)
    assert loaded.config == model.config
    assert loaded.fingerprint == model.fingerprint
    assert not loaded.training


def test_saving_again_replaces_the_folder_and_leaves_nothing_behind(folder):
    other = Scale(ScaleConfig())
    (folder / "stale.txt").write_text("of the former model")
    other.save_pretrained(folder)
    assert torch.equal(Scale.from_pretrained(folder).weight, other.weight)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checksums.json", "config.json", "model.safetensors"
    ]  # fmt: skip
    assert list(folder.parent.iterdir()) == [folder]


def test_fingerprint_changes_with_any_setting_weight_or_shape():
    state = {"weight": torch.arange(6.0)}
    prints = {
        fingerprint({"gain": 1}, state),
        fingerprint({"gain": 2}, state),
        fingerprint({"gain": 1}, {"weight": torch.arange(6.0) + torch.eye(6)[3] * 1e-6}),
        fingerprint({"gain": 1}, {"weight": torch.arange(6.0).reshape(2, 3)}),
        fingerprint({"gain": 1}, {"bias": torch.arange(6.0)}),
    }
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "other"}, "describes 'other'; expected 'scale'"),
        ({"config_version": 99}, "config_version 99"),
        ({"gian": 1.0}, "unknown settings \\['gian'\\]"),
        ({"sizes": [5, 5]}, "does not fit its config.json"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_by_name(folder, changes, message):
    change_config(folder, **changes)
    with pytest.raises(ValueError, match=message):
        Scale.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_part_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Scale.from_pretrained(folder)


def test_damaged_files_are_value_errors(folder):
    (folder / "checksums.json").unlink()
    (folder / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        Scale.from_pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        Scale.from_pretrained(folder)


def test_a_block_that_fails_leaves_the_former_file(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError, match="stop"), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_setting_that_came_later_counts_only_where_it_is_not_at_its_default():
    @dataclass(frozen=True)
    class Settings:
        width: int = 3
        deep: bool = field(default=False, metadata=LATER)

    assert identity(Settings()) == {"width": 3}
    assert identity(Settings(deep=True)) == {"width": 3, "deep": True}
