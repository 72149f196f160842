"""wandb, TensorBoard and data sets of Hugging Face come with every installation; who uses them loads them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WHEN_USED = ("wandb", "tensorboard", "datasets")
# What only pages, servers and environments need.
OF_EXTRAS = ("fastapi", "gradio", "uvicorn", "gymnasium", "minigrid", "ray", "sphinx")
COMMAND = """
import json, sys
from videolm.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code or 0, sorted(sys.modules)]))
"""


def loaded(*words: str) -> set[str]:
    """The packages that a command has loaded when it ends, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return {module.partition(".")[0] for module in modules}


def test_the_import_and_the_help_load_none_of_them():
    code = "import json, sys, videolm; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*WHEN_USED, *OF_EXTRAS, "torch", "numpy"} & set(json.loads(done.stdout))
    assert not {*WHEN_USED, *OF_EXTRAS, "torch", "numpy"} & loaded("--help")


def test_generation_loads_none_of_them():
    used = loaded("generate", "--text", "a red square moves right", "--out", "red.mp4")
    assert "torch" in used and not {*WHEN_USED, *OF_EXTRAS, "lightning"} & used


@pytest.mark.long
def test_a_fit_loads_what_its_logger_needs():
    fit = ("tokenizer", "fit", "--config", "debug", "--trainer.max_steps", "1", "--out")
    assert not {*WHEN_USED, *OF_EXTRAS} & loaded(*fit, "plain")
    with_logger = loaded(*fit, "logged", "--logger", "tensorboard")
    assert "tensorboard" in with_logger and not {"wandb", "datasets", *OF_EXTRAS} & with_logger


@pytest.mark.long
def test_data_sets_are_loaded_by_their_sources():
    words = ("synthesize", "--out", "clips", "--clips", "2", "--height", "32", "--width", "32")
    assert not {*WHEN_USED, *OF_EXTRAS} & loaded(*words)
    assert not {*WHEN_USED, *OF_EXTRAS} & loaded("data", "inspect", "clips")
    import datasets

    features = datasets.Features({"video": datasets.Video(decode=False), "caption": datasets.Value("string")})
    film = {"bytes": next(Path("clips").glob("*.mp4")).read_bytes(), "path": "a.mp4"}
    datasets.Dataset.from_dict({"video": [film], "caption": ["a"]}, features=features).save_to_disk("set")
    assert "datasets" in loaded("data", "inspect", "set")
