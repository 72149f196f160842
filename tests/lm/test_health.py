"""Signs of a training's health on models whose predictions are known."""

import math

import pytest
import torch

from videolm.lm.health import CodeUsage, head_entropies, watching
from videolm.lm.throughput import Throughput, peak_flops


def test_heads_that_know_nothing_have_the_entropy_of_guessing(make_model, make_batch):
    model, batch = make_model(), make_batch(3, 0)
    for head in model.heads.values():
        for linear in head.digits:
            torch.nn.init.zeros_(linear.weight)
    with watching(model) as hidden:
        model(batch)
    expected = {"visual/0": 4, "visual/1": 8, "audio_0/0": 6, "audio_1/0": 5}
    assert head_entropies(model, batch, hidden[0]) == {
        name: pytest.approx(math.log(size)) for name, size in expected.items()
    }


def test_perplexity_counts_the_codes_of_targets_only(make_model, make_sequence):
    from videolm.lm.batch import Batch

    model, usage = make_model(), CodeUsage()
    start = model.blocks[1].start
    for codes in ([1, 1, 2, 2], [1, 1, 2, 2]):
        sequence = make_sequence(3, grid=(1, 2, 3), audio=0, given=2)
        place = (sequence.block == 1).nonzero().squeeze(1)
        sequence.ids[place] = torch.tensor([5, 6, *codes]) + start  # the first two are given
        usage.add(model, Batch.collate([sequence]))
    assert usage.report() == {"visual": pytest.approx(2.0)}
    assert usage.report() == {}


def test_throughput_leaves_pauses_out(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    meter = Throughput(peak_flops=1000.0)
    for second in (1.0, 3.0):
        now[0] = second
        meter.step(torch.tensor(100), torch.tensor(600.0))
    now[0] = 5.0  # two steps in four seconds
    meter.pause()
    now[0] = 105.0
    assert meter.report(processes=2) == {"tokens_per_second": 100.0, "model_flops_utilisation": 0.3}


def test_peak_of_this_processor_is_measured_once():
    first = peak_flops(torch.device("cpu"), torch.float32)
    assert 1e8 < first < 1e14 and first == peak_flops(torch.device("cpu"), torch.float32)
