import pytest
import torch
from torch import nn

from videolm.training.gradients import clip_gradients, gradient_norm


def networks():
    """Two linear maps with gradients of norm 5 and 10."""
    made = [nn.Linear(2, 1, bias=False) for _ in range(2)]
    for network, gradient in zip(made, ([[3.0, 4.0]], [[6.0, 8.0]]), strict=True):
        network.weight.grad = torch.tensor(gradient)
    return made


def test_the_norm_is_that_of_all_gradients_together():
    first, second = networks()
    without = nn.Parameter(torch.ones(3))
    assert gradient_norm([first.weight, second.weight, without]).item() == pytest.approx(125**0.5)
    assert gradient_norm([without]) == 0


def test_each_network_is_clipped_by_itself():
    first, second = networks()
    clip_gradients([first, None, second], 5.0, "norm")
    torch.testing.assert_close(first.weight.grad, torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(second.weight.grad, torch.tensor([[3.0, 4.0]]))


def test_values_are_clipped_one_by_one():
    first, second = networks()
    clip_gradients([first, second], 5.0, "value")
    torch.testing.assert_close(second.weight.grad, torch.tensor([[5.0, 5.0]]))
    torch.testing.assert_close(first.weight.grad, torch.tensor([[3.0, 4.0]]))


@pytest.mark.parametrize("limit", [None, 0.0])
def test_without_a_limit_gradients_stay(limit):
    first, _ = networks()
    clip_gradients([first], limit, None)
    assert torch.equal(first.weight.grad, torch.tensor([[3.0, 4.0]]))
