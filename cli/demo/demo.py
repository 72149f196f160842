"""`videolm demo`: every stage on the embedded corpus, by the commands that anybody would type.

    synthesize -> tokenizer fit -> audio fit -> encode -> lm fit -> generate -> evaluate
        -> encode, lm fit and evaluate once more, for all tasks -> page

Each stage runs its commands in this process. What a stage did stands in OUT/demo/<stage>.json, with a key
of its commands, its config and the stages before it: a stage whose key is there is not run again, a stage
that was stopped goes on where its own command resumes, and one whose key has changed starts anew.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...data.runtime.files import read_json, write_json
from ...data.runtime.progress import WHOLE, clock
from ..config_files import read_config
from .demo_page import write_demo_report
from .demo_plan import Plan, Stage, in_words

Runner = Callable[[list[str]], None]


def run_demo(run: Runner, out: Path, *, seed: int, clips: int, quick: bool) -> list[Path]:
    """Run what is not done yet; returns the page and the report.

    Args:
        run: runs one command of `videolm`; a mistake raises.
    """
    plan = Plan(out, seed=seed, clips=clips, quick=quick)
    stages, key = plan.stages(), ""
    for index, stage in enumerate(stages):
        key = _key(stage, key, out)
        record = Record(out, stage, key)
        if record.is_done:
            print(f"[{index + 1}/{len(stages)}] {stage.name}: done before, in {clock(record.seconds)}")
        else:
            print(f"[{index + 1}/{len(stages)}] {stage.name}", flush=True)
            _run(run, stages, index, record, out)
    records = [Record(out, stage, "") for stage in stages]
    seconds = {record.stage.name: round(record.seconds, 1) for record in records}
    return write_demo_report(out, seconds, stages, plan.examples(), quick=quick)


class Record:
    """OUT/demo/<stage>.json: whether a stage is done, and the seconds spent on it over all attempts."""

    def __init__(self, out: Path, stage: Stage, key: str):
        self.stage, self.key = stage, key
        self.path = out / "demo" / f"{stage.name.replace(' ', '-')}.json"
        self.state: dict[str, Any] = read_json(self.path) if self.path.is_file() else {}

    @property
    def is_done(self) -> bool:
        return self.state.get("key") == self.key and self.state["done"]

    @property
    def seconds(self) -> float:
        return self.state.get("seconds", 0.0)

    def begin(self) -> None:
        """Note that the stage is running; throw away what another key left."""
        before = 0.0
        if self.state.get("key") == self.key:
            before = self.seconds + self._seconds_lost()
        elif self.state and self.stage.folder is not None:
            shutil.rmtree(self.stage.folder, ignore_errors=True)
        self._write(before, done=False, started=time.time())

    def end(self, seconds: float, done: bool) -> None:
        self._write(self.seconds + seconds, done=done, started=None)

    def _seconds_lost(self) -> float:
        """What a killed attempt spent up to its last sign of life; it could not write its own end."""
        started, folder = self.state.get("started"), self.stage.folder
        if started is None or folder is None:
            return 0.0
        return max(0.0, *(path.stat().st_mtime - started for path in (self.path, *folder.glob("*"))))

    def _write(self, seconds: float, *, done: bool, started: float | None) -> None:
        commands = [in_words(command) for command in self.stage.commands]
        self.state = {"key": self.key, "done": done, "seconds": seconds, "started": started}
        write_json(self.path, self.state | {"commands": commands})


def _run(run: Runner, stages: list[Stage], index: int, record: Record, out: Path) -> None:
    stage = stages[index]
    record.begin()
    start, done = time.monotonic(), False
    token = WHOLE.set(_time_left(stages, index, out, start))
    try:
        if stage.prepare is not None:
            stage.prepare()
        for command in stage.commands:
            print(f"$ {in_words(command)}", flush=True)
            run(list(command))
        done = True
    finally:
        WHOLE.reset(token)
        record.end(time.monotonic() - start, done)


def _time_left(stages: list[Stage], index: int, out: Path, start: float) -> Callable[[float], str]:
    """What to say of the whole while a share of stage `index` is done.

    The pace of this machine, against the seconds that the stages are expected to take, follows from the
    stages before and, once a tenth is done, from this one.
    """
    past = stages[:index]
    spent = sum(Record(out, stage, "").seconds for stage in past)
    expected = sum(stage.seconds for stage in past)
    later = sum(stage.seconds for stage in stages[index + 1 :])
    first: float | None = None  # what an earlier attempt had done

    def words(share: float) -> str:
        nonlocal first
        first = share if first is None else first
        pace = spent / expected if expected > 30 else 1.0
        if share - first > 0.1:
            pace = (time.monotonic() - start) / ((share - first) * stages[index].seconds)
        left = pace * ((1 - share) * stages[index].seconds + later)
        about = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        return f"(stage {index + 1} of {len(stages)}, about {about} left)"

    return words


def _key(stage: Stage, before: str, out: Path) -> str:
    """Changes with the commands (but not with where OUT is), the config and the key of the stage before."""
    config = read_config(stage.config) if stage.config else {}
    text = json.dumps([before, stage.commands, config]).replace(str(out), "OUT")
    return hashlib.sha256(text.encode()).hexdigest()[:16]
