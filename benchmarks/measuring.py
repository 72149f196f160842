"""How benchmarks measure: a process for each contestant, its CPU clock, its peak memory, lines of JSON.

Contestants run one after the other in one command, each in a fresh process with a fixed number of threads.
CPU seconds of the process hardly change with what else the machine is doing; ratios between contestants of
one command carry over to other machines, seconds do not.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")
Record = dict[str, Any]

ROOT = Path(__file__).parents[1]
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5), clear_refs: the peak of resident memory starts again from what is held now


def run_each(
    module: str, contestants: Iterable[str], arguments: Sequence[str], threads: int = 1
) -> list[Record]:
    """Run `python -m module --contestant NAME ARGUMENTS` for each name; the records that they print.

    Raises:
        ValueError: if a process fails; it has then said why.
    """
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    records = []
    for name in contestants:
        command = [sys.executable, "-m", module, "--contestant", name, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise ValueError(f"{name} ended with status {done.returncode}; what it printed stands above")
        records.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(records[-1]), flush=True)
    return records


def cpu_seconds(function: Callable[[], Result], repeats: int = 1) -> tuple[float, Result]:
    """CPU seconds of this process for one call, the least of `repeats` calls, and what the last returned."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return best, result


def reset_peak_memory() -> int:
    """Let `peak_memory` count from now on; bytes of resident memory held now (Linux only)."""
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    return peak_memory()


def peak_memory() -> int:
    """The most bytes of resident memory that this process held since its start or `reset_peak_memory`."""
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def available_memory() -> int:
    """Bytes that can be had without swapping."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024


def machine(threads: int) -> Record:
    """Where and when a measurement was made."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def markdown_table(rows: Sequence[Record]) -> str:
    """Rows with the same keys as a table in Markdown; numbers to four digits, None as a dash."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([_cell(row[name]) for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def command(main: Callable[[], None]) -> None:
    """Run a command; a user's mistake ends it with one line instead of a traceback."""
    try:
        main()
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _processor() -> str:
    """The model as Linux names it; elsewhere the architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
