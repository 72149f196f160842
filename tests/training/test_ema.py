import pytest
from torch import nn

from videolm.training.ema import averaged


def test_the_decay_rises_from_a_tenth_to_the_one_that_is_set():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = averaged(network, decay=0.25)
    expected = 0.0
    # AveragedModel copies the weights the first time it is updated; (1 + n) / (10 + n) is the n-th decay.
    for step, decay in enumerate((0.0, 2 / 11, 0.25, 0.25)):
        nn.init.constant_(network.weight, step + 1.0)
        average.update_parameters(network)
        expected = decay * expected + (1 - decay) * (step + 1)
        assert average.module.weight.item() == pytest.approx(expected)


def test_the_average_is_not_trained():
    assert not any(each.requires_grad for each in averaged(nn.Linear(2, 2), 0.9).parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay of the averaged weights"):
        averaged(nn.Linear(2, 2), decay)
