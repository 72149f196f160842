"""The estimate of a training's memory against trainings that are really run, on a CPU."""

import weakref
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.loss import loss_of
from videolm.lm.training.memory import Plan, kept_bytes, memory_of

SIZES = LMConfig(dim=64, layers=6, heads=4, kv_heads=2, hidden=176, rotary_dims=(4, 6, 6), segments=4)


@pytest.fixture
def make_training(vocabulary):
    """On a device; "meta" is the one for estimates."""

    def make(device: str, **options) -> LanguageModelTraining:
        torch.manual_seed(0)
        with torch.device(device):
            return LanguageModelTraining(options.pop("sizes", SIZES), vocabulary, **options)

    return make


@pytest.fixture
def long_batch(make_batch) -> Batch:
    """Rows so long that attention holds no scores on a CPU either."""
    return make_batch(3, 3, grid=(4, 14, 14))


def plan_of(batch: Batch, vocabulary, **options) -> Plan:
    blocks = Counter(batch.block[batch.weight > 0].tolist())
    targets = {vocabulary.blocks[index].name: count for index, count in blocks.items()}
    return Plan(*batch.ids.shape, targets, **options)


def size(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors made inside it that are alive, and the most there ever were."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self.known:
                storage = tensor.untyped_storage()
                self.known.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.most = max(self.most, self.now)
        return results

    def _freed(self, count: int) -> None:
        self.now -= count


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": "adamw"}, {"ema_decay": 0.9}, {"lora_rank": 2}, {"share_bits": True}]
)
def test_states_are_exactly_those_of_a_real_training(options, make_training, make_batch, vocabulary):
    batch = make_batch(3, 2)
    training = make_training("cpu", **options)
    optimizer = training.make_optimizer()
    loss_of(training.model, batch).total.backward()
    optimizer.step()
    learnt = [weight for weight in training.model.parameters() if weight.requires_grad]
    states = [value for state in optimizer.state.values() for value in state.values()]
    held = memory_of(make_training("meta", **options), vocabulary, plan_of(batch, vocabulary))
    assert held["weights"] == size(training.model.state_dict().values())
    assert held["gradients"] == size(weight.grad for weight in learnt)
    assert held["optimizer"] == size(value for value in states if isinstance(value, torch.Tensor))
    average = training.average
    assert held["average of the weights"] == (0 if average is None else size(average.parameters()))


@pytest.mark.parametrize("head", ["factorized", "full"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("every", [0, 2])
def test_activations_are_within_a_tenth_of_those_kept(
    head, precision, every, make_training, long_batch, vocabulary
):
    plan = plan_of(long_batch, vocabulary, precision=precision, activation_checkpointing=every)
    options = {"sizes": replace(SIZES, head=head), "activation_checkpointing": every}
    training = make_training("cpu", **options)
    with plan.autocast():
        kept = kept_bytes(lambda: loss_of(training.model, long_batch), training.model.parameters())
    held = memory_of(make_training("meta", **options), vocabulary, plan)
    estimate = held["activations"] + held["weights in half precision"]
    assert estimate == pytest.approx(kept, rel=0.1)


@pytest.mark.parametrize("every", [0, 1])
def test_the_most_that_a_step_holds_is_between_seven_tenths_of_the_estimate_and_a_twentieth_above(
    every, make_training, long_batch, vocabulary
):
    with LiveBytes() as live:
        training = make_training("cpu", activation_checkpointing=every)
        optimizer = training.make_optimizer()
        for _ in range(2):
            loss_of(training.model, long_batch).total.backward()
            optimizer.step()
    plan = plan_of(long_batch, vocabulary, activation_checkpointing=every)
    estimate = sum(memory_of(make_training("meta"), vocabulary, plan).values())
    assert 0.7 * estimate < live.most < 1.05 * estimate


def test_processes_share_the_states_under_fsdp2_alone(make_training, make_batch, vocabulary):
    batch = make_batch(3, 2)

    def held(**options) -> dict[str, int]:
        return memory_of(make_training("meta"), vocabulary, plan_of(batch, vocabulary, **options))

    alone, ddp, fsdp2 = held(), held(devices=4), held(devices=4, strategy="fsdp2")
    for name in ("weights", "gradients", "optimizer"):
        assert ddp[name] == alone[name]
        assert fsdp2[name] == -(-alone[name] // 4)
    assert alone["activations"] == ddp["activations"] == fsdp2["activations"]
    assert ddp["buckets of gradients"] == ddp["gradients"]
    assert fsdp2["gathered weights"] > 0
