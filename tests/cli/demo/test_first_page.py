"""The page of the packaged model: a clip of every task, and commands that give the same clips."""

import re
import shlex
import shutil
from html import unescape
from pathlib import Path

import torch

from videolm.cli.demo.first_page import write_first_page
from videolm.cli.main import main
from videolm.data.media.reading import read_clip
from videolm.tasks.task import film_task_names


def test_the_first_page_shows_each_task_once_and_its_commands_make_the_same_clips(
    model_folder: Path, packaged: Path, tmp_path: Path, capsys
) -> None:
    shutil.copytree(model_folder, packaged / "shapes")
    folder = tmp_path / "first"
    write_first_page(folder, source="synthetic-plain", seed=3)
    assert f"open {folder}/index.html" in capsys.readouterr().out
    page = (folder / "index.html").read_text()
    assert sorted(re.findall(r"<p><b>(\w+)</b>", page)) == sorted(film_task_names())
    for link in re.findall(r'src="([^"]*)"', page):
        assert (folder / link).is_file(), link
    commands = [unescape(words) for words in re.findall(r"<pre>videolm (.*)</pre>", page)]
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command)
        assert main(words) == 0
        made = read_clip(Path(words[-1]))
        name = Path(words[-1])
        shown = read_clip(folder / "clips" / f"{name.stem}-0-generated{name.suffix}")
        assert torch.equal(made.frames, shown.frames)
