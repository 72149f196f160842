import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from videolm.lm.model.heads import Head, linear_cross_entropy
from videolm.lm.vocabulary import Block


def random_head(factors, dim=6):
    torch.manual_seed(0)
    head = Head(factors, dim)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return head


def log_probabilities(head, factors, hidden):
    """Of every code, by walking through all digits."""
    block = Block("visual", 0, factors)
    table = []
    for code in range(block.size):
        digits = [digit.expand(len(hidden)) for digit in block.split(torch.tensor(code))]
        terms = [
            head.logits(hidden, digits[:k]).log_softmax(-1).gather(1, digits[k][:, None])
            for k in range(len(factors))
        ]
        table.append(torch.stack(terms).sum(0))
    return torch.cat(table, 1)


@pytest.mark.parametrize("factors", [(12,), (3, 4), (2, 3, 4)])
def test_probabilities_of_all_codes_sum_to_one(factors):
    hidden = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    table = log_probabilities(random_head(factors), factors, hidden)
    torch.testing.assert_close(table.exp().sum(1), torch.ones(5))


@pytest.mark.parametrize("factors", [(12,), (3, 4), (2, 3, 4)])
def test_loss_is_the_negative_log_probability_of_the_code(factors):
    head = random_head(factors)
    hidden = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    block = Block("visual", 0, factors)
    codes = torch.tensor([0, 5, block.size - 1, 3, 2])
    weight = torch.tensor([1.0, 0.0, 2.0, 0.5, 1.0])
    total, nats = head.loss(hidden, block.split(codes), weight)
    expected = -log_probabilities(head, factors, hidden).gather(1, codes[:, None]).squeeze(1)
    torch.testing.assert_close(nats, expected)
    torch.testing.assert_close(total, (weight * expected).sum())


def test_a_later_digit_depends_on_the_joint_of_hidden_state_and_digit():
    """Exclusive or: neither hidden state nor first digit, nor any sum of both, tells the second digit."""
    torch.manual_seed(0)
    head = Head((2, 2), 8)
    hidden = torch.tensor([[1.0] * 8, [-1.0] * 8]).repeat_interleave(2, 0)
    first = torch.tensor([0, 1, 0, 1])
    second = torch.tensor([0, 1, 1, 0])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(hidden, (first, second), torch.ones(4))[0].backward()
        optimizer.step()
    assert torch.equal(head.logits(hidden, [first]).argmax(-1), second)


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("logits_at_once", [1, 40, 10_000])
def test_chunked_cross_entropy_and_its_gradients_are_the_plain_ones(logits_at_once, z_loss):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(11, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(13, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 13, (11,), generator=generator)
    weight = torch.rand(11, generator=generator, dtype=torch.float64)
    logits = hidden @ matrix.T
    expected_nats = F.cross_entropy(logits, target, reduction="none")
    plain = ((expected_nats + z_loss * logits.logsumexp(-1).square()) * weight).sum()
    expected = torch.autograd.grad(3 * plain, (hidden, matrix))
    total, nats = linear_cross_entropy(hidden, matrix, target, weight, z_loss, logits_at_once)
    torch.testing.assert_close(total, plain)
    torch.testing.assert_close(nats, expected_nats.detach())
    for gradient, exact in zip(torch.autograd.grad(3 * total, (hidden, matrix)), expected, strict=True):
        torch.testing.assert_close(gradient, exact)


def test_cross_entropy_keeps_huge_logits_finite():
    hidden = torch.tensor([[1e4, 0.0], [0.0, -1e4]], requires_grad=True)
    total, nats = linear_cross_entropy(hidden, torch.eye(2), torch.tensor([0, 0]), torch.ones(2))
    total.backward()
    torch.testing.assert_close(nats, torch.zeros(2))
    assert hidden.grad.isfinite().all()


class LargestTensor(TorchDispatchMode):
    """Notes the most elements of any result while it is on."""

    size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, torch.Tensor):
                self.size = max(self.size, each.numel())
        return result


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_no_tensor_is_as_large_as_all_logits(z_loss):
    hidden, matrix = (torch.randn(size, 4, requires_grad=True) for size in (200, 64))
    with LargestTensor() as largest:
        total, _ = linear_cross_entropy(
            hidden, matrix, torch.zeros(200).long(), torch.ones(200), z_loss, logits_at_once=512
        )
        total.backward()
    assert largest.size == hidden.numel() < 200 * 64


def test_probabilities_of_all_2_to_the_18_codes_sum_to_one():
    """With the 9 + 9 bits of VideoPoet's codes, and with 6 + 12."""
    hidden = torch.randn(1, 6, generator=torch.Generator().manual_seed(1))
    for factors in ((512, 512), (64, 4096)):
        head = random_head(factors)
        low = torch.arange(factors[0])
        first = head.logits(hidden).log_softmax(-1)[0]
        second = head.logits(hidden.expand(len(low), -1), [low]).log_softmax(-1)
        joint = first[:, None] + second
        assert joint.numel() == 2**18
        torch.testing.assert_close(joint.exp().sum(), torch.tensor(1.0))


def test_loss_without_rows_is_zero_and_reaches_every_weight():
    head = random_head((3, 4))
    no_codes = torch.zeros(0, dtype=torch.long)
    total, nats = head.loss(torch.zeros(0, 6), (no_codes, no_codes), torch.zeros(0))
    total.backward()
    assert total.item() == 0 and nats.shape == (0,)
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())
