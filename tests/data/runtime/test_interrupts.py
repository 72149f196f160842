"""Ctrl-C ends a command once in good order, and twice at once."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from videolm.data.runtime import interrupts
from videolm.data.runtime.interrupts import EXIT_CODE, ending_on_interrupt


@pytest.fixture
def exit_code_of(start_forked) -> Callable[..., int | None]:
    """The exit code of a function that runs in a process of its own, or 1 if it still runs after seconds."""

    def run(function: Callable[[], None]) -> int | None:
        def ended() -> None:
            try:
                function()
            except KeyboardInterrupt:
                os._exit(EXIT_CODE)

        process = start_forked(ended)
        process.join(20)
        return process.exitcode

    return run


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Deaf:
    """Whatever is raised in here is printed and dropped, as in the hooks of `fork`."""

    def __del__(self) -> None:
        interrupt()
        time.sleep(0.01)


def test_an_interrupt_that_python_drops_is_raised_again(exit_code_of, monkeypatch):
    monkeypatch.setattr(interrupts, "_SECONDS_BETWEEN_REMINDERS", 0.05)

    def work() -> None:
        with ending_on_interrupt():
            Deaf()
            for _ in range(1000):
                time.sleep(0.01)
            os._exit(3)

    assert exit_code_of(work) == EXIT_CODE


def test_an_interrupt_that_a_library_turns_into_another_error_is_one_still(exit_code_of):
    def work() -> None:
        with ending_on_interrupt():
            try:
                interrupt()
            finally:
                raise RuntimeError("of a clean-up")

    assert exit_code_of(work) == EXIT_CODE


def test_reminders_do_not_disturb_the_clean_up(exit_code_of, monkeypatch):
    monkeypatch.setattr(interrupts, "_SECONDS_BETWEEN_REMINDERS", 0.01)

    def work() -> None:
        with ending_on_interrupt():
            try:
                interrupt()
            finally:
                for _ in range(20):
                    time.sleep(0.01)
                os._exit(4)

    assert exit_code_of(work) == 4


@pytest.mark.parametrize("twice", [True, False])
def test_a_clean_up_that_hangs_is_ended_by_a_second_interrupt_or_after_a_time(twice, exit_code_of):
    def work() -> None:
        with ending_on_interrupt(seconds=30 if twice else 0.5):
            try:
                interrupt()
            finally:
                if twice:
                    interrupt()
                time.sleep(100)

    assert exit_code_of(work) == EXIT_CODE


def test_children_do_not_hear_it_and_the_former_handler_comes_back(start_forked):
    before = signal.getsignal(signal.SIGINT)
    with ending_on_interrupt():
        child = start_forked(lambda: (interrupt(), time.sleep(0.05), os._exit(5)))
        child.join()
        assert child.exitcode == 5
    assert signal.getsignal(signal.SIGINT) is before
