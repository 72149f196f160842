"""Commands with a packaged model, one of the hub, and none."""

import shutil
from pathlib import Path

import pytest
from hub_server import TOKEN, Repository

from videolm.cli.main import main
from videolm.data.runtime.files import read_json
from videolm.generation.run_request import PromptOptions, TaskOptions


@pytest.fixture
def shapes(model_folder, packaged) -> Path:
    return Path(shutil.copytree(model_folder, packaged / "shapes"))


def test_a_text_alone_is_enough_where_there_is_a_packaged_model(shapes, capsys):
    assert main(["generate", "--text", "a red square moves right", "--out", "red.mp4"]) == 0
    assert Path("red.mp4").stat().st_size > 0
    Path("prompts.txt").write_text("a red square\n")
    Path("out").mkdir()
    words = ["generate", "--task", "text_to_image", "--prompts", "prompts.txt", "--out", "out"]
    assert main(words) == 0, capsys.readouterr()
    assert read_json(Path("out/request.json"))["model"] == "shapes"
    assert main(["tasks", "--model", "shapes"]) == 0
    assert "text_to_video" in capsys.readouterr().out
    assert main(["info", "shapes"]) == 0
    assert "vocabulary" in capsys.readouterr().out


def test_without_a_packaged_model_one_line_says_so(packaged, capsys):
    assert main(["generate", "--text", "a red square", "--out", "red.mp4"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "this installation holds no packaged model shapes; give --model" in line


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({"text": "a"}, "text_to_video"),
        ({"image": Path("a.png")}, "image_to_video"),
        ({"image": Path("a.png"), "text": "a"}, "image_to_video"),
        ({"audio": Path("a.wav")}, "audio_to_video"),
    ],
)
def test_the_task_follows_from_a_prompt_that_can_be_for_no_other(given, task):
    assert TaskOptions().name_for(PromptOptions(**given)) == task
    assert TaskOptions("unconditional").name_for(PromptOptions(**given)) == "unconditional"


@pytest.mark.parametrize("given", [{}, {"video": Path("a.mp4")}, {"text": "a", "mask": "box"}])
def test_else_the_task_is_asked_for(given):
    with pytest.raises(ValueError, match="give the name of a task"):
        TaskOptions().name_for(PromptOptions(**given))


def test_a_missing_file_is_named_before_the_model_is_looked_for(hub, packaged, capsys):
    words = ["generate", "--model", "user/name", "--image", "none.png", "--out", "x.mp4"]
    assert main(words) == 2
    assert "there is no file none.png" in capsys.readouterr().err
    assert not hub.requests


def test_models_of_the_hub_are_named_with_their_commit_in_records(model_folder, hub, capsys):
    paths = [path for path in model_folder.rglob("*") if path.is_file()]
    hub.repositories["user/name"] = Repository()
    commit = hub.repositories["user/name"].put(
        {path.relative_to(model_folder).as_posix(): path.read_bytes() for path in paths}
    )
    Path("chain.yaml").write_text("steps:\n- {task: text_to_image, text: a red square}\n")
    assert main(["chain", "chain.yaml", "--model", "user/name", "--out", "chain"]) == 0
    assert read_json(Path("chain/request.json"))["model"] == f"user/name@{commit}"
    assert f"downloading user/name@{commit}" in capsys.readouterr().err
    assert main(["chain", "chain.yaml", "--model", "user/none", "--out", "chain"]) == 2
    assert "hub has no model user/none" in capsys.readouterr().err.splitlines()[-1]


def test_push_prints_the_address_last(model_folder, tmp_path, hub, monkeypatch, capsys):
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(["push", "--model", str(folder), "me/mine", "--private", "--message", "first"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{hub.endpoint}/me/mine"
    pushed = hub.repositories["me/mine"]
    assert pushed.is_private and pushed.messages == ["first"]
    assert 'from_pretrained("me/mine")' in pushed.files("main")["README.md"].decode()
    monkeypatch.delenv("HF_TOKEN")
    assert main(["push", "--model", str(folder), "me/other"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert "does not accept the token" in line
