"""Worker processes for untrusted files: one that hangs or crashes is killed and costs one item, not the run.

    for value in map_in_processes(function, range(1000), num_workers=4, seconds=60):
        ...                     # what function(index) returned, or a Lost with the reason

A worker is a fresh Python process (it may be started from a thread, a data loader's worker or an actor).
It receives the pickled function once, and then pickled requests, such as indices. One that hangs when the
process that started it is gone ends itself. Its answers are JSON and raw arrays, never pickles: a
decoder that a hostile file has compromised cannot make this process run code.
"""

import json
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from queue import SimpleQueue
from typing import IO, Any

import numpy as np

from .import_path import isolated_environment

# Memory that a worker may allocate beyond what it has when it starts (Linux only).
_MEMORY_BYTES = 6 * 2**30
_START_SECONDS = 120.0
_GRACE_SECONDS = 10.0
# Of one part of an answer: a JSON text or an array.
_ANSWER_BYTES = 2**33
_DTYPES = {each: np.dtype(each) for each in ("uint8", "int16", "int32", "int64", "float32", "float64")}


@dataclass(frozen=True)
class Lost:
    """An item that has no result, and why."""

    reason: str


class WorkerError(RuntimeError):
    """The function raised what it should not: a mistake in the program, with the worker's traceback."""


class Worker:
    """One process that computes `function(request)`.

    Args:
        function: picklable; returns dicts, lists, texts, numbers, None and arrays. One that takes long may be
            a generator: what it yields only says that it is at work, what it returns is the result.
        seconds: that one item may take, or a generator from one yield to the next, before the process is
            killed and another one started.
    """

    def __init__(self, function: Callable[[Any], Any], seconds: float):
        self.pickled, self.seconds = pickle.dumps(function), seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped, self.starting_or_stopping = False, threading.Lock()

    def __call__(self, request: Any) -> Any:
        """The result, or a `Lost`.

        Raises:
            WorkerError: if the function raised.
        """
        try:
            requests, answers = _pipes(self._started())
            _write_pickled(requests, pickle.dumps(request))
            answer = _receive(answers.fileno(), self.seconds)
            while "working" in answer:
                answer = _receive(answers.fileno(), self.seconds)
        except TimeoutError:
            self.close()
            return Lost(f"given up after {self.seconds:g} s")
        except (EOFError, BrokenPipeError):
            return Lost(f"its reader died ({self._end()})")
        if "error" in answer:
            raise WorkerError(answer["error"])
        return Lost(answer["lost"]) if "lost" in answer else answer["value"]

    def stop(self) -> None:
        """Kill the process, and start none any more: from another thread than the one that waits for it."""
        with self.starting_or_stopping:
            self.stopped = True
            if self.process is not None:
                self.process.kill()

    def close(self) -> None:
        self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is None:
            return self.process
        with self.starting_or_stopping:
            if self.stopped:
                raise EOFError
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve({self.seconds!r})"],
                env=isolated_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        requests, answers = _pipes(self.process)
        _write_pickled(requests, self.pickled)
        try:
            ready = _receive(answers.fileno(), _START_SECONDS)
        except (TimeoutError, EOFError) as error:
            if self.stopped:
                raise EOFError from error
            raise WorkerError(f"a worker could not be started ({self._end()})") from error
        if "error" in ready:
            raise WorkerError(ready["error"])
        return self.process

    def _end(self) -> str:
        with self.starting_or_stopping:
            process, self.process = self.process, None
        if process is None:
            return "it was ended"
        process.kill()
        code = process.wait()
        _pipes(process)[1].close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def map_in_processes(
    function: Callable[[int], Any], indices: Iterable[int], num_workers: int, seconds: float
) -> Iterator[Any]:
    """`function(index)` of all indices in their order, computed by `num_workers` processes.

    Few results are kept waiting, so memory stays bounded however many indices there are. Closing the
    iterator ends the processes.
    """
    idle: SimpleQueue[Worker] = SimpleQueue()
    workers = [Worker(function, seconds) for _ in range(num_workers)]
    for worker in workers:
        idle.put(worker)

    def computed(index: int) -> Any:
        worker = idle.get()
        try:
            return worker(index)
        finally:
            idle.put(worker)

    waiting: deque[Future] = deque()
    pool = ThreadPoolExecutor(num_workers)
    try:
        for index in indices:
            waiting.append(pool.submit(computed, index))
            if len(waiting) > 2 * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for worker in workers:
            worker.stop()
        pool.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


def serve(seconds: float) -> None:
    """The worker's side: read the function, then answer requests until the pipe is closed.

    Args:
        seconds: after which the other side gives an item up, if it is still there.
    """
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started it, who ends it
    try:
        function = _read_pickled(requests)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)
        _bound_memory()
        _send(answers, {"value": None})
    except Exception:
        _send(answers, {"error": traceback.format_exc()})
        return
    while True:
        try:
            request = _read_pickled(requests)
            _end_after(seconds)
            value = function(request)
            if isinstance(value, Generator):
                value = _run(value, answers, seconds)
            _end_after(0)
            _send(answers, {"value": value})
        except (EOFError, BrokenPipeError):
            return
        except Exception as error:
            if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
                _send(answers, {"lost": "it needs more memory than a worker may take"})
            else:
                _send(answers, {"error": traceback.format_exc()})


def _run(work: Generator[Any, None, Any], answers: Any, seconds: float) -> Any:
    """What a generator returns; at each of its yields the other side is told that it is at work."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
        _end_after(seconds)
        _send(answers, {"working": None})


def _end_after(seconds: float) -> None:
    """Let the system end this process if it hangs and nobody is there to kill it; 0 takes that back."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_SECONDS if seconds else 0)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Where a worker's requests go, and where its answers come from."""
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _bound_memory() -> None:
    try:
        import resource

        with open("/proc/self/status") as file:
            own = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (own + _MEMORY_BYTES, own + _MEMORY_BYTES))
    except (ImportError, FileNotFoundError):
        return  # not Linux: time is bounded, memory only by the limits of reading


def _send(answers: Any, answer: Any) -> None:
    """The length of a JSON text, the text, then the bytes of the arrays that it refers to."""
    arrays: list[np.ndarray] = []
    text = json.dumps(_packed(answer, arrays)).encode()
    answers.write(struct.pack("<q", len(text)) + text)
    for array in arrays:
        answers.write(array.reshape(-1).view(np.uint8).data)
    answers.flush()


def _receive(file: int, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    (length,) = struct.unpack("<q", _read(file, 8, deadline))
    try:
        return _unpacked(json.loads(_read(file, length, deadline)), file, deadline)
    except (ValueError, KeyError, TypeError) as error:  # none of ours: the worker was taken over
        raise EOFError from error


def _packed(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.name, list(value.shape)]}
    if isinstance(value, dict):
        return {"dict": {key: _packed(each, arrays) for key, each in value.items()}}
    if isinstance(value, list | tuple):
        return [_packed(each, arrays) for each in value]
    return value


def _unpacked(value: Any, file: int, deadline: float) -> Any:
    """The inverse of `_packed`; arrays arrive in the order in which the text mentions them."""
    if isinstance(value, list):
        return [_unpacked(each, file, deadline) for each in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _unpacked(each, file, deadline) for key, each in value["dict"].items()}
    name, shape = value["array"]
    data = _read(file, prod(shape) * _DTYPES[name].itemsize, deadline)
    return np.frombuffer(data, _DTYPES[name]).reshape(shape)


def _read(file: int, length: int, deadline: float) -> bytearray:
    """So many bytes of a pipe.

    Raises:
        TimeoutError: if they do not come in time.
        EOFError: if the other side is gone.
    """
    if not 0 <= length <= _ANSWER_BYTES:
        raise EOFError
    result = bytearray(length)
    view, filled = memoryview(result), 0
    poll = select.poll()
    poll.register(file, select.POLLIN)
    while filled < length:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        count = os.readv(file, [view[filled:]])
        if not count:
            raise EOFError
        filled += count
    return result


def _write_pickled(file: IO[bytes], data: bytes) -> None:
    file.write(struct.pack("<q", len(data)) + data)
    file.flush()


def _read_pickled(file: Any) -> Any:
    return pickle.loads(_exactly(file, struct.unpack("<q", _exactly(file, 8))[0]))


def _exactly(file: Any, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise EOFError
    return data
