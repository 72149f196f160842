"""What README and docs tell a reader to type: their blocks, and the command lines in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from videolm.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]
TRAINING = {name for name in COMMANDS if name.split()[-1] in ("fit", "validate")}
SHELLS = ("sh", "bash")
# Whatever starts a command of videolm: several processes, several machines.
_STARTERS = re.compile(r"^(?:srun|torchrun) .*?(?=videolm )")


@dataclass(frozen=True)
class Line:
    """A command of videolm in a document, without the word videolm; … stands for options."""

    document: str
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command's name, of two words or of one; none of `videolm --help`."""
        if self.words[0].startswith("--"):
            return ""
        for count in (2, 1):
            if (name := " ".join(self.words[:count])) in COMMANDS:
                return name
        raise ValueError(f"{self.document}: no command videolm {' '.join(self.words)}")

    @property
    def options(self) -> list[str]:
        """What follows the command's name."""
        return [word for word in self.words[len(self.command.split()) :] if word != "…"]

    @property
    def is_whole(self) -> bool:
        return "…" not in self.words

    def __str__(self) -> str:
        return f"{self.document}: videolm {shlex.join(self.words)}"


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, *languages: str) -> list[str]:
    """The fenced blocks of these languages."""
    fence = rf"^```(?:{'|'.join(map(re.escape, languages))})\n(.*?)^```"
    return re.findall(fence, document.read_text(encoding="utf-8"), re.M | re.S)


def shell_lines(document: Path) -> list[str]:
    """The lines of a document's shell blocks, continued ones joined, without comments."""
    text = "\n".join(blocks(document, *SHELLS)).replace("\\\n", " ")
    lines = [re.split(r"(?:^|\s\s)#", line)[0].strip() for line in text.splitlines()]
    return [line for line in lines if line]


def command_lines(document: Path) -> list[Line]:
    """The lines that call videolm, also by torchrun or srun."""
    found = []
    for line in shell_lines(document):
        line = _STARTERS.sub("", line.replace("-m videolm.cli.main ", "videolm "))
        if line.startswith("videolm "):
            found.append(Line(name_of(document), tuple(shlex.split(line)[1:])))
    return found


def inline_lines(document: Path) -> list[Line]:
    """Commands of videolm in the running text, between single backticks; they need not be whole."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    spans = re.findall(r"`(videolm [^`]+)`", text)
    return [Line(name_of(document), tuple(shlex.split(span)[1:])) for span in spans]
