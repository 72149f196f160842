"""Where the time of a step goes: waiting for data, forward, backward, optimizer."""

import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

_PARTS = ("data", "forward", "backward", "optimizer")


class StepTimes(Callback):
    """Logs seconds of each part, means over the batches since the last report: `train/seconds/data`, ...

    `data` is what a training waits for its next batch, `optimizer` all that follows the backward pass, with
    clipping and the averaging of weights; of accumulated batches the last one has it. On a GPU, which works
    later than it is told to, the parts after the data are timed by its own events. These are the first
    process's.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[str, Any]] = []  # the end of a part, as a time or an event
        self._steps: list[list[tuple[str, Any]]] = []
        self._waits: list[float] = []
        self._ended: float | None = None
        self._reported = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._on_gpu = pl_module.device.type == "cuda"
        self._ended = time.perf_counter()
        self._reported = trainer.global_step

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._ended is not None:
            self._waits.append(time.perf_counter() - self._ended)
        self._marks = [("", self._now())]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: torch.Tensor) -> None:
        self._marks.append(("forward", self._now()))

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._marks.append(("backward", self._now()))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._marks.append(("optimizer", self._now()))
        self._steps.append(self._marks)
        every = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]  set undeclared
        if trainer.global_step % every == 0 and trainer.global_step > self._reported:
            self._reported = trainer.global_step
            times = {f"train/seconds/{name}": value for name, value in self._report().items()}
            pl_module.log_dict(times, batch_size=1)
        self._ended = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = None  # what follows is no wait for data

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = time.perf_counter()

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _report(self) -> dict[str, float]:
        sums: dict[str, float] = defaultdict(float)
        if self._on_gpu:
            torch.cuda.synchronize()
        for marks in self._steps:
            for (_, begin), (name, end) in pairwise(marks):
                sums[name] += begin.elapsed_time(end) / 1e3 if self._on_gpu else end - begin
        sums["data"] = sum(self._waits) / max(len(self._waits), 1) * len(self._steps)
        count, self._steps, self._waits = len(self._steps), [], []
        return {name: sums[name] / count for name in _PARTS}
