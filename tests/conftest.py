"""What tests of all layers share: one thread, and processes that cost no imports."""

from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed


def pytest_configure() -> None:
    """Tensors are tiny, results are compared bit for bit, and threads do not survive a fork."""
    torch.set_num_threads(1)


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
def in_two_processes(tmp_path) -> Callable[[Callable[[int], Any]], tuple[Any, Any]]:
    """Calls a function of the rank in two processes that know each other; what it returns in both."""

    def run(function: Callable[[int], Any]) -> tuple[Any, Any]:
        torch.multiprocessing.start_processes(
            _with_another, (function, tmp_path), nprocs=2, start_method="fork"
        )
        first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
        return first, second

    return run


def _with_another(rank: int, function: Callable[[int], Any], folder: Path) -> None:
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(function(rank), folder / f"{rank}.pt")
    distributed.destroy_process_group()
