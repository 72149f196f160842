"""The body and the attention that generation uses, against those that training uses."""

import pytest
import torch

from videolm.lm.decoding import cache
from videolm.lm.decoding.cache import attention_of_last, grouped_attention
from videolm.lm.decoding.inference import InferenceBody
from videolm.lm.model.attention import masked_attention
from videolm.lm.model.prefix_attention import MaskedAttention


def embedded(model, batch):
    return model.tokens(batch.ids, batch.block) + model.place(batch)


@pytest.mark.parametrize("wanted", [1, 3, 22])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_lean_body_is_the_models_body(make_model, make_batch, wanted, dtype):
    model, batch = make_model().to(dtype), make_batch(5, 5)
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    body, attend = InferenceBody(model), MaskedAttention(batch)
    turn = body.turn(model.rotation(batch.coordinates))

    def of_last(layer, queries, keys, values):
        missing = keys.shape[2] - queries.shape[2]
        whole = torch.nn.functional.pad(queries, (0, 0, missing, 0))
        return attend(layer, whole, keys, values)[:, :, missing:]

    with torch.no_grad():
        lean = body(embedded(model, batch), turn, of_last, wanted)
        plain = model(batch)[:, -wanted:]
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.3}[dtype]
    torch.testing.assert_close(lean, plain, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize(("queries", "prefix"), [(12, 5), (12, 12), (12, 0), (4, 0), (1, 0), (9, 5)])
@pytest.mark.parametrize("hidden", [0, 2])
def test_attention_some_queries_at_a_time_is_masked_attention(kv_heads, queries, prefix, hidden):
    generator = torch.Generator().manual_seed(0)
    read = torch.randn(2, 4, queries, 8, generator=generator, dtype=torch.float64)
    keys, values = torch.randn(2, 2, kv_heads, 12, 8, generator=generator, dtype=torch.float64)
    position = torch.arange(12)
    mask = (position <= position[:, None]) | ((position < prefix) & (position[:, None] < prefix))
    visible = (position >= torch.tensor([0, hidden])[:, None])[:, None, None]
    mask = (mask & visible)[:, :, -queries:]
    expected = masked_attention(read, keys, values, mask)
    for size in (1, 3, 512):
        found = attention_of_last(read, keys, values, prefix, visible if hidden else None, size)
        shown = mask.any(-1).expand(-1, 4, -1)  # a column before its row sees nothing: of no account
        torch.testing.assert_close(found[shown], expected[shown])


def test_what_a_kernel_gives_may_lie_in_any_order_of_memory(monkeypatch):
    """On GPUs the one for float32 gives a position's heads side by side."""
    generator = torch.Generator().manual_seed(0)
    read = torch.randn(2, 4, 3, 8, generator=generator)
    keys, values = torch.randn(2, 2, 2, 12, 8, generator=generator)
    expected = grouped_attention(read, keys, values, None)

    def side_by_side(*given):
        return masked_attention(*given).transpose(1, 2).contiguous().transpose(1, 2)

    monkeypatch.setattr(cache, "masked_attention", side_by_side)
    torch.testing.assert_close(grouped_attention(read, keys, values, None), expected)
