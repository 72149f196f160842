"""Where the time of a step goes, by a clock that only the parts of the step move on."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset

from videolm.training import step_times
from videolm.training.run_logs import quiet_lightning
from videolm.training.step_times import StepTimes


class Clock:
    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Slow(LightningModule, IterableDataset):
    """Data take 1 s, the forward pass 2, the backward pass 3 and the optimizer 4."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock, self.weight = clock, torch.nn.Parameter(torch.zeros(()))

    def __iter__(self):
        while True:
            self.clock.now += 1
            yield torch.ones(())

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.clock.now += 2
        loss = (self.weight - batch) ** 2
        loss.register_hook(self.go_backward)
        return loss

    def go_backward(self, gradient: torch.Tensor) -> None:
        self.clock.now += 3

    def optimizer_step(self, *arguments, **settings) -> None:
        super().optimizer_step(*arguments, **settings)
        self.clock.now += 4

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("accumulated", [1, 4])
def test_every_part_of_a_step_has_its_time(monkeypatch, accumulated):
    """Means over batches: of four accumulated ones the last steps the optimizer."""
    clock = Clock()
    monkeypatch.setattr(step_times, "time", clock)
    module = Slow(clock)
    with quiet_lightning():
        trainer = Trainer(
            max_steps=4, log_every_n_steps=2, accumulate_grad_batches=accumulated, callbacks=[StepTimes()],
            accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(module, DataLoader(module, batch_size=None))
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    expected = {"data": 1.0, "forward": 2.0, "backward": 3.0, "optimizer": 4.0 / accumulated}
    assert found == {f"train/seconds/{name}": pytest.approx(value) for name, value in expected.items()}
