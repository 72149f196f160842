import copy

import pytest
import torch
import torch.nn.functional as F

from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.quantized import Int8Linear, quantize
from videolm.lm.decoding.sampling import DrawSettings


@pytest.mark.parametrize("rows", [1, 2, 16, 17])
@pytest.mark.parametrize("classes", [5, 64])
def test_a_product_with_int8_weights_is_off_by_at_most_two_percent(rows, classes):
    torch.manual_seed(0)
    linear = torch.nn.Linear(48, classes, bias=False)
    features = torch.randn(2, rows, 48)[:1]
    exact, quantized = linear(features), Int8Linear(linear)(features)
    assert quantized.dtype == torch.float32
    assert (quantized - exact).norm() / exact.norm() < 0.02
    assert not torch.equal(quantized, exact)


def test_a_position_gets_the_same_whatever_is_beside_it():
    torch.manual_seed(0)
    layer = Int8Linear(torch.nn.Linear(48, 40, bias=False))
    features = torch.randn(70, 48)
    alone = torch.cat([layer(row[None]) for row in features])
    for count in (2, 7, 16, 17, 33, 70):
        for start in range(0, 70 - count + 1, count):
            rows = slice(start, start + count)
            assert torch.equal(layer(features[rows]), alone[rows])


def test_a_weight_is_off_by_at_most_a_254th_of_its_rows_largest():
    linear = torch.nn.Linear(32, 8, bias=False)
    quantized = Int8Linear(linear)
    error = (quantized.weight * quantized.scale[:, None] - linear.weight).abs()
    assert (error <= linear.weight.abs().amax(1, keepdim=True) / 254 * 1.0001).all()
    assert torch.equal(Int8Linear(_zero(linear))(torch.ones(1, 32)), torch.zeros(1, 8))


def test_probabilities_of_an_int8_model_stay_within_a_bound(make_model, make_batch):
    """Total variation below 0.05 at every position of a model whose probabilities are far from uniform."""
    model, batch = make_model(), make_batch(3, 5)
    small = quantize(copy.deepcopy(model))
    with torch.no_grad():
        exact, near = (
            each.heads["visual"].logits(each(batch).flatten(0, 1)).softmax(-1) for each in (model, small)
        )
    assert 0 < (exact - near).abs().sum(-1).max() / 2 < 0.05
    assert exact.max() > 0.6


def test_all_matrices_of_layers_and_heads_are_quantized(make_model, make_batch):
    model = quantize(make_model())
    parts = torch.nn.ModuleList([model.layers, model.heads])
    assert not any(isinstance(module, torch.nn.Linear) for module in parts.modules())
    assert sum(isinstance(module, Int8Linear) for module in parts.modules()) == 8 + 3 + 3
    batch = make_batch(3)
    ids = generate(model, batch, DrawSettings(), [torch.Generator().manual_seed(0)])
    assert ids.shape == batch.ids.shape


def test_an_int8_model_is_not_saved(make_model, tmp_path):
    with pytest.raises(ValueError, match="save it before"):
        quantize(make_model()).save_pretrained(tmp_path / "lm")


def test_the_kernel_is_the_product_that_it_should_be():
    """bfloat16 activations, int8 weights, bfloat16 scales, summed in float32."""
    torch.manual_seed(0)
    layer = Int8Linear(torch.nn.Linear(64, 32, bias=False))
    features = torch.randn(3, 64)
    weight = layer.weight.float() * layer.kernel_scale.float()[:, None]
    expected = F.linear(features.bfloat16().float(), weight)
    torch.testing.assert_close(layer(features), expected, rtol=2**-7, atol=1e-3)


def _zero(linear):
    torch.nn.init.zeros_(linear.weight)
    return linear
