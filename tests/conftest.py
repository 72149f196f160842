"""What tests of all rooms share: a folder of their own, one thread, forked processes and a tiny model.

videolm is imported inside fixtures: this file is read before the type checks of its modules are switched on.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from torch import distributed

_FOLDERS = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "WANDB_DIR", "VIDEOLM_CACHE")
_UNSET = ("VIDEOLM_API_KEY", "VIDEOLM_DEBUG")


def pytest_configure() -> None:
    """Tensors are tiny, results are compared bit for bit, threads do not survive a fork. No test waits for
    the disk: none takes the power away.
    """
    torch.set_num_threads(1)
    os.fsync = lambda descriptor: None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a failure as soon as it is known, not only when all tests are through."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nfailed: {report.nodeid}", file=sys.stderr, flush=True)


@pytest.fixture(scope="session", autouse=True)
def working_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds the working folder of each test; fixtures of a module or a session work in it themselves."""
    parent = tmp_path_factory.mktemp("working")
    with pytest.MonkeyPatch.context() as patch:
        _work_in(parent, patch)
        yield parent


@pytest.fixture(autouse=True)
def working_folder(working_folders: Path) -> Iterator[Path]:
    """The working folder and home of a test: empty, and neither the checkout nor the user's home."""
    folder = Path(mkdtemp(dir=working_folders))
    with pytest.MonkeyPatch.context() as patch:  # its own: a test may undo the patches of `monkeypatch`
        _work_in(folder, patch)
        yield folder


def _work_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    for name in _FOLDERS:
        patch.setenv(name, str(folder))
    for name in _UNSET:
        patch.delenv(name, raising=False)


@pytest.fixture
def start_forked() -> Iterator[Callable[..., BaseProcess]]:
    """Starts a function in a copy of this process, which is ended with the test at the latest."""
    started: list[BaseProcess] = []

    def start(function: Callable[..., Any], *arguments: Any) -> BaseProcess:
        process = get_context("fork").Process(target=function, args=arguments)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture
def in_processes(tmp_path) -> Callable[[int, Callable[[int], Any]], list[Any]]:
    """Calls a function of the rank in several processes that know each other; what it returns in each."""

    def run(count: int, function: Callable[[int], Any]) -> list[Any]:
        folder = Path(mkdtemp(dir=tmp_path))
        torch.multiprocessing.start_processes(
            _with_others, (count, function, folder), nprocs=count, start_method="fork"
        )
        return [torch.load(folder / f"{rank}.pt") for rank in range(count)]

    return run


@pytest.fixture
def in_two_processes(in_processes) -> Callable[[Callable[[int], Any]], list[Any]]:
    return partial(in_processes, 2)


@pytest.fixture(scope="session")
def corpus():
    from tiny_model import tiny_corpus

    return tiny_corpus()


@pytest.fixture(scope="session")
def make_model(corpus) -> Callable[[int], Any]:
    from tiny_model import tiny_model

    return lambda seed: tiny_model(corpus, seed)


@pytest.fixture(scope="session")
def model(make_model):
    return make_model(0)


@pytest.fixture(scope="session", autouse=True)
def same_numbers_on_every_cpu() -> Iterator[None]:
    """Muon takes bfloat16 where a CPU is fast in it; tests compare runs as closely as float32 allows."""
    from videolm.training import muon

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(muon, "has_fast_bfloat16", lambda device: False)
        yield


@pytest.fixture(autouse=True)
def scores_stay_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """An evaluation writes its scores into the model folder, which all tests share."""
    yield
    if "model_folder" in request.fixturenames:
        folder = request.getfixturevalue("model_folder")
        if (folder / "scores.json").exists():
            from videolm.tasks.model_card import write_card

            (folder / "scores.json").unlink()
            write_card(folder)


@pytest.fixture(scope="session")
def model_folder(model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip(corpus):
    return corpus[0]


@pytest.fixture(scope="session")
def coded_run(model, corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the model's tokenizers, and shards of random codes with captions of the corpus."""
    from tiny_model import write_coded_run

    run = tmp_path_factory.mktemp("coded")
    write_coded_run(run, model, corpus)
    return run


@pytest.fixture
def run_until_killed(start_forked) -> Callable[..., None]:
    """Run a fit in a process of its own that gets SIGKILL when a step begins."""
    from videolm.cli.main import main

    def run(command: list[str], training: Any, step: int) -> None:
        real = training.training_step

        def killed(self, batch, index):
            if self.global_step == step:
                self.trainer.strategy.checkpoint_io.wait()  # else it depends on the disk where it goes on
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, batch, index)

        def fit() -> None:
            training.training_step = killed
            main(command)

        process = start_forked(fit)
        process.join()
        assert process.exitcode == -signal.SIGKILL

    return run


@pytest.fixture
def same_weights() -> Callable[[Path, Path], bool]:
    """Whether the last checkpoints in two folders agree bit for bit in all that is stored of the network."""

    def same(one: Path, other: Path) -> bool:
        states = [
            torch.load(each / "last.ckpt", weights_only=True)["state_dict"] for each in (one, other)
        ]
        return states[0].keys() == states[1].keys() and all(
            torch.equal(value, states[1][name]) for name, value in states[0].items()
        )

    return same


def _with_others(rank: int, count: int, function: Callable[[int], Any], folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=count)
    torch.save(function(rank), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[Any]:
    """An empty hub on loopback in the place of Hugging Face's, with an empty cache (hub_server.py)."""
    from hub_server import HubServer
    from huggingface_hub import constants

    with HubServer() as server:
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # else files go to another server
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def packaged(tmp_path, monkeypatch) -> Path:
    """An empty folder in the place of the package's own models."""
    from videolm.data.runtime import model_source

    folder = tmp_path.resolve() / "pretrained"
    folder.mkdir()
    monkeypatch.setattr(model_source, "PACKAGED", folder)
    return folder
