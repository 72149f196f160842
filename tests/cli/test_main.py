import os
import resource
import shutil
import subprocess
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import pytest

from videolm.cli.arguments import parse
from videolm.cli.main import COMMANDS, main, one_line
from videolm.cli.plain_warnings import plain_warnings
from videolm.data.media.clip import Clip
from videolm.data.runtime.notes import notify
from videolm.lm.decoding.sampling import Sampling

REALLY_TRAINS = ("fit", "validate")


@pytest.fixture
def files(tmp_path: Path, clip: Clip, model_folder: Path) -> dict[str, str]:
    """Names that the bad inputs below are made of."""
    good = tmp_path / "good.mp4"
    clip.save(good)
    clip.window(0, 1).save(tmp_path / "short.mp4")
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "list.jsonl").write_text('{"path": \n')
    (tmp_path / "config.yaml").write_text("model:\n  tokenizer:\n    bitz: 6\n")
    broken = tmp_path / "broken"
    shutil.copytree(model_folder, broken)
    shutil.rmtree(broken / "lm")
    return {"tmp": str(tmp_path), "model": str(model_folder), "good": str(good), "broken": str(broken)}


BAD = {
    "unknown command": ("frobnicate", "no command 'frobnicate'"),
    "unknown command that is asked for help": ("frobnicate --help", "no command 'frobnicate'"),
    "half a command": ("tokenizer", "expected one of fit, validate, reconstruct"),
    "unknown half of a command": (
        "tokenizer frobnicate --help",
        "expected one of fit, validate, reconstruct",
    ),
    "missing file": (
        "generate --model {model} --task video_to_audio --video {tmp}/none.mp4 --out {tmp}/x.mp4",
        "none.mp4 for the video",
    ),
    "not a video": (
        "generate --model {model} --task video_to_audio --video {tmp}/text.mp4 --out {tmp}/x.mp4",
        "text.mp4",
    ),
    "clip without sound": (
        "generate --model {model} --task audio_to_video --audio {tmp}/short.png --out {tmp}/x.mp4",
        "short.png",
    ),
    "clips too short": ("encode {tmp}/short.jsonl --model {model} --out {tmp}/shards", "short"),
    "broken list": ("encode {tmp}/list.jsonl --model {model} --out {tmp}/shards", "list.jsonl"),
    "unknown task": ("generate --model {model} --task paint --out {tmp}/x.mp4", "unknown task 'paint'"),
    "unknown protocol": ("evaluate --model {model} --protocol fvd", "unknown protocol 'fvd'"),
    "lacking input": (
        "generate --model {model} --task text_to_video --out {tmp}/x.mp4",
        "takes a text; text is missing",
    ),
    "mistyped config key": ("tokenizer fit --config {tmp}/config.yaml --out {tmp}/run", "bitz"),
    "unknown config": ("lm fit --config enormous --out {tmp}/run", "no config enormous"),
    "mistyped setting": ("tokenizer fit --config debug --out {tmp}/run --data.clipz 3", "--data.clipz"),
    "setting of another type": ("audio fit --config debug --out {tmp}/run --data.clips few", "data.clips"),
    "mistyped option": ("generate --modle {model} --task unconditional --out {tmp}/x.mp4", "model"),
    "value of another type": ("synthesize --out {tmp}/corpus --clips many", "clips: expected int, got many"),
    "model folder without a part": (
        "generate --model {broken} --task unconditional --out {tmp}/x.mp4",
        "lm",
    ),
    "no model folder": ("evaluate --model {tmp}/nowhere", "nowhere"),
    "validation before training": ("audio validate --config debug --out {tmp}/run", "train it first"),
    "output in a file": (
        "generate --model {model} --task unconditional --out {model}/config.json/x.mp4",
        "exists",
    ),
    "a text that the judge cannot know": (
        "generate --model {model} --task text_to_video --text sunshine --best-of 2 --out {tmp}/x.mp4",
        "names no colour, shape or motion",
    ),
    "depth for what is not led by it": (
        "generate --model {model} --task unconditional --depth none --out {tmp}/x.mp4",
        "not led by depth",
    ),
    "output that is a folder": ("generate --model {model} --task unconditional --out {tmp}", "is a folder"),
    "output of no known format": (
        "generate --model {model} --task unconditional --out {tmp}/x.flv",
        "names no format",
    ),
    "condition without a value": (
        "encode {tmp} --model {model} --out {tmp}/shards --where group",
        "expected key=value",
    ),
    "nothing to reconstruct with": (
        "tokenizer reconstruct {good} {tmp}/x.mp4 --model {tmp}",
        "video_tokenizer",
    ),
    "folder of nothing": ("info {tmp}/nowhere", "no model folder"),
    "sampling out of range": (
        "generate --model {model} --task unconditional --out {tmp}/x.mp4 --top-p 2",
        "top_p is 2",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_line_and_exit_code_2(name: str, files, capsys: pytest.CaptureFixture[str]) -> None:
    command, part = BAD[name]
    if "short" in command:
        _write_short(Path(files["tmp"]))
    assert main(command.format(**files).split()) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if "error:" in line]
    assert len(errors) == 1
    assert lines[-1] == errors[0]
    assert errors[0].startswith("videolm")
    assert part in errors[0]
    assert "Traceback" not in "".join(lines)


def test_debug_shows_where_an_error_came_from(files) -> None:
    with pytest.raises(ValueError, match="unknown task"):
        main(["generate", "--debug", "--model", files["model"], "--task", "paint", "--out", "x.mp4"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_from_its_docstring(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    summary = str(COMMANDS[name].__doc__).splitlines()[0]
    assert f"usage: videolm {name}" in text
    if not name.endswith(REALLY_TRAINS):
        assert " ".join(summary.split()) in text
    else:
        assert "--out" in text


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert main(["tokenizer", "--help"]) == 0
    assert "lm fit" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["generate", "--help"], ["long-video", "--help"]])
def test_help_is_instant_and_imports_no_torch(words: list[str]) -> None:
    code = f"import sys; from videolm.cli.main import main; main({words}); print('torch' in sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "False"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.5  # 0.2 s on an idle machine


def test_missing_files_are_named_before_torch_is_imported(tmp_path: Path) -> None:
    for option, missing in (("--model", "nowhere"), ("--video", "none.mp4")):
        words = ["generate", "--task", "video_to_audio", "--model", str(tmp_path), "--out", "x.mp4"]
        words += [option, str(tmp_path / missing)]
        code = f"import sys; from videolm.cli.main import main; main({words}); print('torch' in sys.modules)"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert missing in result.stderr and result.stdout.strip() == "False"


HEAVY = (
    "lightning",
    "torchdata",
    "matplotlib",
    "wandb",
    "tensorboard",
    "datasets",
    "pyarrow",
    "transformers",
    "torch._dynamo",
)


def test_generating_imports_nothing_heavy(files) -> None:
    """Nothing that only training, scoring or sound needs is imported for a clip without sound."""
    target = Path(files["tmp"]) / "x.mp4"
    words = ["generate", "--model", files["model"], "--task", "text_to_video", "--text", "a red square"]
    code = f"""
import sys
from videolm.cli.main import main

assert main({[*words, "--out", str(target)]}) == 0
print(*[name for name in {HEAVY} if name in sys.modules])
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split(f"wrote {target}\n")[1].strip() == ""
    assert target.is_file()


def test_switches_stand_before_positional_arguments() -> None:
    def parsed(*words: str) -> dict[str, object]:
        values = parse(COMMANDS["data inspect"], "videolm", list(words))
        return {name: values[name] for name in ("source", "quick", "json")}

    assert parsed("--quick", "mydata") == {"source": "mydata", "quick": True, "json": False}
    assert parsed("--quick", "true", "mydata") == {"source": "mydata", "quick": True, "json": False}
    assert parsed("--json", "--quick", "false", "mydata") == {
        "source": "mydata",
        "quick": False,
        "json": True,
    }
    assert parsed("mydata", "--json=false", "--quick") == {"source": "mydata", "quick": True, "json": False}


@pytest.mark.parametrize("name", ["generate --task x", "long-video"])
def test_commands_that_sample_take_every_field_of_the_sampling(name: str) -> None:
    asked = Sampling(0.5, 20, 0.9, 3.0, "linear", 0.1, 64, "jacobi", 8, False)
    words = [f"--{field.replace('_', '-')}={str(value).lower()}" for field, value in asdict(asked).items()]
    command, *rest = name.split()
    values = parse(COMMANDS[command], command, ["--model", "m", "--out", "o", *rest, *words])
    assert values["sampling"] == asked


def test_ctrl_c_is_one_line_and_exit_code_130(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "tasks", stop)
    assert main(["tasks"]) == 130
    assert capsys.readouterr().err == "videolm tasks: stopped\n"


def test_a_bug_is_not_disguised_as_a_users_mistake(monkeypatch) -> None:
    def broken() -> None:
        raise KeyError("oops")

    monkeypatch.setitem(COMMANDS, "tasks", broken)
    with pytest.raises(KeyError):
        main(["tasks"])


def test_generate_writes_what_it_says(files, capsys: pytest.CaptureFixture[str]) -> None:
    target = Path(files["tmp"]) / "new.mp4"
    arguments = ["generate", "--model", files["model"], "--task", "text_to_video", "--text", "a red square"]
    assert main([*arguments, "--guidance-scale", "2", "--top-k", "5", "--out", str(target)]) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1] == f"wrote {target}"
    assert target.stat().st_size > 0


def test_generate_from_a_file_of_prompts_writes_one_clip_a_line(files) -> None:
    tmp = Path(files["tmp"])
    (tmp / "prompts.txt").write_text("a red square moves left\n\na blue circle grows\n")
    (tmp / "many").mkdir()
    arguments = ["generate", "--model", files["model"], "--task", "text_to_video"]
    assert main([*arguments, "--prompts", str(tmp / "prompts.txt"), "--out", str(tmp / "many")]) == 0
    assert sorted(path.name for path in (tmp / "many").glob("*.mp4")) == ["000.mp4", "001.mp4"]


def test_reconstruct_info_and_tasks_run(files, capsys: pytest.CaptureFixture[str]) -> None:
    target = Path(files["tmp"]) / "again.mp4"
    assert main(["tokenizer", "reconstruct", files["good"], str(target), "--model", files["model"]]) == 0
    assert target.is_file()
    assert main(["info", files["model"]]) == 0
    text = capsys.readouterr().out
    assert "video_tokenizer" in text
    assert "vocabulary" in text
    assert main(["tasks"]) == 0
    assert "text_to_video" in capsys.readouterr().out


def test_a_recommended_sampling_is_set_shown_and_cleared(files, tmp_path, capsys) -> None:
    model = str(shutil.copytree(files["model"], tmp_path / "model"))

    def said(*words: str) -> str:
        capsys.readouterr()
        code = main(list(words))
        text = capsys.readouterr()
        return text.out if code == 0 else text.err

    set_words = ("sampling", model, "--task", "text_to_video", "--temperature", "0.5")
    assert f"wrote {model}/sampling.json" in said(*set_words)
    assert "temperature 0.5, guid" in said(*set_words[:4], "--guidance-scale", "2")
    for command in (["sampling", model], ["info", model], ["tasks", "--model", model]):
        assert "temperature 0.5, guidance_scale 2" in said(*command)
    assert main(["info", model, "--verify"]) == 0
    assert "video_to_audio takes none" in said(*set_words[:3], "video_to_audio", "--guidance-scale", "2")
    assert "give the task (--task) that top_k 5 is recommended for" in said("sampling", model, "--top-k", "5")
    assert "temperature" not in said("sampling", model, "--task", "text_to_video", "--clear")
    assert not (tmp_path / "model" / "sampling.json").exists()


def test_the_installed_command_gives_its_exit_code() -> None:
    command = [sys.executable, "-m", "videolm.cli.main", "frobnicate"]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"VIDEOLM_DEBUG": ""})
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_one_line_keeps_the_setting_and_what_came() -> None:
    message = (
        'Parser key "where":\n  Does not validate against any of the Union subtypes\n  Subtypes: '
        "[list[str], <class 'NoneType'>]\n  Errors:\n    - Expected a <class 'list'>\n"
        "  Given value type: <class 'str'>\n  Given value: a=b"
    )
    assert one_line(ValueError(message)) == "where: expected one of list[str], nothing; got a=b"
    assert one_line(ValueError("one\n  two")) == "one"


def _write_short(folder: Path) -> None:
    from videolm.data.media.reading import read_clip

    read_clip(folder / "short.mp4").save(folder / "short.png")
    (folder / "short.jsonl").write_text('{"path": "short.mp4"}\n')


def test_what_videolm_warns_of_is_a_note_without_a_line_of_code(capsys):
    with warnings.catch_warnings(record=True) as of_libraries, plain_warnings():
        warnings.simplefilter("always")
        for _ in range(2):
            notify("ours")
        warnings.warn("of a library", stacklevel=1)
    assert capsys.readouterr().err == "note: ours\n"
    assert [str(each.message) for each in of_libraries] == ["of a library"]
