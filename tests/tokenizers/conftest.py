from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from videolm.tokenizers.video_config import VideoTokenizerConfig

NETWORKS = {
    "compact": VideoTokenizerConfig(bits=6, channels=8, multipliers=(1, 1, 1)),
    "magvit2": VideoTokenizerConfig(
        network="magvit2",
        bits=6,
        channels=8,
        multipliers=(1, 2, 2, 1),
        patch=1,
        spatial_strides=(2, 2, 2),
        temporal_strides=(1, 2, 2),
    ),
}


@pytest.fixture(scope="session", params=NETWORKS)
def network(request) -> VideoTokenizerConfig:
    """A very small tokenizer of either network, 4x8x8."""
    return NETWORKS[request.param]


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
    torch.set_num_threads(1)  # threads do not survive a fork
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(function(rank), folder / f"{rank}.pt")
    distributed.destroy_process_group()
