import torch

from videolm.training.footprint import checkpoint_bytes, peak_bytes
from videolm.training.group_report import group_report


def stepped() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    layers = torch.nn.Linear(64, 512), torch.nn.BatchNorm1d(512), torch.nn.Linear(512, 8)
    network = torch.nn.Sequential(*layers)
    groups = [
        {"params": [each.weight for each in network], "name": "weights", "lr": 0.5},
        {"params": [each.bias for each in network], "lr": 0.25},
    ]
    optimizer = torch.optim.AdamW(groups)
    network(torch.randn(4, 64)).square().sum().backward()
    optimizer.step()
    return network, optimizer


def test_a_checkpoint_is_about_as_large_as_foretold(tmp_path):
    network, optimizer = stepped()
    states = {"state_dict": network.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    torch.save(states, tmp_path / "checkpoint")
    foretold = checkpoint_bytes(network, [optimizer])
    assert 0.9 < foretold / (tmp_path / "checkpoint").stat().st_size <= 1


def test_memory_is_at_least_that_of_a_tensor():
    held = torch.ones(2**22)
    assert peak_bytes(held.device) > held.numel() * 4


def test_groups_report_their_rates_and_the_norms_of_their_gradients():
    network, optimizer = stepped()
    report = group_report(optimizer, scale=2.0)
    weights = torch.cat([each.weight.grad.flatten() for each in network]).norm().item()
    kinds, names = ("learning_rate", "gradient_norm"), ("weights", "1")
    assert report.keys() == {f"{kind}/{name}" for kind in kinds for name in names}
    assert report["learning_rate/weights"] == 0.5 and report["learning_rate/1"] == 0.25
    assert abs(report["gradient_norm/weights"] - 2 * weights) < 1e-3 * weights
