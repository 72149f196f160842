"""Signs of a training's health on models whose predictions are known."""

import math
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from videolm.lm.training.health import CodeUsage, head_entropies, log_histogram, watching
from videolm.lm.training.throughput import Throughput, peak_flops


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


def test_perplexity_counts_the_codes_of_targets_only(make_model, make_example):
    from videolm.lm.batch import Batch

    model, usage = make_model(), CodeUsage()
    start = model.blocks[1].start
    for codes in ([1, 1, 2, 2], [1, 1, 2, 2]):
        example = make_example(3, grid=(1, 2, 3), audio=0, given=2)
        place = (example.block == 1).nonzero().squeeze(1)
        example.ids[place] = torch.tensor([5, 6, *codes]) + start  # the first two are given
        usage.add(model, Batch.collate([example]))
    perplexities, counts = usage.report()
    assert perplexities == {"visual": pytest.approx(2.0)}
    assert counts["visual"].nonzero().squeeze(1).tolist() == [1, 2] and counts["visual"].sum() == 8
    assert usage.report() == ({}, {})


def test_perplexity_is_of_the_codes_of_all_processes(make_model, make_example, in_two_processes):
    """Each process has another code of the first block, and the second one alone has sound."""
    from videolm.lm.batch import Batch

    model = make_model()
    start = model.blocks[1].start

    def report(rank: int) -> dict[str, float]:
        usage = CodeUsage()
        example = make_example(3, grid=(1, 2, 3), audio=rank)
        example.ids[example.block == 1] = rank + start
        usage.add(model, Batch.collate([example]))
        return usage.report()[0]

    first, second = in_two_processes(report)
    assert first == second
    assert first["visual"] == pytest.approx(2.0) and "audio_0" in first


def test_counts_become_histograms_of_the_loggers_that_show_them(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    counts = torch.zeros(200, dtype=torch.long)
    counts[[0, 3, 199]] = torch.tensor([5, 1, 2])
    shown = []

    class Listening(WandbLogger):
        def __init__(self):
            pass

        experiment = SimpleNamespace(log=shown.append)

    board = TensorBoardLogger(tmp_path, name="", version="")
    log_histogram([board, CSVLogger(tmp_path), Listening()], "codes", counts, 7)
    board.experiment.flush()
    (event,) = EventAccumulator(str(tmp_path)).Reload().Histograms("codes")
    bars = dict(zip(event.histogram_value.bucket_limit, event.histogram_value.bucket, strict=True))
    assert event.step == 7 and event.histogram_value.num == 8 and event.histogram_value.sum == 3 + 2 * 199
    assert {limit: count for limit, count in bars.items() if count} == {3: 6, 199: 2}
    (logged,) = shown
    assert logged["trainer/global_step"] == 7 and sum(logged["codes"].histogram) == 8


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
    assert meter.report(processes=2) == {"tokens_per_second": 100.0, "mfu_percent": 30.0}


def test_peak_of_this_processor_is_measured_once():
    first = peak_flops(torch.device("cpu"), torch.float32)
    assert 1e8 < first < 1e14 and first == peak_flops(torch.device("cpu"), torch.float32)
