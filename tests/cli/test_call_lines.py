"""The calls that are shown to be copied are understood as what was asked for."""

import shlex
from pathlib import Path

import pytest

from videolm.cli.arguments import parse
from videolm.cli.main import COMMANDS
from videolm.generation.call_lines import generate_command, generate_python, long_command
from videolm.generation.long_video.long_options import LongOptions
from videolm.generation.run_request import PromptOptions, Request, Results, Runtime
from videolm.lm.decoding.sampling import Sampling

TEXTS = ("a red square", "it's \"odd\": --seed $HOME `ls`", "-1", "12", "ein Würfel\t☃", "[a, b]", "true")


def parsed(line: str):
    """The arguments of a command as a shell and the command line read it."""
    words = shlex.split(line.replace("\\\n", " "))
    assert words[0] == "videolm"
    return parse(COMMANDS[words[1]], words[1], words[2:])


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_whatever_it_holds(text):
    line = generate_command(Request(Path("m"), "text_to_video", PromptOptions(text=text)), Path("out.mp4"))
    assert parsed(line)["prompt"] == PromptOptions(text=text)


@pytest.mark.parametrize(
    "request_",
    [
        Request(Path("runs/my model"), "unconditional", seed=-5),
        Request(
            Path("m"),
            "inpainting",
            PromptOptions("a", "b", video=Path("my film.mp4"), mask="moving box", aspect="16:9"),
            sampling=Sampling(0.5, 10, 0.9, 2.0, "linear", -0.5, 64, "jacobi", 8, recommended=False),
            seed=2**64 - 5,
            results=Results(num_samples=4, raw=True, upscale=2),
            runtime=Runtime("int8", "cpu", "bfloat16"),
        ),
        Request(Path("m"), "audio_to_video", PromptOptions(audio=Path("-x.wav"), frames=17)),
        Request(Path("m"), "stylization", PromptOptions(text="a", video=Path("f.mp4"), seconds=1.5), "none"),
    ],
)
def test_a_request_comes_back_from_its_command(request_):
    values = parsed(generate_command(request_, Path("out file.mp4")))
    assert (values["task"].task, values["prompt"]) == (request_.task, request_.prompt)
    assert (values["sampling"], values["seed"]) == (request_.sampling, request_.seed)
    assert (values["results"], values["runtime"]) == (request_.results, request_.runtime)
    assert (values["depth"], values["out"], values["model"]) == (
        request_.depth,
        Path("out file.mp4"),
        str(request_.model),
    )


def test_a_long_video_comes_back_from_its_command():
    options = LongOptions(script=Path("script.txt"), seconds=4.5, image=Path("i.png"), given=5, silent=True)
    values = parsed(long_command(Path("m"), options, 7, Sampling(temperature=0.5), Path("long")))
    assert values["prompt"] == options and values["seed"] == 7
    assert values["sampling"] == Sampling(temperature=0.5) and values["out"] == Path("long")


@pytest.mark.parametrize("text", TEXTS)
def test_python_reads_a_text_as_it_was(text):
    source = generate_python(Request(Path("m"), "text_to_video", PromptOptions(text=text)), Path("out.mp4"))
    call = source[source.index("model.generate(") :].split("\nclip.save")[0]
    given = {}

    class Model:
        def generate(self, task, **arguments):
            given.update(arguments)

    exec(call, {"model": Model()})
    assert given == {"text": text, "seed": 0}
