"""Tables whose rows share bits: their start, what rows learn from each other, what is stored."""

from dataclasses import replace

import pytest
import torch

from videolm.lm.model.shared_bits import SharedBits, share_bits
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.loss import loss_of
from videolm.lm.vocabulary import Vocabulary

TINY = LMConfig(dim=32, layers=2, heads=2, kv_heads=1, hidden=64, rotary_dims=(4, 6, 6), segments=4)


def test_a_row_is_its_own_and_the_signs_of_its_digit_times_the_bits():
    torch.manual_seed(0)
    shared, own = SharedBits(torch.zeros(8, 3), std=1.0), torch.randn(8, 3)
    low, middle, high = shared.bits
    torch.testing.assert_close(shared(own)[0b101], own[0b101] + low - middle + high)


def test_heads_start_with_even_odds_and_one_code_teaches_all_rows(vocabulary, make_batch):
    torch.manual_seed(0)
    model, batch = PrefixLM(TINY, vocabulary), make_batch(3)
    share_bits(model)
    head = model.heads["visual"].digits[1]
    assert not head.weight.any()
    batch.weight *= batch.ids == batch.ids[0, 8]  # of all visual codes only this one is to be learnt
    loss_of(model, batch).mean.backward()
    assert head.parametrizations.weight[0].bits.grad.abs().sum(1).min() > 0
    assert all(parameter.grad is not None for parameter in model.heads["visual"].parameters())


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_what_is_exported_is_a_plain_model_with_the_same_loss(vocabulary, make_batch, tmp_path, ema_decay):
    torch.manual_seed(0)
    module = LanguageModelTraining(TINY, vocabulary, share_bits=True, ema_decay=ema_decay)
    module.export(tmp_path)
    plain = PrefixLM.from_pretrained(tmp_path / "lm", vocabulary)
    batch = make_batch(3)
    torch.testing.assert_close(loss_of(plain, batch).mean, loss_of(module.trained, batch).mean)
    assert not any("bits" in name for name in plain.state_dict())


def test_tables_that_were_learnt_stay_as_they_are(vocabulary, make_batch):
    torch.manual_seed(0)
    model, batch = PrefixLM(TINY, vocabulary), make_batch(3)
    for table in model.heads["visual"].digits:
        torch.nn.init.normal_(table.weight)
    before = loss_of(model, batch).mean
    share_bits(model, is_trained=True)
    torch.testing.assert_close(loss_of(model, batch).mean, before)


def test_codes_whose_bits_cannot_be_shared_are_refused(vocabulary):
    with pytest.raises(ValueError, match="share_bits needs codes of several digits"):
        share_bits(PrefixLM(replace(TINY, head="full"), vocabulary))
    model = PrefixLM(TINY, Vocabulary.of_sizes(visual=(6, 8)))
    with pytest.raises(ValueError, match=r"digits of \(6, 8\); share_bits needs powers of 2"):
        share_bits(model)
