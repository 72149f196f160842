"""Spikes of the loss are named, and weights go back to the last checkpoint while the data go on."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from videolm.training.checkpoints import WholeCheckpointIO, find_checkpoint
from videolm.training.ema import averaged
from videolm.training.loss_spikes import LossSpikes, SpikeSettings, Watched
from videolm.training.run_checkpoint import RunCheckpoint
from videolm.training.run_logs import quiet_lightning
from videolm.training.schedule import scheduled

STEPS = 160
TRUE = torch.linspace(-1, 1, 8)


class Batches(Dataset):
    """Linear regression with noise; of the spoilt batches the answers are a thousand times too large."""

    def __init__(self, spoilt: tuple[int, ...]):
        self.spoilt = spoilt

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, number: int) -> tuple[int, torch.Tensor, torch.Tensor]:
        given, answers = questions(number, 64)
        return number, given, answers * (1000 if number in self.spoilt else 1)


def questions(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    given = torch.randn(count, 8, generator=generator)
    return given, given @ TRUE + 0.1 * torch.randn(count, generator=generator)


class Regression(LightningModule):
    watched_loss: torch.Tensor

    def __init__(self, killed_at: int | None = None):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(8, 1)
        self.average = averaged(self.linear, 0.9)
        self.watched_loss = torch.zeros(())
        self.killed_at = killed_at
        self.seen: list[int] = []
        self.rates: list[float] = []

    def training_step(self, batch: tuple[int, torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        number, given, answers = batch
        if self.global_step == self.killed_at:
            raise RuntimeError("killed")
        self.seen.append(int(number))
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        loss = (self.linear(given)[:, 0] - answers).square().mean()
        self.watched_loss = loss.detach()
        return loss

    def optimizer_step(self, *arguments, **settings) -> None:
        super().optimizer_step(*arguments, **settings)
        self.average.update_parameters(self.linear)

    def configure_optimizers(self) -> dict:
        return scheduled(torch.optim.Adam(self.linear.parameters(), 0.1), 5, STEPS)

    def held_out_loss(self) -> float:
        given, answers = questions(10**6, 4096)
        with torch.no_grad():
            return (self.average.module(given)[:, 0] - answers).square().mean().item()


def fit(
    folder: Path,
    spikes: SpikeSettings,
    spoilt: tuple[int, ...] = (),
    killed_at: int | None = None,
    every: int = 20,
    **settings,
) -> Regression:
    """Train or go on, with a checkpoint every so many steps."""
    module, callbacks = Regression(killed_at), [LossSpikes(spikes, folder), RunCheckpoint(folder, every)]
    with quiet_lightning():
        trainer = Trainer(
            max_steps=STEPS, max_epochs=-1, callbacks=callbacks, plugins=[WholeCheckpointIO()], logger=False,
            enable_progress_bar=False, enable_model_summary=False, accelerator="cpu", default_root_dir=folder,
            **settings,
        )  # fmt: skip
        data = StatefulDataLoader(Batches(spoilt), batch_size=None)
        trainer.fit(module, data, ckpt_path=find_checkpoint(folder).path, weights_only=True)
    return module


def test_a_spike_is_named_in_its_step_and_once(tmp_path, capsys):
    fit(tmp_path, SpikeSettings(factor=50), spoilt=(70, 71))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("step 70: the loss is ") and "times the median of before" in lines[0]
    assert lines[1].endswith(" again")


def test_naming_changes_nothing(tmp_path):
    named, silent = (
        fit(tmp_path / str(factor), SpikeSettings(factor=factor), spoilt=(70,)) for factor in (3.0, 0.0)
    )
    assert torch.equal(named.linear.weight, silent.linear.weight)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_after_a_rollback_a_run_ends_like_an_undisturbed_one(tmp_path, capsys, accumulated):
    """Within one per cent; the weights that a spike has thrown off end worse."""
    settings = {"accumulate_grad_batches": accumulated}
    still = fit(tmp_path / "still", SpikeSettings(), **settings)
    back = fit(tmp_path / "back", SpikeSettings(rollback=True), spoilt=(110 * accumulated,), **settings)
    said = capsys.readouterr().out
    assert "step 111: weights are those of" in said and "(rollback 1); the data go on" in said
    assert back.held_out_loss() == pytest.approx(still.held_out_loss(), rel=0.01)
    thrown_off = fit(tmp_path / "off", SpikeSettings(), spoilt=(110 * accumulated,), **settings)
    assert thrown_off.held_out_loss() > 1.01 * still.held_out_loss()


def test_the_data_go_on_and_the_learning_rate_is_that_of_the_step(tmp_path):
    still, back = (
        fit(tmp_path / str(spoilt), SpikeSettings(rollback=True), spoilt=spoilt) for spoilt in ((), (70,))
    )
    assert still.seen == back.seen == list(range(STEPS))
    assert still.rates == back.rates and len(set(back.rates)) > 100


def test_a_run_that_is_killed_after_a_rollback_ends_as_if_it_was_not(tmp_path):
    spikes = SpikeSettings(rollback=True)
    whole = fit(tmp_path / "whole", spikes, spoilt=(70, 110))
    for killed_at in (75, 112):
        with pytest.raises(RuntimeError, match="killed"):
            fit(tmp_path / "killed", spikes, spoilt=(70, 110), killed_at=killed_at)
    resumed = fit(tmp_path / "killed", spikes, spoilt=(70, 110))
    for name, weight in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], weight), name


def test_too_many_rollbacks_end_the_run(tmp_path):
    message = "rose to 3 times its median again at step 125, after 2 rollbacks: lower the learning rate"
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, SpikeSettings(rollback=True, max_rollbacks=2), spoilt=(70, 90, 124))


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path, capsys):
    fit(tmp_path, SpikeSettings(rollback=True), spoilt=(70,), every=1000)
    assert "step 71: there is no checkpoint yet to go back to" in capsys.readouterr().out


def test_a_spike_in_half_of_the_processes_is_one_of_all(tmp_path, in_two_processes):
    def judged(rank: int) -> tuple[bool, list[float]]:
        module, spikes = Regression(), LossSpikes(SpikeSettings(), tmp_path)
        trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        for step in range(31):
            module.watched_loss = torch.tensor(100.0 if (step, rank) == (30, 1) else 1.0)
            spikes.on_before_backward(trainer, module, module.watched_loss)
            spikes.on_before_optimizer_step(trainer, module, torch.optim.SGD(module.parameters()))
        return spikes.is_high, list(spikes.losses)

    first, second = in_two_processes(judged)
    assert first == second == (True, [1.0] * 30 + [50.5])


def test_modules_of_all_stages_can_be_watched():
    from videolm.lm.training.lightning_module import LanguageModelTraining
    from videolm.super_resolution.training.lightning_module import SuperResolutionTraining
    from videolm.tokenizers.audio.lightning_module import AudioCodecTraining
    from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining

    stages = (LanguageModelTraining, SuperResolutionTraining, AudioCodecTraining, VideoTokenizerTraining)
    for stage in stages:
        assert set(Watched.__annotations__) <= set(stage.__annotations__)


@pytest.mark.parametrize("settings", [{"factor": 1.0}, {"factor": -2.0}, {"window": 5}, {"max_rollbacks": 0}])
def test_settings_that_cannot_work_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match="spikes"):
        LossSpikes(SpikeSettings(**settings), tmp_path)
