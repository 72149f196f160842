"""Configs by name or path, each over its base; every packaged one as LightningCLI reads it."""

import shutil
import sys
from typing import Any

import pytest
import torch
import yaml

from videolm.cli.config_files import CONFIGS, folder_of, packaged_config, read_config, with_packaged_configs
from videolm.cli.main import main
from videolm.cli.stage_cli import StageCLI
from videolm.cli.stages import STAGES
from videolm.tasks.task import task_names

PACKAGED = [(stage, path.stem) for stage in STAGES for path in sorted(folder_of(stage).glob("*.yaml"))]
BASES = sorted((CONFIGS / "shared").glob("*.yaml"))


@pytest.fixture(autouse=True)
def no_words_of_pytest(monkeypatch):
    """LightningCLI warns of words on the real command line."""
    monkeypatch.setattr(sys, "argv", ["videolm"])


class ParsedCLI(StageCLI):
    """The command line of a stage up to its settings: it makes no folder and nothing of the classes."""

    def before_instantiate_classes(self) -> None: ...

    def instantiate_classes(self) -> None: ...


def parsed(stage: str, *configs: str) -> Any:
    words = [word for config in configs for word in ("--config", config)]
    return ParsedCLI(STAGES[stage], "fit", [*words, "--out", "run"]).config


def test_there_are_configs_of_every_stage_and_no_others():
    assert {stage for stage, _ in PACKAGED} == STAGES.keys()
    folders = {folder_of(stage).name for stage in STAGES}
    assert {path.parent.name for path in CONFIGS.rglob("*.yaml")} == folders | {"shared"}


@pytest.mark.parametrize(("stage", "name"), PACKAGED)
def test_every_packaged_config_parses_to_what_it_says(stage, name):
    """All of its settings are known to the stage, have the right types and reach it."""
    settings, config = read_config(packaged_config(name, stage)), parsed(stage, name).as_dict()
    assert {"trainer", "model", "data"} <= settings.keys() <= {"trainer", "model", "data", "steps"}
    for section, given in settings.items():
        for key, value in given.items():
            assert _says(config[section][key], value), f"{section}.{key}"


@pytest.mark.parametrize(("stage", "name"), PACKAGED)
def test_every_packaged_config_makes_the_parts_of_its_stage(stage, name, monkeypatch):
    """Language models need a vocabulary too, and super-resolution tokenizers: test_training_cost.py makes
    them all."""
    monkeypatch.setattr("videolm.tokenizers.audio.codec.start_at_unit_gain", lambda encodec: None)
    if stage == "lm":
        assert parsed(stage, name).data.tasks.keys() <= set(task_names())
        return
    if stage == "super-resolution":
        return
    module, datamodule = STAGES[stage].classes()
    cli = ParsedCLI(STAGES[stage], "fit", ["--config", name, "--out", "run", "--data.source", "synthetic"])
    # A codec is small, and its filterbank is computed. A video tokenizer would take gigabytes.
    with torch.device("meta" if stage == "tokenizer" else "cpu"):
        made = cli.parser.instantiate_classes(cli.config)
    assert isinstance(made.model, module) and isinstance(made.data, datamodule)


@pytest.mark.parametrize("base", BASES, ids=lambda path: path.stem)
def test_every_shared_base_is_used(base):
    texts = [path.read_text(encoding="utf-8") for path in CONFIGS.rglob("*.yaml")]
    assert sum(f"\nbase: shared/{base.name}\n" in text for text in texts) > 1


def test_configs_are_given_by_name_or_by_path(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("{}")
    arguments = ["--config", str(own), f"--config={own}", "--out", "x"]
    assert with_packaged_configs(arguments, "tokenizer") == arguments
    assert packaged_config("debug", "tokenizer") == CONFIGS / "tokenizer" / "debug.yaml"
    with pytest.raises(FileNotFoundError, match="no config huge: neither a file nor one of"):
        packaged_config("huge", "tokenizer")


@pytest.mark.parametrize("flag", ["--config {}", "-c {}", "--config={}"])
def test_a_config_with_a_base_is_given_to_the_parser_as_one_text(flag):
    *_, given = with_packaged_configs(flag.format("debug").split(), "tokenizer")
    settings = yaml.safe_load(given.removeprefix("--config="))
    assert settings == read_config(packaged_config("debug", "tokenizer"))


def test_a_setting_replaces_its_bases_whole_and_other_settings_stay(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "trainer: {max_steps: 1, benchmark: true}\ndata: {tasks: {a: 1, b: 2}}"
    )
    (tmp_path / "own.yaml").write_text(
        "base: base.yaml\ntrainer: {max_steps: 2}\ndata: {tasks: {b: 3}}\nlogger: csv"
    )
    assert read_config(tmp_path / "own.yaml") == {
        "trainer": {"max_steps": 2, "benchmark": True},
        "data": {"tasks": {"b": 3}},
        "logger": "csv",
    }


def test_a_copy_of_a_packaged_config_says_the_same_elsewhere(tmp_path):
    copy = tmp_path / "mine.yaml"
    shutil.copyfile(packaged_config("compact-224x128", "tokenizer"), copy)
    assert read_config(copy) == read_config(packaged_config("compact-224x128", "tokenizer"))
    assert parsed("tokenizer", str(copy)).data.height == 224


def test_later_configs_come_over_earlier_ones(tmp_path):
    (tmp_path / "more.yaml").write_text("trainer:\n  max_steps: 7\n")
    config = parsed("tokenizer", "debug", str(tmp_path / "more.yaml"))
    assert (config.trainer.max_steps, config.trainer.max_epochs) == (7, -1)
    assert config.model.tokenizer.bits == 6


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("base: nowhere.yaml", "no nowhere.yaml, the base of"),
        ("base: own.yaml", "as a base in turn"),
        ("base: shared/steps.yaml\nmodel: {tokenizer: {bitz: 6}}", "tokenizer.bitz"),
        ("base: shared/steps.yaml\nmodel: {", "is not YAML"),
        ("- 3", "has no sections"),
    ],
)
def test_a_mistake_in_a_config_is_one_line(text, part, tmp_path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "own.yaml").write_text(text)
    command = ["tokenizer", "fit", "--config", str(tmp_path / "own.yaml"), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert part in line


def _says(parsed: Any, given: Any) -> bool:
    """Whether a parsed value holds what a YAML gives; what the YAML leaves out has its default."""
    if isinstance(given, dict):
        return all(_says(parsed[key], value) for key, value in given.items())
    if isinstance(given, list):
        return len(parsed) == len(given) and all(map(_says, parsed, given))
    return parsed == given
