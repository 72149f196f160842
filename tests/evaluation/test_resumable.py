import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from videolm.evaluation.resumable import Item, Part, Share, work_through


def part(folder: Path, asked: list[int] | None = None, count: int = 10, size: int = 4) -> Part:
    def compute(numbers: Sequence[int]) -> list[Item]:
        if asked is not None:
            asked.extend(numbers)
        return [f"{number} is odd" if number % 2 else {"x": torch.tensor([number])} for number in numbers]

    return Part(folder, count, compute, size)


def test_items_and_reasons_come_back_in_order(tmp_path: Path) -> None:
    done = part(tmp_path)
    done.work()
    items = list(done.read())
    assert [item["x"].item() for item in items[::2]] == [0, 2, 4, 6, 8]
    assert items[1::2] == [f"{number} is odd" for number in (1, 3, 5, 7, 9)]
    assert list(done.read([8, 1])) == [items[8], items[1]]


def test_processes_share_the_work_and_nothing_is_done_twice(tmp_path: Path) -> None:
    asked: list[int] = []
    first, second = part(tmp_path, asked), part(tmp_path, asked)
    assert not work_through("test", [first], Share(1, 2))
    assert first.num_done == 4
    assert asked == [4, 5, 6, 7]
    assert work_through("test", [second], Share(0, 2))
    assert sorted(asked) == list(range(10))
    assert work_through("test", [second])
    assert len(asked) == 10


def test_an_interrupted_chunk_leaves_nothing_and_is_done_whole_later(tmp_path: Path) -> None:
    def interrupted(numbers: Sequence[int]) -> list[Item]:
        if 4 in numbers:
            raise KeyboardInterrupt
        return part(tmp_path).compute(numbers)

    with pytest.raises(KeyboardInterrupt):
        Part(tmp_path, 10, interrupted, 4).work()
    assert [path.name for path in tmp_path.iterdir()] == ["000000.npz"]
    asked: list[int] = []
    part(tmp_path, asked).work()
    assert asked == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("where", ["in the middle of a chunk", "before a file has its name"])
def test_a_killed_run_ends_with_the_files_of_an_uninterrupted_one(
    tmp_path: Path, start_forked, where: str
) -> None:
    asked: list[int] = []

    def waves(folder: str, kill: bool = False) -> Part:
        def compute(numbers: Sequence[int]) -> list[Item]:
            asked.extend(numbers)
            if kill and 12 in numbers and where == "in the middle of a chunk":
                os.kill(os.getpid(), signal.SIGKILL)
            return [{"x": torch.full((1000,), float(number)).sin()} for number in numbers]

        return Part(tmp_path / folder, 40, compute, 4)

    def killed() -> None:
        replace = os.replace

        def replaced(temporary: Path, path: Path) -> None:
            if Path(path).name == "000003.npz":
                os.kill(os.getpid(), signal.SIGKILL)
            replace(temporary, path)

        os.replace = replaced
        waves("killed", kill=True).work()

    process = start_forked(killed)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    names = [f"{number:06d}.npz" for number in range(10)]
    assert sorted(path.name for path in (tmp_path / "killed").glob("*.npz")) == names[:3]
    waves("killed").work()
    assert asked == list(range(12, 40))
    waves("whole").work()
    for name in names:
        with np.load(tmp_path / "whole" / name) as one, np.load(tmp_path / "killed" / name) as two:
            assert one.files == two.files
            assert all(np.array_equal(one[key], two[key]) for key in one.files)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    done = part(tmp_path)
    done.work()
    (tmp_path / "000001.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"000001.npz is damaged; delete it"):
        list(done.read())


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_that_does_not_exist_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank is {rank} of 2; expected 0 to 1"):
        Share(rank, 2)
