"""The batch that fills a device: the largest that fits, or one line that says why there is none."""

import re

import pytest
import torch

from videolm.cli.batch_choice import most_rows
from videolm.cli.main import main


@pytest.mark.parametrize("limit", [100, 101, 109, 110, 1000])
def test_the_most_rows_fit_and_one_more_does_not(limit):
    def needed(rows: int) -> int:
        return 90 + 10 * rows

    rows = most_rows(needed, limit)
    assert needed(rows) <= limit < needed(rows + 1)


def test_one_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"one row needs 4\.0 GiB, and 2\.0 of a device may be filled"):
        most_rows(lambda rows: rows * 2**32, 2**31)


@pytest.mark.long
def test_info_chooses_a_batch_by_the_memory_that_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "debug", "--batch-size", "auto", "--device-memory", "1"]) == 0
    said = capsys.readouterr().out
    rows = int(re.search(r"batch_size (\d+) is the most that fits 0\.9 of 1 GiB", said)[1])
    assert f", {rows} rows of" in said
    together = float(re.search(r"together +([\d.]+)", said)[1])
    assert 0.85 < together <= 0.9


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU says how much memory it has")
def test_without_a_gpu_the_memory_has_to_be_named(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "debug", "--batch-size", "auto"]) == 2
    assert "give --device-memory GIB" in capsys.readouterr().err
    assert main(["info", "debug", "--device-memory", "80"]) == 2
    assert "device_memory is for --batch-size auto" in capsys.readouterr().err
