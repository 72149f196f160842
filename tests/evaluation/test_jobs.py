"""Every option of `videolm evaluate` against every job: it is used, or refused by its name."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from videolm.cli.commands_evaluate import EvaluateOptions
from videolm.cli.main import main
from videolm.evaluation.jobs import BenchmarkJob, CorpusJob, SetsJob, WorldJob, option_names
from videolm.lm.decoding.sampling import Sampling

JOBS: dict[str, tuple[type, str]] = {
    "shapes": (CorpusJob, "--model m"),
    "shapes-all": (CorpusJob, "--model m --protocol shapes-all"),
    "prompt-forms": (CorpusJob, "--model m --protocol prompt-forms"),
    "ucf101": (BenchmarkJob, "--model m --protocol ucf101 --data d"),
    "davis": (BenchmarkJob, "--model m --protocol davis --data d"),
    "world": (WorldJob, "--model m --protocol world --data d"),
    "sets": (SetsJob, "--real r --generated g"),
}
# Of each option a value that is no job's default, with those that it cannot be without.
VALUES = {
    "model": "--model other",
    "protocol": "--protocol msr-vtt",
    "real": "--real other",
    "generated": "--generated other",
    "source": "--source synthetic-plain",
    "data": "--data other",
    "env": "--env minigrid:ID",
    "policy": "--policy purposeful",
    "depth": "--depth none",
    "weights": "--weights w",
    "trust": "--trust",
    "out": "--out o",
    "store_scores": "--store-scores false",
    "clips": "--clips 7",
    "tasks": "--tasks inpainting,outpainting",
    "num_frames": "--num-frames 9",
    "fps": "--fps 8",
    "height": "--height 8 --width 8",
    "width": "--height 16 --width 8",
    "splits": "--splits 2",
    "seed": "--seed 1",
    "logger": "--logger tensorboard",
    "rank": "--rank 1 --world 2",
    "world": "--world 2",
    "temperature": "--temperature 0.5",
    "top_k": "--top-k 9",
    "top_p": "--top-p 0.9",
    "guidance_scale": "--guidance-scale 2",
    "guidance_schedule": "--guidance-schedule linear",
    "repetition_penalty": "--repetition-penalty 1",
    "joint": "--joint 4",
    "decoding": "--decoding jacobi",
    "window": "--window 8",
    "recommended": "--recommended false",
}
OTHER_PROTOCOL = {"shapes": "shapes-all", "shapes-all": "shapes", "prompt-forms": "shapes"}


def asked(words: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The job that a command line runs; None if it is refused."""
    jobs: list[Any] = []
    for kind in (CorpusJob, BenchmarkJob, SetsJob, WorldJob):
        monkeypatch.setattr(kind, "run", lambda job: jobs.append(job) or [])
    code = main(["evaluate", *words.split()])
    assert code == (0 if jobs else 2)
    return jobs[0] if jobs else None


def uses(job: str, option: str) -> bool:
    """As the records say, but for the depth model, which one benchmark needs."""
    return option in option_names(JOBS[job][0]) and (option != "depth" or job == "davis")


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("option", VALUES)
def test_an_option_changes_the_job_or_is_refused_by_its_name(job, option, monkeypatch, capsys) -> None:
    _, words = JOBS[job]
    value = f"--protocol {OTHER_PROTOCOL.get(job, 'msr-vtt')}" if option == "protocol" else VALUES[option]
    usual = asked(words, monkeypatch)
    found = asked(f"{words} {value}", monkeypatch)
    if uses(job, option):
        assert found is not None and found != usual
    else:
        assert found is None
        (line,) = capsys.readouterr().err.splitlines()
        assert value.split()[0] in line


def test_every_option_has_a_row_in_the_table_and_serves_some_job() -> None:
    options = {each.name for kind in (EvaluateOptions, Sampling) for each in fields(kind)}
    assert options == VALUES.keys()
    assert options == {name for kind, _ in JOBS.values() for name in option_names(kind)}


@pytest.mark.parametrize("name", JOBS)
def test_options_that_are_not_given_are_at_the_defaults_of_the_records(name: str, monkeypatch) -> None:
    kind, words = JOBS[name]
    names, values = (words.split()[first::2] for first in (0, 1))
    given = {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
    given = {name: value if name in ("protocol", "model") else Path(value) for name, value in given.items()}
    assert asked(words, monkeypatch) == kind(**given)


def test_several_unused_options_are_named_together(monkeypatch, capsys) -> None:
    words = "--model m --rank 9 --world 10 --weights /nonexistent --logger tensorboard --trust"
    assert asked(words, monkeypatch) is None
    refusal = "protocol shapes has no use for --weights, --trust, --logger, --rank, --world"
    assert capsys.readouterr().err.strip() == f"videolm evaluate: error: {refusal}"


def test_lists_of_names_are_taken_apart_at_commas(monkeypatch) -> None:
    assert asked("--model m --tasks a,,b", monkeypatch).settings.tasks == ("a", "b")
    assert asked("--real r --generated g --logger csv,wandb", monkeypatch).logger == ("csv", "wandb")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "expected --model, or --real and --generated"),
        ("--real r", "expected --real and --generated together"),
        ("--model m --generated g", "expected --real and --generated together"),
        ("--model m --protocol fvd", "unknown protocol 'fvd'; there are shapes, shapes-all, prompt-forms"),
        ("--model m --protocol ucf101", "protocol ucf101 needs --data, a folder with class folders"),
        ("--model m --clips 0", "clips is 0; expected at least 1"),
        ("--model m --temperature -1", "temperature is -1.0; expected 0 or more"),
        ("--real r --generated g --rank 2 --world 2", "rank is 2 of 2; expected 0 to 1"),
    ],
)
def test_mistakes_get_one_line(words: str, message: str, monkeypatch, capsys) -> None:
    assert asked(words, monkeypatch) is None
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
