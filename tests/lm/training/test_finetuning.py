"""Low-rank fine-tuning: what trains, what is never made, and what is exported."""

import pytest
import torch
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.finetuning import LowRank, NewParts, add_low_rank, start_from
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.loss import loss_of
from videolm.lm.vocabulary import Vocabulary

# No activation has the shape of a matrix.
SIZES = LMConfig(dim=32, layers=2, heads=4, kv_heads=2, hidden=56, rotary_dims=(4, 2, 2), segments=4)


@pytest.fixture
def folder(vocabulary, tmp_path):
    """A base without text, the last block; its sounds were never trained."""
    older = Vocabulary(vocabulary.blocks[:-1])
    torch.manual_seed(1)
    model = PrefixLM(SIZES, older)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "heads.audio_1" not in name:
            torch.nn.init.normal_(weight, std=0.3)
    older.save(tmp_path / "vocabulary.json")
    model.save_pretrained(tmp_path / "lm")
    return tmp_path


@pytest.fixture
def named(vocabulary):
    """The vocabulary with a source of its own."""
    return Vocabulary(vocabulary.blocks, ("fine",))


@pytest.fixture
def tune(folder, named, make_batch):
    """The module after some steps, and its batch, whose second position is the source."""

    def run(steps: int, **options):
        torch.manual_seed(0)
        module = LanguageModelTraining(SIZES, named, init_from=folder, lora_rank=2, **options)
        batch = make_batch(3, 0, 2)
        batch.ids[:, 1] = named.special("fine")
        optimizer = module.make_optimizer()
        for _ in range(steps):
            loss_of(module.model, batch).total.backward()
            optimizer.step()
            optimizer.zero_grad()
        return module, batch

    return run


def test_what_the_folder_lacks_or_never_trained_is_new(folder, named):
    new = start_from(PrefixLM(SIZES, named), named, folder)
    assert new == NewParts(("heads.text", "tokens.tables.text", "heads.audio_1"), (named.special("fine"),))


def test_new_parts_train_beside_the_adapters_and_all_else_stays(tune, folder, named):
    module, _ = tune(2, table_weight_decay=0.1)
    module.export(folder / "tuned")
    tuned = PrefixLM.from_pretrained(folder / "tuned/lm", named).state_dict()
    base = PrefixLM.from_pretrained(folder / "lm", Vocabulary.load(folder / "vocabulary.json")).state_dict()
    changed = {name for name, value in base.items() if not torch.equal(value, tuned[name])}
    special = "tokens.tables.special.digits.0.weight"
    adapted = {name for name in changed if ".project_" in name}
    assert len(adapted) == 4 * SIZES.layers
    assert changed - adapted == {special, "heads.audio_1.digits.0.weight"}
    rows = (base[special] != tuned[special]).any(1).nonzero().flatten().tolist()
    assert rows == [named.special("fine")]
    fresh, _ = tune(0)
    table = "tokens.tables.text.digits.0.weight"
    assert not torch.equal(fresh.model.state_dict()[table], tuned[table])


class Shapes(TorchDispatchMode):
    """Collects the shapes of what is computed, views aside."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.seen += [each.shape for each in tree_leaves(results) if isinstance(each, torch.Tensor)]
        return results


def test_neither_changed_matrices_nor_gradients_of_frozen_ones_are_made(tune):
    module, batch = tune(1)
    names = dict(module.model.named_parameters())
    frozen = {name: weight for name, weight in names.items() if not weight.requires_grad}
    multiplied = [name for name in frozen if ".project_" in name or "heads.visual.digits" in name]
    matrices = {frozen[name].shape for name in multiplied}
    with Shapes() as shapes:
        loss_of(module.model, batch).total.backward()
    assert len(multiplied) == 4 * SIZES.layers + 2
    assert not matrices & {each for shape in shapes.seen for each in (shape, shape[::-1])}
    assert all(weight.grad is None for weight in frozen.values())


@pytest.mark.parametrize("average", [None, 0.5])
def test_the_merged_export_is_the_base_with_its_adapters(tune, folder, named, average):
    module, batch = tune(0, ema_decay=average)
    for part in module.trained.modules():
        if isinstance(part, LowRank):
            torch.nn.init.normal_(part.up, std=0.1)
    module.export(folder / "tuned")
    merged = PrefixLM.from_pretrained(folder / "tuned/lm", named)
    assert not any(is_parametrized(each) for each in merged.modules())
    with torch.no_grad():
        expected = module.trained(batch)
        torch.testing.assert_close(merged(batch), expected, rtol=1e-5, atol=1e-5)
        plain = PrefixLM(SIZES, named)
        start_from(plain, named, folder)
        assert (plain(batch) - expected).abs().max() > 0.01


def test_the_average_has_adapters_of_its_own(tune):
    module, batch = tune(1, ema_decay=0.5)
    with torch.no_grad():
        before = module.trained(batch)
        for weight in module.model.parameters():
            weight.add_(1)
        assert torch.equal(module.trained(batch), before)


def test_a_rank_of_nothing_is_refused(make_model):
    with pytest.raises(ValueError, match="lora_rank is 0; expected at least 1"):
        add_low_rank(make_model(), 0)
