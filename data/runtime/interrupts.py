"""Ctrl-C ends a command, always: once in good order, twice at once.

    with ending_on_interrupt():
        run()

Python alone loses some: an exception that a signal raises in a hook of `fork` or in a destructor is printed
and dropped, and the run goes on. Libraries turn others into errors of their clean-up. Forked children do not
hear the signal; the process that started them ends them.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130  # as shells have it: 128 and the number of the signal
_SECONDS_BETWEEN_REMINDERS = 0.5
_SECONDS_TO_END = 30.0


@contextmanager
def ending_on_interrupt(seconds: float = _SECONDS_TO_END) -> Iterator[None]:
    """Raise a KeyboardInterrupt on Ctrl-C until it is heard, and whatever error it ends in.

    Args:
        seconds: that the block may take to end in good order, before the process is ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    listener = _Listener(seconds)
    before = signal.signal(signal.SIGINT, listener.hear)
    try:
        yield
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and _stems_from_interrupt(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        listener.has_ended.set()
        signal.signal(signal.SIGINT, before)


class _Listener:
    def __init__(self, seconds: float):
        self.process, self.seconds = os.getpid(), seconds
        self.is_interrupted = self.is_reminder = False
        self.has_ended = threading.Event()

    def hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            return
        if self.is_reminder:
            self.is_reminder = False
            if _stems_from_interrupt(sys.exc_info()[1]):
                return  # the main thread is in a clean-up, on its way out
        elif self.is_interrupted:
            _end("stopped at once")
        if not self.is_interrupted:
            self.is_interrupted = True
            threading.Thread(target=self._remind, daemon=True).start()
        raise KeyboardInterrupt

    def _remind(self) -> None:
        waited = 0.0
        while not self.has_ended.wait(_SECONDS_BETWEEN_REMINDERS):
            waited += _SECONDS_BETWEEN_REMINDERS
            if waited >= self.seconds:
                _end(f"did not end within {self.seconds:g} s: stopped at once")
            self.is_reminder = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _stems_from_interrupt(error: BaseException | None) -> bool:
    """Whether an error, or one in whose handling it arose, is a KeyboardInterrupt."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _end(reason: str) -> None:
    os.write(2, f"{reason}\n".encode())
    os._exit(EXIT_CODE)
