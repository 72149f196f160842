"""The early validation: within two minutes, and nothing else follows from it."""

from pathlib import Path

import pytest
from tiny_fit import TinyTraining, tiny_fit

from videolm.training.validation_steps import ValidationSteps
from videolm.training.validations import read_validations


class Clock:
    """Goes on by some seconds each time that it is looked at."""

    def __init__(self, seconds: float):
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def early(folder: Path, seconds: float, **settings) -> TinyTraining:
    module = TinyTraining({3: 99.0})
    settings = {"steps": 40, "interval": 20} | settings
    tiny_fit(folder, module, timing=ValidationSteps(clock=Clock(seconds)), **settings)
    return module


def test_the_early_validation_changes_neither_losses_nor_model(tmp_path):
    """The loaders of a validation draw from the global generator, from which training draws here too."""
    with_early, without = early(tmp_path / "a", 30.0), early(tmp_path / "b", 0.0)
    assert (with_early.validated, without.validated) == ([3, 20, 40], [20, 40])
    assert with_early.losses[:20] == without.losses[:20] and with_early.losses == without.losses
    assert [each.step for each in read_validations(tmp_path / "a", 40)] == [20, 40]
    same = [(tmp_path / name / "model/part/weight").read_text() for name in "ab"]
    assert same[0] == same[1]


def test_a_validation_that_is_due_soon_is_waited_for(tmp_path):
    assert early(tmp_path, 9.0, interval=12).validated == [12, 24, 36, 40]  # two more steps of nine seconds
    assert early(tmp_path / "b", 9.0, interval=18).validated == [10, 18, 36, 40]


def test_a_training_that_is_validated_once_is_not_validated_early(tmp_path):
    assert early(tmp_path, 60.0, steps=20).validated == [20]


def test_a_training_that_goes_on_is_not_validated_early_again(tmp_path):
    def stop(phase: str, step: int) -> None:
        if step == 8:
            raise ValueError("stopped")

    module, timing = TinyTraining({}, stop), ValidationSteps(clock=Clock(30.0))
    with pytest.raises(ValueError, match="stopped"):
        tiny_fit(tmp_path, module, steps=40, interval=20, checkpoint_every=1, timing=timing)
    assert module.validated == [3]
    assert early(tmp_path, 30.0).validated == [20, 40]
