"""The calls below long videos and chains: what the commands read is what the page was asked for."""

import shlex
from pathlib import Path

import pytest

from videolm.app.jobs.job import JobRequest
from videolm.app.jobs.workflows import chain_steps
from videolm.app.page.calls import Caller
from videolm.cli.arguments import parse
from videolm.cli.main import COMMANDS
from videolm.generation.chain.chain import checked
from videolm.generation.chain.chain_file import read_chain
from videolm.generation.long_video.script import read_script
from videolm.generation.run_request import Runtime


@pytest.fixture
def caller():
    return Caller(Path("my model"), Runtime(), None)


def parsed(line: str):
    _, command, *words = shlex.split(line.replace("\\\n", " "))
    return parse(COMMANDS[command], command, words)


def test_a_chain_is_read_back_with_the_file_that_it_was_given(caller):
    steps = (
        {"task": "image_to_video", "image": "input", "text": "it's: #1 \"odd\" ☃", "sampling": {"top_k": 5}},
        {"name": "sound", "task": "video_to_audio", "video": "image_to_video", "seed": 3},
    )
    request = JobRequest("chain", steps=steps, media=("image",), seed=7, sampling={"temperature": 0.5})
    calls = caller.of_chain(request, "my picture.png")
    Path("my picture.png").touch()
    values = parsed(calls.command)
    Path(values["chain"]).write_text(calls.file)
    found = read_chain(values["chain"])
    assert (found[0].image, values["model"]) == (Path("my picture.png"), "my model")
    wanted = checked(chain_steps(request), ("input",))
    assert [each.text for each in found] == [each.text for each in wanted]
    assert [(each.seed, each.sampling) for each in found] == [(each.seed, each.sampling) for each in wanted]
    compile(calls.python, "python", "exec")


@pytest.mark.parametrize(
    "script",
    [
        ({"text": "a red square"}, {"text": "it's odd"}),
        ({"text": "# no comment"}, {"text": '{"text": "x"}'}),
        ({"text": "a red ball falls", "seconds": 2.5},),
    ],
)
def test_a_long_video_is_read_back_with_its_script(script, caller):
    request = JobRequest("long_video", script=script, seconds=4.0, silent=True, seed=3, sampling={"top_k": 5})
    calls = caller.of_long(request, {"video": "film.mp4"})
    values = parsed(calls.command)
    values["prompt"].script.write_text(calls.file)
    assert [(line.text, line.seconds) for line in read_script(values["prompt"].script)] == [
        (each["text"], each.get("seconds")) for each in script
    ]
    assert (values["prompt"].seconds, values["prompt"].silent, values["seed"]) == (4.0, True, 3)
    assert values["prompt"].video == Path("film.mp4") and values["sampling"].top_k == 5
    compile(calls.python, "python", "exec")
