"""What a model's name stands for."""

import subprocess
import sys
from pathlib import Path

import pytest

from videolm.data.runtime import model_source
from videolm.data.runtime.model_source import (
    is_own,
    model_folder,
    packaged_models,
    part_folder,
    place_beside,
    source_name,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_packaged_model_wins_over_a_folder_of_its_name_which_is_written_with_its_place(packaged):
    make(packaged / "shapes")
    make(Path("shapes"))
    assert packaged_models() == ("shapes",)
    assert model_folder("shapes") == packaged / "shapes"
    for name in ("./shapes", Path("shapes")):
        assert model_folder(name).resolve() == Path("shapes").resolve()


def test_without_a_name_the_packaged_model_is_taken_or_its_absence_is_said(packaged):
    make(packaged / "sprites")
    with pytest.raises(FileNotFoundError, match="holds no packaged model shapes; give --model"):
        model_folder()
    make(packaged / "shapes")
    assert model_folder() == packaged / "shapes"


@pytest.mark.parametrize("name", ["gigantic", "/nowhere/at/all", "runs/mine/model", "../x", "a--b/c"])
def test_a_name_of_nothing_says_what_was_tried_without_asking_the_hub(name, packaged, hub):
    make(packaged / "shapes")
    with pytest.raises(FileNotFoundError) as caught:
        model_folder(name)
    said = str(caught.value)
    assert f"no model folder {name}" in said and "there is shapes" in said and "user/name" in said
    assert not hub.requests


def test_a_name_like_the_hubs_is_a_folder_first(hub):
    make(Path("user/name"))
    assert model_folder("user/name") == Path("user/name")
    assert not hub.requests


def test_a_revision_of_a_folder_is_refused(packaged):
    make(Path("mine"))
    with pytest.raises(ValueError, match="mine is a folder; revision v2 is for"):
        model_folder("mine", revision="v2")


def test_a_part_is_its_own_folder_or_one_in_a_model():
    make(Path("model/video_tokenizer"))
    assert part_folder("model", "video_tokenizer") == Path("model/video_tokenizer")
    assert part_folder("model/video_tokenizer", "video_tokenizer") == Path("model/video_tokenizer")


def test_records_call_a_model_by_its_name_and_commit_or_its_whole_path(packaged):
    snapshot = make(Path("cache/models--user--name/snapshots") / COMMIT)
    own, shapes = make(Path("runs/mine/model")), make(packaged / "shapes")
    assert source_name(own) == str(own.resolve())
    assert source_name(shapes) == "shapes"
    assert source_name(snapshot) == f"user/name@{COMMIT}"
    assert [is_own(each) for each in (own, shapes, snapshot)] == [True, False, False]
    assert place_beside(own, "evaluation") == Path("runs/mine/evaluation")
    assert place_beside(shapes, "evaluation") == Path("runs/shapes/evaluation")
    assert place_beside(snapshot, "evaluation") == Path("runs/name/evaluation")


def test_the_rule_of_names_loads_nothing_heavy():
    code = (
        "import sys\nfrom videolm.data.runtime.model_source import model_folder\n"
        "try:\n    model_folder('nothing')\nexcept FileNotFoundError:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'huggingface_hub', 'safetensors'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_packages_own_models_stand_beside_its_rooms():
    assert Path(__file__).parents[3] / "pretrained" == model_source.PACKAGED
