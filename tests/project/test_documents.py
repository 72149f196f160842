"""What README and docs tell a reader to type is understood, and the examples really run.

Every command line parses as it stands, and every other line of a shell is of a known kind. The worked example
is run in a quick variant: small clips and networks, a few steps. Python blocks are run, JSON and YAML read.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from documents import (
    DOCUMENTS,
    README,
    ROOT,
    SHELLS,
    TRAINING,
    Line,
    blocks,
    command_lines,
    inline_lines,
    name_of,
    shell_lines,
)  # fmt: skip

from videolm.cli.arguments import as_parsed, options_of, parse
from videolm.cli.config_files import packaged_config
from videolm.cli.main import COMMANDS, main
from videolm.cli.stages import STAGES
from videolm.data.runtime.model_source import packaged_models

LINES = [line for document in DOCUMENTS for line in command_lines(document)]
INLINE = [line for document in DOCUMENTS for line in inline_lines(document)]
OTHERS = sorted({
    line for document in DOCUMENTS for line in shell_lines(document)
    if not re.match(r"videolm |(srun|torchrun) .*videolm", line)
})  # fmt: skip
# Languages of blocks that are tested here, and those that the build of the site reads.
TESTED = {*SHELLS, "python", "json", "yaml"}
DRAWN = {"", "{toctree}", "{eval-rst}"}


def test_the_documents_have_commands():
    assert len(LINES) > 60 and len(INLINE) > 20
    named = {line.command for line in LINES if "--help" not in line.words}
    assert named >= {"tokenizer fit", "audio fit", "encode", "lm fit", "generate", "evaluate", "data inspect"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_block_is_of_a_language_that_nothing_tests(document: Path):
    text = document.read_text(encoding="utf-8")
    opened = re.findall(r"^```(\S*)", text, re.M)
    assert len(opened) % 2 == 0 and not any(opened[1::2])
    assert set(opened[::2]) <= TESTED | DRAWN


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_command_line_of_a_document_is_understood(line: Line):
    if "--help" in line.words or line.words == ("--version",):
        assert main(list(line.words)) == 0
    elif line.command in TRAINING:
        stage, options = line.command.rpartition(" ")[0], line.options
        assert options.count("--out") == 1 or not line.is_whole, line
        config = options[options.index("--config") + 1]
        assert packaged_config(config, stage).is_file()
    else:
        parse(COMMANDS[line.command], line.command, line.options)  # raises if it does not fit


@pytest.mark.long
@pytest.mark.parametrize("line", [line for line in LINES if line.command in TRAINING], ids=str)
def test_settings_of_a_training_line_are_known(line: Line, model: Any, monkeypatch: pytest.MonkeyPatch):
    """As far as LightningCLI reads them; nothing is made of them."""
    from videolm.cli.stage_cli import StageCLI

    class ParsedCLI(StageCLI):
        def before_instantiate_classes(self) -> None: ...

        def instantiate_classes(self) -> None: ...

    model.save_pretrained("runs/base/model")  # that one line starts from
    monkeypatch.setattr(sys, "argv", ["videolm"])
    options = line.options if "--out" in line.options else [*line.options, "--out", "run"]
    ParsedCLI(STAGES[line.command.rpartition(" ")[0]], "fit", as_parsed(options))


@pytest.mark.parametrize("line", INLINE, ids=str)
def test_a_command_in_the_text_has_known_options(line: Line):
    if not line.command or line.command in TRAINING or "--help" in line.words:
        return
    known = {*options_of(COMMANDS[line.command]), "--debug", "--confine", "--help"}
    assert {word for word in line.options if word.startswith("--")} <= known, line


def _extras(words: list[str]) -> bool:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.findall(r"\[(.*?)\]", " ".join(words))
    return all(extra in project for names in asked for extra in names.split(","))


def _targets(words: list[str]) -> bool:
    makefile = (ROOT / "Makefile").read_text()
    targets = [word for word in words if "=" not in word]
    return all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def _module(words: list[str]) -> bool:
    if words[0] == "-c":
        return bool(compile(words[1], "documents", "exec"))
    name = words[words.index("-m") + 1]
    return (ROOT / Path(*name.split("."))).with_suffix(".py").is_file() or find_spec(name) is not None


CHECKS: dict[str, Callable[[list[str]], bool]] = {
    "pip": _extras,
    "make": _targets,
    "python": _module,
    "git": lambda words: words[0] in ("clone", "commit"),
    "cd": lambda words: len(words) == 1,
    "mkdir": lambda words: len(words) == 1,
    "pre-commit": lambda words: words == ["install"],
}


@pytest.mark.parametrize("line", OTHERS)
def test_any_other_line_of_a_shell_is_understood(line: str):
    first, *words = shlex.split(line)
    assert CHECKS[first](words), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_scripts_have_the_grammar_of_bash(document: Path):
    for script in blocks(document, "bash"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_json_and_yaml_are_read(document: Path):
    decoder = json.JSONDecoder()
    for text in blocks(document, "json"):
        rest = text.strip()
        while rest:
            _, end = decoder.raw_decode(rest)
            rest = rest[end:].strip()
    for text in blocks(document, "yaml"):
        assert yaml.safe_load(text)


QUICK = {"encode": "--height 32 --width 32 --num-frames 9"}


def quick(line: Line) -> list[str]:
    """A command line with small configs and sizes in place of those for real clips."""
    words = list(line.words)
    if "--config" in words:
        words[words.index("--config") + 1] = "debug"
    return [*words, *shlex.split(QUICK.get(line.command, ""))]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (README, ["data inspect", "tokenizer fit", "audio fit", "encode", "lm fit", "generate"]),
        pytest.param(
            ROOT / "docs" / "own-clips.md",
            ["data inspect", "tokenizer fit", "audio fit", "encode", "lm fit", "generate", "export"],
            marks=pytest.mark.long,
        ),
    ],
    ids=["README.md", "own-clips.md"],
)
def test_the_worked_example_on_own_clips_runs(
    document: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(shlex.split("synthesize --out clips --clips 12 --height 32 --width 32 --num-frames 17")) == 0
    listed = Path("clips/captions.jsonl")
    listed.write_text(listed.read_text().replace('"caption"', '"group": "cats", "caption"'))
    told = command_lines(document)
    begin = next(number for number, line in enumerate(told) if line.command == "data inspect")
    story = [told[begin], *(line for line in told[begin:] if "runs/cats" in str(line) and line.is_whole)]
    assert [line.command for line in story] == expected
    for line in story:
        assert main(quick(line)) == 0, (line, capsys.readouterr())
    assert Path("cat.mp4").stat().st_size > 0


@pytest.fixture
def demo_model(model: Any) -> None:
    model.save_pretrained("runs/demo/model")


@pytest.fixture
def recorded_world() -> None:
    """The world model of the repository, and an episode of random codes to begin with."""
    from videolm.data.codes.shards import CodedClip, ShardWriter
    from videolm.data.environments.action_space import ActionSpace
    from videolm.tasks.model_config import ModelConfig

    shutil.copytree(ROOT / "pretrained" / "minigrid", "runs/minigrid/model")
    clips = ModelConfig.load(Path("runs/minigrid/model")).clips
    length, generator = clips.grid[0], torch.Generator().manual_seed(0)
    actions = ActionSpace.from_json(clips.actions).sample(clips.num_steps(length), generator)
    visual = torch.randint(256, clips.grid, generator=generator)
    codes = {"visual": visual, "actions": actions, "outcome": torch.zeros(actions.shape[1], dtype=torch.long)}
    writer = ShardWriter(Path("runs/minigrid/shards"), clips, {"source": "random"})
    writer.write(0, [CodedClip(codes, source="episode", path="episode.mkv")])
    writer.finish()


SLOW_PYTHON = {ROOT / "docs" / "world-models.md"}  # a hundred steps of a world
WITH_PYTHON = [
    pytest.param(document, marks=pytest.mark.long if document in SLOW_PYTHON else ())
    for document in DOCUMENTS
    if blocks(document, "python")
]


@pytest.mark.usefixtures("demo_model", "recorded_world")
@pytest.mark.filterwarnings("ignore::videolm.data.runtime.notes.Note")
@pytest.mark.parametrize("document", WITH_PYTHON, ids=name_of)
def test_the_python_lines_of_a_document_run(document: Path, model: Any):
    source = "\n".join(blocks(document, "python"))
    if "127.0.0.1:8000" not in source:
        exec(compile(source, name_of(document), "exec"), {})
        return
    pytest.importorskip("openai")
    from video_server import video_server

    with video_server(model, Path("serve")) as server:
        source = source.replace("http://127.0.0.1:8000", server.address)
        exec(compile(source, name_of(document), "exec"), {})
    assert Path("out.mp4").stat().st_size > 0


def test_links_of_the_pages_of_the_root_lead_somewhere():
    """Those of docs are checked by the build of the site (test_site.py)."""
    for document in ROOT.glob("*.md"):
        for link in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (ROOT / link.partition("#")[0]).exists(), (document.name, link)


@pytest.mark.parametrize("document", [README, ROOT / "docs" / "results.md"], ids=name_of)
def test_tables_of_weights_have_the_packaged_models(document: Path):
    rows = re.findall(r"^\| `(\w+)`, [\d.]+ MB", document.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(packaged_models())


def test_readme_fits_a_newcomer():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "make test" in text  # what CI runs
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert any(Path(picture).suffix in (".webp", ".gif") for picture in pictures)
    assert all((ROOT / picture).stat().st_size < 1_000_000 for picture in pictures)
