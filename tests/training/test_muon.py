"""Muon: its orthogonalisation, its steps, and AdamW for the rest."""

import pytest
import torch
from torch import nn

from videolm.training.muon import _TOGETHER, Groups, Muon, orthogonalized, parameter_groups


# Square, and wide enough that only the product with its transpose is iterated.
@pytest.mark.parametrize("shape", [(24, 60), (60, 24), (32, 32), (24, 240), (240, 24)])
def test_orthogonalized_keeps_directions_and_levels_their_strength(shape):
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape) * torch.logspace(0, -2, shape[1])
    for matrix, result in zip(matrices, orthogonalized(matrices), strict=True):
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        levelled = left.T @ result @ right.T
        strengths = levelled.diagonal()
        assert (levelled - strengths.diag()).abs().max() < 1e-4
        assert strengths[: min(shape) // 2].min() > 0.6 and strengths.max() < 1.3


def test_matrices_of_one_shape_take_the_steps_that_each_takes_alone(monkeypatch):
    """However many are orthogonalised together."""
    torch.manual_seed(0)
    shapes = [(6, 4), (4, 4), (6, 4), (6, 4), (4, 4)]
    gradients = [[torch.randn(shape) for shape in shapes] for _ in range(3)]
    results = []
    for together in (1, 50, 1000):
        monkeypatch.setitem(_TOGETHER, "cpu", together)
        weights = [nn.Parameter(torch.ones(shape)) for shape in shapes]
        optimizer = Muon(Groups(weights, []), weight_decay=0.1)
        for step in gradients:
            for weight, gradient in zip(weights, step, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
        results.append(weights)
    for one, *others in zip(*results, strict=True):
        for other in others:
            torch.testing.assert_close(one, other)


def test_what_is_no_matrix_follows_adam():
    torch.manual_seed(0)
    ours, theirs = nn.Parameter(torch.randn(7)), nn.Parameter(torch.zeros(7))
    theirs.data.copy_(ours.data)
    muon = Muon(Groups([], [ours]), adam_learning_rate=0.1, betas=(0.9, 0.95))
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.95))
    for _ in range(5):
        for parameter, optimizer in ((ours, muon), (theirs, adam)):
            optimizer.zero_grad()
            (parameter.cos() * torch.arange(7)).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_a_convolution_is_one_matrix_of_output_by_fan_in():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    optimizer = Muon(parameter_groups([model[0]], model), learning_rate=1.0, momentum=0.0)
    before = model[0].weight.detach().clone()
    model(torch.randn(4, 3, 6, 6)).square().sum().backward()
    gradient = model[0].weight.grad.clone()
    optimizer.step()
    update = (before - model[0].weight.detach()).flatten(1)
    # Where the processor has instructions for it, the products are made in bfloat16.
    torch.testing.assert_close(update, orthogonalized(gradient.flatten(1)[None])[0], atol=0.05, rtol=0.0)


def test_groups_hold_every_parameter_once():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    matrices, others, _ = parameter_groups([model[0]], model)
    assert len(matrices) == 1 and matrices[0] is model[0].weight
    assert {id(each) for each in (*matrices, *others)} == {id(each) for each in model.parameters()}


def test_weight_decay_shrinks_matrices_only():
    model = nn.Linear(4, 4)
    optimizer = Muon(parameter_groups([model], model), learning_rate=0.1, weight_decay=0.5)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before["weight"] * 0.95)
    torch.testing.assert_close(model.bias.detach(), before["bias"])
