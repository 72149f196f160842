"""Who starts the processes of a training under SLURM, and which strategy shards."""

from argparse import Namespace

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from videolm.training.strategies import FSDP2Strategy, environment_of, is_fsdp2

VARIABLES = (
    "NTASKS",
    "NTASKS_PER_NODE",
    "NNODES",
    "STEP_NUM_TASKS",
    "PROCID",
    "LOCALID",
    "NODEID",
    "JOB_NAME",
)


@pytest.fixture
def slurm(monkeypatch):
    def set_variables(**values: object) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(f"SLURM_{name}", raising=False)
        for name, value in values.items():
            monkeypatch.setenv(f"SLURM_{name}", str(value))

    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    set_variables()
    return set_variables


def test_an_allocation_without_srun_is_like_any_machine(slurm):
    assert environment_of(1, 1) is None
    slurm(NTASKS=4, NNODES=1)
    assert isinstance(environment_of(1, 1), LightningEnvironment)
    slurm(NTASKS=4, STEP_NUM_TASKS=1, PROCID=0)
    assert isinstance(environment_of(4, 1), LightningEnvironment)
    slurm(NTASKS=4, STEP_NUM_TASKS=4, JOB_NAME="interactive")
    assert isinstance(environment_of(1, 1), LightningEnvironment)


def test_processes_of_srun_train_together(slurm, monkeypatch):
    slurm(NTASKS=8, NTASKS_PER_NODE=4, NNODES=2, STEP_NUM_TASKS=8)
    for devices in (4, "4", "auto"):
        assert isinstance(environment_of(devices, 2), SLURMEnvironment)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert environment_of(8, 1) is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NTASKS": 4, "STEP_NUM_TASKS": 4}, "give srun --ntasks-per-node, or --ntasks=1"),
        (
            {"NTASKS": 4, "STEP_NUM_TASKS": 4, "NTASKS_PER_NODE": 4},
            "give --trainer.devices 4 --trainer.num_nodes 1",
        ),
        (
            {"NTASKS": 8, "STEP_NUM_TASKS": 8, "NTASKS_PER_NODE": 4},
            "give --trainer.devices 4 --trainer.num_nodes 2",
        ),
    ],
)
def test_another_number_of_processes_is_refused_with_the_way_out(variables, message, slurm):
    slurm(**variables)
    with pytest.raises(ValueError, match=message):
        environment_of(1, 1)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("fsdp2", True),
        (Namespace(class_path="videolm.training.strategies.FSDP2Strategy"), True),
        (FSDP2Strategy(), True),
        ("ddp", False),
        (Namespace(class_path="lightning.pytorch.strategies.DDPStrategy"), False),
    ],
)
def test_the_sharding_strategy_is_known_before_it_is_made(setting, expected):
    assert is_fsdp2(setting) == expected
