import math

import torch

from videolm.training.interval_means import IntervalMeans


def test_values_are_averaged_over_the_steps_that_have_them():
    means = IntervalMeans()
    for step in range(4):
        means.add({"loss": torch.tensor(float(step))})
        if step % 2 == 0:
            means.add({"penalty": 10.0 + step})
    assert means.report() == {"train/loss": 1.5, "train/penalty": 11.0}
    assert means.report() == {}


def test_a_mean_over_targets_weighs_each_alike():
    means = IntervalMeans()
    means.add_sums(("task/a", "task/b"), torch.tensor([6.0, 0.0]), torch.tensor([3.0, 0.0]))
    means.add_sums(("task/a", "task/c"), torch.tensor([1.0, 5.0]), torch.tensor([4.0, 1.0]))
    assert means.report("") == {"task/a": 1.0, "task/c": 5.0}


def test_non_finite_values_are_left_out():
    means = IntervalMeans()
    for value in (1.0, math.inf, math.nan, 3.0):
        means.add({"loss": torch.tensor(value), "psnr": torch.tensor(5.0)})
    assert means.report() == {"train/loss": 2.0, "train/psnr": 5.0}


def test_means_are_over_all_processes_which_may_name_different_things(in_two_processes):
    def report(rank: int) -> dict[str, float]:
        means = IntervalMeans()
        means.add({"loss": torch.tensor(float(rank))})
        means.add_sums((f"task/{rank}",), torch.tensor([2.0]), torch.tensor([4.0]))
        means.add_sums(("task/both",), torch.tensor([3.0 * rank]), torch.tensor([1.0 + rank]))
        return means.report()

    first, second = in_two_processes(report)
    assert first == second
    assert first == {"train/loss": 0.5, "train/task/0": 0.5, "train/task/1": 0.5, "train/task/both": 1.0}
