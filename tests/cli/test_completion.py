"""Completion in bash: what the script offers at a place of a command line."""

import shutil
import subprocess

import pytest

from videolm.cli.completion import completion_script
from videolm.cli.config_files import packaged_names
from videolm.cli.main import COMMANDS

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "videolm.bash"
    path.write_text(completion_script(COMMANDS, "bash"))
    return path


def offered(script, *words):
    *_, before, last = words
    lines = [
        f"source {script}",
        f"COMP_WORDS=({' '.join(word or repr('') for word in words)})",
        f"COMP_CWORD={len(words) - 1}",
        f"_shtab_videolm videolm '{last}' '{before}'",
        'echo "${COMPREPLY[@]}"',
    ]
    done = subprocess.run([str(BASH), "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("videolm", ""), sorted({name.split()[0] for name in COMMANDS})),
        (("videolm", "tokenizer", "s"), ["score"]),
        (("videolm", "tokenizer", "fit", "--config", ""), packaged_names("tokenizer")),
        (("videolm", "sampling", "s"), ["search"]),
        (("videolm", "generate", "--top-"), ["--top-k", "--top-p"]),
    ],
)
def test_what_fits_is_offered(script, words, expected):
    assert sorted(offered(script, *words)) == sorted(expected)


def test_every_shell_has_a_script():
    for shell in ("bash", "zsh", "tcsh"):
        assert "long-video" in completion_script(COMMANDS, shell)
