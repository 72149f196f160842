import math
from itertools import pairwise

import pytest
import torch

from videolm.training.schedule import scheduled, warmup_cosine, warmup_stable_decay


def test_learning_rate_rises_then_falls_to_zero():
    rates = [warmup_cosine(step, 10, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == rates[10] == 1
    assert all(before > after for before, after in pairwise(rates[10:]))
    assert rates[55] == pytest.approx(0.5) and rates[100] == pytest.approx(0)


def test_learning_rate_is_kept_when_no_end_is_set():
    assert warmup_cosine(10**6, 10, math.inf) == 1


def test_stable_phase_does_not_depend_on_the_end_and_the_decay_reaches_zero():
    short, long = (
        [warmup_stable_decay(step, 10, total, 0.2) for step in range(total + 1)] for total in (100, 200)
    )
    assert short[:10] == long[:10] == [pytest.approx((step + 1) / 10) for step in range(10)]
    assert set(short[9:81]) == set(long[9:161]) == {1.0}
    assert all(before > after for before, after in pairwise(short[80:]))
    assert short[100] == long[200] == 0


@pytest.mark.parametrize(("schedule", "end"), [("cosine", 0.0), ("wsd", 0.0), ("constant", 1.0)])
def test_optimizer_follows_the_schedule_of_that_name(schedule, end):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    rates = scheduled(optimizer, 5, 20, schedule)["lr_scheduler"]["scheduler"]
    for _ in range(20):
        optimizer.step()
        rates.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2.0 * end)


def test_unknown_schedules_are_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    with pytest.raises(ValueError, match="schedule is 'wsd' with decay_share 0"):
        scheduled(optimizer, 5, 20, "wsd", 0.0)
