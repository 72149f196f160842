"""Processes that hang, crash or answer. What they run must be importable: here, functions of libraries."""

import math
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import slow_work

from videolm.data.runtime.workers import Lost, Worker, WorkerError, map_in_processes


def test_results_come_in_order_from_several_processes():
    factorials = list(map_in_processes(math.factorial, range(9), 2, 60))
    assert factorials == [math.factorial(index) for index in range(9)]
    arrays = list(map_in_processes(np.arange, [3, 0, 2], 2, 60))
    assert [each.tolist() for each in arrays] == [[0, 1, 2], [], [0, 1]]
    assert arrays[0].dtype == np.int64


def test_what_hangs_is_killed_and_the_next_item_is_computed():
    start = time.monotonic()
    results = list(map_in_processes(time.sleep, [0, 1000, 0], 1, 5.0))
    assert results == [None, Lost("given up after 5 s"), None]
    assert time.monotonic() - start < 100


def test_long_work_is_not_given_up_while_it_says_that_it_goes_on():
    assert list(map_in_processes(slow_work.in_steps, [0, 8, 2], 1, 3.0)) == [0, 8, 2]
    start = time.monotonic()
    assert list(map_in_processes(slow_work.hangs_after, [1], 1, 2.0)) == [Lost("given up after 2 s")]
    assert time.monotonic() - start < 60


def test_a_crash_costs_one_item():
    names = list(map_in_processes(signal.raise_signal, [signal.SIGSEGV, signal.SIGCONT], 1, 60))
    assert names == [Lost("its reader died (signal 11)"), None]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded under Linux only")
def test_memory_is_bounded():
    lost, small = map_in_processes(np.ones, [2**34, 1], 1, 60)
    assert isinstance(lost, Lost) and "memory" in lost.reason
    assert small.tolist() == [1]


def test_output_of_a_library_does_not_get_among_the_answers():
    assert list(map_in_processes(print, range(3), 1, 60)) == [None] * 3


def test_a_mistake_in_the_function_is_raised_here():
    with pytest.raises(WorkerError, match="math domain error"):
        list(map_in_processes(math.sqrt, [-1], 1, 60))


def test_leaving_early_ends_the_processes():
    results = map_in_processes(time.sleep, [0, *[1000] * 20], 2, 1000)
    next(results)
    start = time.monotonic()
    results.close()
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.05, 0.5, 2.0])
def test_a_worker_can_be_stopped_before_while_and_after_it_starts(seconds):
    worker = Worker(time.sleep, 1000)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(worker, 1000)
        time.sleep(seconds)
        worker.stop()
        assert isinstance(answer.result(timeout=60), Lost)
    assert isinstance(worker(1000), Lost), "a stopped worker starts no process"
    assert worker.process is None
