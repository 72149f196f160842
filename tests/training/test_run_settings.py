"""What may change when a training goes on, and how the rest is refused."""

from pathlib import Path

import pytest

from videolm.training.run_settings import (
    Kind,
    check_names,
    compared,
    kind_of,
    num_devices,
    refuse_changed,
)

BEFORE = {"model": {"compile": False, "tokenizer": {"bits": 4}}, "trainer": {"devices": 1, "max_steps": 5}}


def changed(**other) -> list[str]:
    allowed = other.pop("allowed", [])
    return refuse_changed(Path("run"), compared(BEFORE), compared({**BEFORE, **other}), allowed)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("data.num_workers", Kind.FREE),
        ("trainer.log_every_n_steps", Kind.FREE),
        ("trainer.max_steps", Kind.FREE),
        ("checkpoint_minutes", Kind.FREE),
        ("model.compile", Kind.FREE),
        ("model.activation_checkpointing", Kind.FREE),
        ("data.shards", Kind.FREE),
        ("data.batch_size", Kind.RUN),
        ("model.learning_rate", Kind.RUN),
        ("trainer.gradient_clip_val", Kind.RUN),
        ("seed_everything", Kind.RUN),
        ("trainer.precision", Kind.MACHINE),
        ("trainer.accumulate_grad_batches", Kind.MACHINE),
        ("trainer.strategy.init_args.tensor_parallel_size", Kind.MACHINE),
    ],
)
def test_every_setting_has_its_kind(name, kind):
    assert kind_of(name) is kind


def test_what_changes_nothing_may_change():
    assert changed(model={"compile": True, "tokenizer": {"bits": 4}}) == []
    assert changed(trainer={"devices": "1", "max_steps": 9}) == []


def test_the_rest_is_refused_by_name_with_the_option_that_allows_it():
    with pytest.raises(ValueError, match=r"r\.bits 4, now 8: .*--force-settings model\.tokenizer\.bits$"):
        changed(model={"compile": False, "tokenizer": {"bits": 8}})
    with pytest.raises(ValueError, match=r"trainer\.devices 1, now 2: .*--force-settings trainer\.devices$"):
        changed(trainer={"devices": 2, "max_steps": 5})


@pytest.mark.parametrize("allowed", ["model.tokenizer.bits", "model.tokenizer", "model"])
def test_what_is_named_or_in_a_named_group_is_allowed_and_told(allowed):
    model = {"compile": False, "tokenizer": {"bits": 8}}
    assert changed(model=model, allowed=[allowed]) == ["model.tokenizer.bits 4, now 8"]
    with pytest.raises(ValueError, match=r"made with trainer\.devices 1, now 2: "):
        changed(model=model, trainer={"devices": 2}, allowed=[allowed])


def test_a_name_that_is_no_setting_is_refused_with_what_may_be_meant():
    check_names(["model", "data.batch_size"], {"model.dim", "data.batch_size"})
    with pytest.raises(ValueError, match=r"names data\.batchsize, .*; did you mean data\.batch_size\?"):
        check_names(["data.batchsize"], {"data.batch_size"})


@pytest.mark.parametrize(("said", "number"), [(2, 2), ("2", 2), ([0, 1], 2), ("0,1", 2), ("0,", 1)])
def test_devices_are_compared_by_their_number(said, number):
    assert num_devices(said) == number
