"""All three trainings come to their end while every tenth step of them is made infinite in some way."""

import pytest

from videolm.benchmarks.infinities import WAYS, encode, run

STEPS = 80


@pytest.mark.long
def test_trainings_outlast_infinite_losses_gradients_logits_and_sounds(tmp_path):
    for stage in WAYS:
        if stage == "lm":
            encode(tmp_path)
        record = run(tmp_path, stage, STEPS)
        assert sum(record[way] for way in WAYS[stage]) == STEPS // 10
        assert all(record[way] > 0 for way in WAYS[stage])
