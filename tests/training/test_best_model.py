"""The model of the best validation is exported, also by a training that was killed anywhere."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_fit import QUALITY, TinyTraining, tiny_fit

from videolm.training.validations import read_validations

SCORES = {2: 1.0, 4: 3.0, 6: 2.0, 8: 2.5}


def model_of(folder: Path) -> int:
    return int((folder / "model/part/weight").read_text().split()[0])


def test_the_model_of_the_best_validation_is_exported_and_the_last_is_gone_on_from(tmp_path):
    assert tiny_fit(tmp_path, TinyTraining(SCORES), steps=8) == 4 == model_of(tmp_path)
    assert [each.name for each in (tmp_path / "best").iterdir()] == ["step-000004"]
    assert [each.step for each in read_validations(tmp_path, 8)] == [2, 4, 6, 8]
    assert tiny_fit(tmp_path, TinyTraining(SCORES), steps=8) == 4  # run again: it only says so
    assert tiny_fit(tmp_path, TinyTraining(SCORES | {10: 9.0}), steps=10) == 10 == model_of(tmp_path)


def test_the_last_step_is_validated_whatever_the_interval(tmp_path):
    module = TinyTraining({7: 1.0})
    assert tiny_fit(tmp_path, module, steps=7, interval=3) == 7
    assert module.validated == [3, 6, 7]
    assert len(module.functions) == 1  # in the fit, whose validations have pictures and the right step


@pytest.mark.parametrize("steps", [2, 3])
def test_a_training_that_is_validated_once_exports_its_last_step_and_keeps_nothing(tmp_path, steps):
    module = TinyTraining({2: 5.0})
    assert tiny_fit(tmp_path, module, steps=steps) == steps == model_of(tmp_path)
    assert module.validated == [2]
    assert {each.name for each in tmp_path.iterdir()} == {"last.ckpt", "model"}


def test_of_the_last_step_if_that_is_asked_for_or_the_score_does_not_tell(tmp_path):
    assert tiny_fit(tmp_path / "a", TinyTraining(SCORES), keeps=False) == 6
    assert tiny_fit(tmp_path / "b", TinyTraining(SCORES), quality=replace(QUALITY, picks=False)) == 6
    assert tiny_fit(tmp_path / "c", TinyTraining(SCORES), quality=replace(QUALITY, rises=False)) == 2
    assert tiny_fit(tmp_path / "d", TinyTraining(SCORES), steps=8, quality=replace(QUALITY, since=4)) == 8
    assert not (tmp_path / "a/best").exists() and len(read_validations(tmp_path / "a", 9)) == 3


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(("phase", "step"), [("train", 4), ("val", 4), ("train", 5), ("val", 8)])
def test_a_training_stopped_anywhere_ends_with_the_same_model(tmp_path, phase, every, step):
    """In a validation, and after one that the checkpoint before does not know of."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    tiny_fit(whole, TinyTraining(SCORES), steps=8, checkpoint_every=every)

    def stop(now: str, at: int) -> None:
        if (now, at) == (phase, step):
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        tiny_fit(stopped, TinyTraining(SCORES, stop), steps=8, checkpoint_every=every)
    tiny_fit(stopped, TinyTraining(SCORES), steps=8, checkpoint_every=every)
    assert model_of(stopped) == 4
    assert read_validations(stopped, 8) == read_validations(whole, 8)


def test_the_best_model_of_an_earlier_checkpoint_outlasts_a_better_one_after_it(tmp_path):
    """Step 6 is the best when the training is stopped in step 7, and not when step 6 is done again."""

    def stop(now: str, at: int) -> None:
        if (now, at) == ("train", 7):
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        tiny_fit(tmp_path, TinyTraining(SCORES | {6: 9.0}, stop), steps=8, checkpoint_every=5)
    assert {each.name for each in (tmp_path / "best").iterdir()} == {"step-000004", "step-000006"}
    assert tiny_fit(tmp_path, TinyTraining(SCORES), steps=8, checkpoint_every=5) == 4 == model_of(tmp_path)


def test_a_damaged_record_is_named(tmp_path):
    tiny_fit(tmp_path, TinyTraining(SCORES))
    (tmp_path / "validations.json").write_text('[{"step": "two"}]')
    with pytest.raises(ValueError, match=r"validations.json is damaged"):
        tiny_fit(tmp_path, TinyTraining(SCORES), steps=8)
