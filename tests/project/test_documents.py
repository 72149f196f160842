"""What README and docs tell a reader to type is understood, and the examples really run.

Every command line parses as it stands. Those of the worked example, and the Python lines, are run in a quick
variant: small clips and networks, a few steps.
"""

import re
import shlex
from pathlib import Path

import pytest

from videolm.cli.arguments import parse
from videolm.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
TRAINING = {name for name in COMMANDS if name.split()[-1] in ("fit", "validate")}


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)


def command_lines(document: Path) -> list[str]:
    """The lines of a document's shell blocks that call videolm, without comments; … stands for options."""
    text = "\n".join(blocks(document, "sh")).replace("\\\n", " ")
    lines = [line.split("  #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line.startswith("videolm ")]


def command_of(words: list[str]) -> str:
    return next(" ".join(words[:count]) for count in (2, 1) if " ".join(words[:count]) in COMMANDS)


LINES = [(document.name, line) for document in DOCUMENTS for line in command_lines(document)]


def test_the_documents_have_commands():
    assert len(LINES) > 20
    named = {command_of(shlex.split(line)[1:]) for _, line in LINES if "--help" not in line}
    assert named >= {"tokenizer fit", "audio fit", "encode", "lm fit", "generate", "evaluate", "data inspect"}


@pytest.mark.parametrize(("document", "line"), LINES)
def test_a_command_line_of_a_document_is_understood(document: str, line: str):
    words = [word for word in shlex.split(line)[1:] if word != "…"]
    if "--help" in words:
        assert main(words) == 0
        return
    name = command_of(words)
    rest = words[len(name.split()) :]
    if name in TRAINING:
        assert "--config" in rest and (rest.count("--out") == 1 or "…" in line), line
    else:
        parse(COMMANDS[name], name, rest)  # raises if it does not fit


QUICK = {"encode": "--height 32 --width 32 --num-frames 9"}


def quick(line: str) -> list[str]:
    """A command line with small configs and sizes in place of those for real clips."""
    words = shlex.split(line)[1:]
    if "--config" in words:
        words[words.index("--config") + 1] = "debug"
    return [*words, *shlex.split(QUICK.get(command_of(words), ""))]


def test_the_worked_example_on_own_clips_runs(capsys: pytest.CaptureFixture[str]):
    assert main(shlex.split("synthesize --out clips --clips 12 --height 32 --width 32 --num-frames 17")) == 0
    listed = Path("clips/captions.jsonl")
    listed.write_text(listed.read_text().replace('"caption"', '"group": "cats", "caption"'))
    story = [line for line in command_lines(ROOT / "README.md") if "runs/cats" in line and "…" not in line]
    names = [command_of(shlex.split(line)[1:]) for line in story]
    assert names == ["tokenizer fit", "audio fit", "encode", "lm fit", "generate", "export"]
    for line in story:
        assert main(quick(line)) == 0, (line, capsys.readouterr())
    assert Path("cat.mp4").stat().st_size > 0


def test_the_python_lines_of_readme_run(model, capsys: pytest.CaptureFixture[str]):
    model.save_pretrained("runs/demo/model")
    source = "\n".join(blocks(ROOT / "README.md", "python"))
    assert "VideoLM.from_pretrained" in source
    exec(compile(source, "README.md", "exec"), {})
    assert Path("out.mp4").stat().st_size > 0
