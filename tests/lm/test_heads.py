import pytest
import torch
import torch.nn.functional as F

from videolm.lm.heads import Head, linear_cross_entropy
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


@pytest.mark.parametrize("logits_at_once", [1, 40, 10_000])
def test_chunked_cross_entropy_and_its_gradients_are_the_plain_ones(logits_at_once):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(11, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(13, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 13, (11,), generator=generator)
    weight = torch.rand(11, generator=generator, dtype=torch.float64)
    plain = (F.cross_entropy(hidden @ matrix.T, target, reduction="none") * weight).sum()
    expected = torch.autograd.grad(3 * plain, (hidden, matrix))
    total, nats = linear_cross_entropy(hidden, matrix, target, weight, logits_at_once)
    torch.testing.assert_close(total, plain)
    torch.testing.assert_close((weight * nats).sum(), plain)
    for gradient, exact in zip(torch.autograd.grad(3 * total, (hidden, matrix)), expected, strict=True):
        torch.testing.assert_close(gradient, exact)


def test_cross_entropy_holds_no_more_logits_than_told(monkeypatch):
    sizes = []
    log_softmax = torch.Tensor.log_softmax

    def watched(logits, dim):
        sizes.append(logits.numel())
        return log_softmax(logits, dim)

    monkeypatch.setattr(torch.Tensor, "log_softmax", watched)
    linear_cross_entropy(
        torch.zeros(100, 4), torch.zeros(50, 4), torch.zeros(100).long(), torch.ones(100), 500
    )
    assert sizes == [500] * 10


def test_loss_without_rows_is_zero_and_reaches_every_weight():
    head = random_head((3, 4))
    no_codes = torch.zeros(0, dtype=torch.long)
    total, nats = head.loss(torch.zeros(0, 6), (no_codes, no_codes), torch.zeros(0))
    total.backward()
    assert total.item() == 0 and nats.shape == (0,)
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())
