"""What the numbers of a training say: each rule on numbers."""

from dataclasses import replace

import pytest
from tiny_fit import QUALITY

from videolm.training.findings import Findings, caption_lines, code_lines, still_lines
from videolm.training.validations import Validation, best_of, has_become_worse

LOSS = replace(QUALITY, metric="loss", unit="nats a code", rises=False, noise=0.01)


def validations(*values: float, metric: str = "val/score") -> list[Validation]:
    return [Validation(100 * number, {metric: value}) for number, value in enumerate(values, 1)]


def findings(*values: float, train: tuple[float, ...] = ()) -> Findings:
    means = [{"train/score": value} for value in train] or [{} for _ in values]
    return Findings(QUALITY, validations(*values), means)


def test_the_best_is_the_first_of_equal_ones_and_finite():
    assert best_of(validations(1, 3, float("nan"), 3, 2), QUALITY) == Validation(200, {"val/score": 3})
    falling = validations(2, 1.5, 1.7, metric="loss")
    best = best_of(falling, LOSS)
    assert best is not None and best.step == 200
    assert best_of(validations(float("nan")), QUALITY) is None
    assert best_of(validations(9, 1, 2), replace(QUALITY, since=100)) == Validation(300, {"val/score": 2})


@pytest.mark.parametrize(
    ("values", "worse"),
    [
        ((1, 5, 4, 3, 2), True),
        ((1, 5, 4, 3), False),  # two worse ones may be chance
        ((1, 5, 4, 3, 5), False),
        ((1, 5, 4.95, 4.95, 4.95), False),  # by less than what scores differ anyway
        ((1, 2, 3, 4, 5), False),
        ((), False),
    ],
)
def test_validation_is_worse_after_three_that_are_worse_than_the_best(values, worse):
    assert has_become_worse(validations(*values), QUALITY, 3) == worse
    assert (findings(*values).warning() is not None) == worse


def test_the_warning_tells_learning_by_heart_from_a_training_that_breaks_down():
    by_heart = findings(1, 5, 4, 3, 2, train=(1, 5, 6, 7, 8)).warning()
    assert by_heart is not None and "since step 200 (5.00 -> 2.00 dB)" in by_heart
    assert "by heart; more clips or fewer steps" in by_heart
    broken = findings(1, 5, 4, 3, 2, train=(1, 5, 4, 3, 2)).warning()
    assert broken is not None and "so has the training itself" in broken and "by heart" not in broken


def test_the_end_says_whether_more_steps_or_more_clips_would_help():
    (line,) = findings(1, 2, 3, 4, 5).closing()
    assert line == "still improving, by 1.00 dB since step 400: more steps would help"
    (line,) = findings(1, 5, 5.02, 5.04, 5.06).closing()
    assert line == "levelled off (0.02 dB gained since step 400): more steps would change little"
    (line,) = findings(1, 5, 4, 3, 2).closing()
    assert line.startswith("worse by 3.00 dB since step 200: ") and "more clips or fewer steps" in line
    lines = findings(1, 2, 3, 4, 5, train=(1, 2, 3, 4, 6.5)).closing()
    assert lines[1:] == ["training clips are 1.50 dB better than held-out ones: more clips would help"]
    assert len(findings(1, 2, 3, 4, 5, train=(1, 2, 3, 4, 5.9)).closing()) == 1


def test_of_a_training_that_was_not_validated_nothing_is_said():
    for nothing in (findings(), findings(float("nan"))):
        assert nothing.closing() == [] and nothing.reached is None
    assert findings(3).closing() == [] and findings(3).reached is not None


def test_metrics_of_all_tasks_are_compared_pairwise():
    quality = replace(QUALITY, compared=("train/task/", "validation/task/"))
    train = {"train/task/a": 1.0, "train/task/b": 3.0, "train/task/only": 9.0, "train/loss": 5.0}
    assert quality.levels(train, {"validation/task/a": 2.0, "validation/task/b": 6.0}) == (2.0, 4.0)
    assert quality.levels(train, {"validation/loss": 2.0}) is None


@pytest.mark.parametrize(
    ("gain", "error", "helps"),
    [(0.41, 0.05, True), (0.04, 0.03, False), (0.004, 0.0001, False), (-0.2, 0.05, False), (0.0, 0.0, False)],
)
def test_captions_help_if_the_gain_is_beyond_chance_and_visible(gain, error, helps):
    scores = {"validation/caption_gain": gain, "validation/caption_gain_error": error}
    (line,) = caption_lines(scores)
    assert line.startswith("captions help" if helps else "captions do not help yet") and f"{gain:.3f}" in line
    assert caption_lines({}) == []


def test_few_codes_and_a_tokenizer_below_a_still_picture_are_named():
    (line,) = code_lines({"val/perplexity": 310.0}, {"train/code_use": 0.125}, 14)
    assert line == "310 codes in even use among held-out clips, of 16,384; 12.5% of all occur in training"
    assert "entropy_weight" in code_lines({"val/perplexity": 100.0}, {}, 14)[0]
    assert code_lines({}, {}, 14) == []
    still = {"first frame repeated": 18.0, "mean image": 20.0}
    (line,) = still_lines(24.0, still)
    assert line == "later frames 24.00 dB (first frame repeated 18.00, mean image 20.00)"
    assert "not yet better than the mean image" in still_lines(19.0, still)[0]
    assert still_lines(19.0, {}) == []
