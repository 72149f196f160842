"""Which number format a machine multiplies faster in."""

import pytest
import torch

from videolm.training import precision


@pytest.fixture(autouse=True)
def asked_anew():
    precision.has_fast_bfloat16.cache_clear()
    yield
    precision.has_fast_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "times_faster", "expected"),
    [
        (True, True, 0.5, "bf16-mixed"),
        (False, True, 4.5, "bf16-mixed"),
        (False, True, 0.5, "32-true"),
        (False, False, 4.5, "32-true"),
    ],
)
def test_a_cpu_without_amx_is_timed(monkeypatch, amx, avx512_bf16, times_faster, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    seconds = {torch.float32: times_faster, torch.bfloat16: 1.0}
    monkeypatch.setattr(precision, "_seconds", lambda dtype: seconds[dtype])
    monkeypatch.setattr(precision, "device_of", lambda: torch.device("cpu"))
    assert precision.faster_precision() == expected


def test_a_product_takes_time():
    assert 0 < precision._seconds(torch.float32) < 10
