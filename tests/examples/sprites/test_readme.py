"""What README.md of the example tells a reader to type is understood, and leads from sheets to a score."""

import re
import shlex
from pathlib import Path

import pytest

from videolm.cli.arguments import parse
from videolm.cli.main import COMMANDS, main
from videolm.examples.sprites.read_attributes import read_attributes
from videolm.examples.sprites.render import render
from videolm.examples.sprites.sheet import sheet

README = Path(__file__).parents[3] / "examples" / "sprites" / "README.md"
EXAMPLES = {
    "examples.sprites.render": render,
    "examples.sprites.read_attributes": read_attributes,
    "examples.sprites.sheet": sheet,
}
# In place of what is long.
QUICK = {"--clips": "12", "--config": "debug"}


def lines() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    return [shlex.split(line) for line in "".join(blocks).splitlines()]


def command_of(words: list[str]) -> str:
    """The command of videolm, of two words or one."""
    return next(" ".join(words[1:end]) for end in (3, 2) if " ".join(words[1:end]) in COMMANDS)


@pytest.mark.parametrize("words", lines(), ids=" ".join)
def test_a_line_of_the_readme_is_understood(words: list[str]):
    if words[:2] == ["python", "-m"]:
        parse(EXAMPLES[words[2]], words[2], words[3:])
    elif words[0] == "videolm":
        name = command_of(words)
        rest = words[1 + len(name.split()) :]
        if name.endswith("fit"):
            assert "--config" in rest and rest.count("--out") == 1
        else:
            parse(COMMANDS[name], name, rest)
    else:
        assert words[0] in ("git", "mkdir")


@pytest.mark.long
def test_the_lines_of_the_readme_lead_from_sheets_to_scores(
    sheets_folder: Path, capsys: pytest.CaptureFixture[str]
):
    Path("sheets").symlink_to(sheets_folder)
    for words in lines():
        quick = [QUICK.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        if quick[0] == "videolm":
            assert main(quick[1:]) == 0, (quick, capsys.readouterr())
        elif quick[0] == "python":
            EXAMPLES[quick[2]](**parse(EXAMPLES[quick[2]], quick[2], quick[3:]))
        elif quick[0] == "mkdir":
            Path(quick[1]).mkdir()
    assert Path("orc.mp4").stat().st_size > 0
    for name in ("orc", "chosen"):
        assert len(list(Path(name).glob("*.gif"))) == 20 and Path(name, "sheet.png").is_file()
    scored = re.findall(r"^12 clips, [\d.]+ CPU seconds each$", capsys.readouterr().out, re.M)
    assert len(scored) == 2
