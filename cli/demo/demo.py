"""`videolm demo`: every stage on the embedded corpus, by the commands that anybody would type.

    first clips -> synthesize -> tokenizer fit -> audio fit -> encode -> lm fit -> generate -> evaluate
        -> page

The first clips are the packaged model's, for a page to look at while another model is trained: one of all
tasks, OUT/model. Each stage runs its commands in this process. OUT/demo/<stage>.json says what it was made
with: its commands, its config and the stages before it. A stage that is done and was made with the same is
not run again, one that was stopped goes on where its own command resumes, and one that was made with others
starts anew.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...data.runtime.files import read_object, write_json
from ...data.runtime.made_with import differences
from ...data.runtime.model_source import DEFAULT, packaged_models
from ...data.runtime.one_writer import only_writer
from ...data.runtime.progress import WHOLE, clock
from ..command_line import in_words
from ..config_files import read_config
from .demo_page import write_demo_report
from .demo_plan import Plan, Stage

Runner = Callable[[list[str]], None]


def run_demo(run: Runner, out: Path, *, seed: int, clips: int, quick: bool) -> list[Path]:
    """Run what is not done yet; returns the page and the report.

    Args:
        run: runs one command of `videolm`; a mistake raises.
    """
    with only_writer(out, "demo"):
        return _run_all(run, out, Plan(out, seed=seed, clips=clips, quick=quick), quick)


def _run_all(run: Runner, out: Path, plan: Plan, quick: bool) -> list[Path]:
    stages = plan.stages()
    if DEFAULT not in packaged_models():
        print(f"this installation holds no packaged model {DEFAULT}: the first page is the one at the end")
    before: dict[str, Any] = {}
    for index, stage in enumerate(stages):
        made_with = _made_with(stage, before, out)
        before = before if stage.apart is not None else made_with
        record = Record(out, stage, made_with)
        if record.is_done:
            print(f"[{index + 1}/{len(stages)}] {stage.name}: done before, in {clock(record.seconds)}")
        else:
            print(f"[{index + 1}/{len(stages)}] {stage.name}", flush=True)
            _run(run, stages, index, record, out)
    records = [Record(out, stage) for stage in stages]
    seconds = {record.stage.name: round(record.seconds, 1) for record in records}
    return write_demo_report(out, seconds, stages, plan.examples(), quick=quick)


class Record:
    """OUT/demo/<stage>.json: what a stage was made with, whether it is done, the seconds of all attempts.

    Args:
        made_with: what it is to be made with now; not needed to read the seconds.
    """

    def __init__(self, out: Path, stage: Stage, made_with: Mapping[str, Any] | None = None):
        self.stage, self.made_with = stage, made_with or {}
        self.path = out / "demo" / f"{stage.name.replace(' ', '-')}.json"
        self.state: dict[str, Any] = read_object(self.path) if self.path.is_file() else {}

    @property
    def is_same(self) -> bool:
        """Whether an earlier attempt was made with the same."""
        return not differences(self.state.get("made_with", {}), self.made_with)

    @property
    def is_done(self) -> bool:
        return self.is_same and self.state.get("done", False)

    @property
    def seconds(self) -> float:
        return self.state.get("seconds", 0.0)

    def begin(self) -> None:
        """Note that the stage is running; throw away what was made with other settings."""
        before = 0.0
        if self.is_same:
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
        self.state = {"made_with": self.made_with, "done": done, "seconds": seconds, "started": started}
        write_json(self.path, self.state)


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
    spent = sum(Record(out, stage).seconds for stage in past)
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


def _made_with(stage: Stage, before: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """What a stage follows from, wherever OUT is.

    Args:
        before: the same of the stage before it that is not apart.
    """
    if stage.apart is not None:
        return dict(stage.apart)
    return {
        "commands": [in_words(command).replace(str(out), "OUT") for command in stage.commands],
        "config": read_config(stage.config) if stage.config else {},
        "before": hashlib.sha256(json.dumps(before).encode()).hexdigest()[:16],
    }
