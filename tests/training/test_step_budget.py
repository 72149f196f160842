"""Steps by the number of clips, kept when a training goes on."""

from types import SimpleNamespace

import pytest

from videolm.training.step_budget import StepBudget, keep_steps, kept_steps, shorten_schedules

BUDGET = StepBudget(passes=40, least=1000, most=5000)


@pytest.mark.parametrize(
    ("clips", "steps"), [(50, 1000), (400, 2000), (600, 3000), (10_000, 5000), (None, 5000)]
)
def test_steps_follow_the_number_of_clips_between_two_limits(clips, steps):
    assert BUDGET.steps(None if clips is None else clips / 8) == steps


def test_a_training_that_goes_on_keeps_its_number_though_clips_were_added(tmp_path):
    assert kept_steps(tmp_path, BUDGET, 50.0, goes_on=False) == 2000
    keep_steps(tmp_path, BUDGET, 2000)
    assert kept_steps(tmp_path, BUDGET, 75.0, goes_on=True) == 2000
    assert kept_steps(tmp_path, BUDGET, 75.0, goes_on=False) == 3000
    assert kept_steps(tmp_path, StepBudget(passes=50), 50.0, goes_on=True) == 2500  # asked for by who goes on


def test_a_damaged_record_is_named(tmp_path):
    keep_steps(tmp_path, BUDGET, 0)
    with pytest.raises(ValueError, match=r"steps\.json is damaged"):
        kept_steps(tmp_path, BUDGET, 50.0, goes_on=True)


def test_schedules_fit_into_few_steps_and_stay_in_many():
    for steps, expected in ((200, (10, 60)), (1000, (50, 300)), (5000, (50, 300))):
        module = SimpleNamespace(warmup_steps=50, entropy_steps=300)
        shorten_schedules(module, steps)
        assert (module.warmup_steps, module.entropy_steps) == expected


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"least": 0}, {"least": 9, "most": 8}, {"validations": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        StepBudget(**wrong).check()
