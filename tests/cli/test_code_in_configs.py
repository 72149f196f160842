"""A config of somebody else runs no code; what is typed on the command line may."""

import sys

import pytest
import yaml

from videolm.cli.code_in_configs import refuse_task_files
from videolm.cli.main import main

CALLS = """
from pathlib import Path
from lightning.pytorch.callbacks import Callback
class Evil(Callback):
    def __init__(self, marker: str):
        Path(marker).touch()
def evil(*given):
    raise SystemExit("ran")
"""
TASK = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
from videolm.tasks.definitions.unconditional import TASK as ours
from dataclasses import replace
TASK = replace(ours, name="mine")
"""


@pytest.fixture(autouse=True)
def no_words_of_pytest(monkeypatch):
    """LightningCLI warns of words on the real command line."""
    monkeypatch.setattr(sys, "argv", ["videolm"])


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """The name of a module that can be imported, as any installed package can."""
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "planted_calls.py").write_text(CALLS)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    yield "planted_calls"
    sys.modules.pop("planted_calls", None)


def fit(tmp_path, settings, *typed):
    config = tmp_path / "theirs.yaml"
    config.write_text(yaml.safe_dump({"base": "tokenizer/debug.yaml"} | settings))
    command = ["tokenizer", "fit", "--config", str(config), "--out", str(tmp_path / "run")]
    return main([*command, "--trainer.max_steps", "1", *typed])


EVIL = {"class_path": "{planted}.Evil", "init_args": {"marker": "{marker}"}}
LAMBDA = "lightning.pytorch.callbacks.LambdaCallback"
INNER = "lightning.pytorch.callbacks.lambda_function.LambdaCallback"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("callbacks", EVIL),
        ("callbacks", {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "{marker}"]}}),
        ("callbacks", {"class_path": LAMBDA, "init_args": {"setup": "{planted}.evil"}}),
        ("callbacks", {"class_path": INNER, "init_args": {"setup": "videolm.cli.main.main"}}),
        ("callbacks", "{planted}.Evil"),
        ("callbacks", "antigravity.x"),
        ("strategy", EVIL),
        ("profiler", EVIL),
        ("plugins", EVIL),
        ("logger", "os.abort"),
    ],
)
def test_a_config_makes_no_class_that_is_not_open(place, value, tmp_path, planted, capfd):
    marker = tmp_path / "ran"
    text = yaml.safe_dump(value).replace("{planted}", planted).replace("{marker}", str(marker))
    given = yaml.safe_load(text)
    settings = {"trainer": {place: [given] if place in ("callbacks", "plugins") else given}}
    code = fit(tmp_path, settings)
    assert not marker.exists() and "antigravity" not in sys.modules and planted not in sys.modules
    errors = capfd.readouterr().err
    assert code == 2 and errors.count("\n") == 1, errors


def test_a_class_that_is_typed_is_made(tmp_path, planted):
    marker = tmp_path / "ran"
    callback = f'{{"class_path": "{planted}.Evil", "init_args": {{"marker": "{marker}"}}}}'
    assert fit(tmp_path, {}, f"--trainer.callbacks=[{callback}]") == 0
    assert marker.exists()


def test_classes_of_lightning_are_open_to_a_config(tmp_path):
    callbacks = [{"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}, "ModelSummary"]
    assert fit(tmp_path, {"trainer": {"callbacks": callbacks}}) == 0


@pytest.mark.parametrize("verb", ["fit", "info"])
def test_a_config_runs_no_task_of_a_file(verb, tmp_path, coded_run, capfd):
    task, config = tmp_path / "mine.py", tmp_path / "theirs.yaml"
    task.write_text(TASK)
    config.write_text(yaml.safe_dump({"base": "lm/debug.yaml", "data": {"tasks": {str(task): 1.0}}}))
    shards = ["--data.shards", str(coded_run / "shards"), "--data.model", str(coded_run / "model")]
    lines = {"fit": ["lm", "fit", "--config", str(config), "--out", str(tmp_path / "run"), *shards]}
    assert main(lines.get(verb, ["info", str(config)])) == 2
    assert "is a program" in capfd.readouterr().err and not (tmp_path / "ran").exists()


def test_a_task_that_is_typed_runs(tmp_path, coded_run):
    (tmp_path / "mine.py").write_text(TASK)
    tasks = f'{{"{tmp_path}/mine.py": 1.0}}'
    shards = ["--data.shards", str(coded_run / "shards"), "--data.model", str(coded_run / "model")]
    command = ["lm", "fit", "--config", "debug", "--out", str(tmp_path / "run"), *shards]
    assert main([*command, "--data.tasks", tasks]) == 0
    assert (tmp_path / "ran").exists()


def test_a_typed_word_allows_no_other_file():
    typed = ["--config", "theirs.yaml", "--data.tasks", '{"mine.py": 1, "b/c.py": 1}']
    refuse_task_files(["mine.py", "b/c.py", "text_to_video"], typed)
    for name in ("e.py", "c.py", "mine.py.py", "theirs.py"):
        with pytest.raises(ValueError, match="is a program"):
            refuse_task_files([name], typed)
