"""Lightning strategies: how the processes of a training divide the model among them.

    --trainer.devices 8 --trainer.strategy ddp      each holds the whole model
    --trainer.devices 8 --trainer.strategy fsdp2    each holds an eighth of it

trainer:
  strategy:                                         # fsdp2 with products divided inside groups of four
    class_path: videolm.training.strategies.FSDP2Strategy
    init_args: {tensor_parallel_size: 4}
"""

import os
from typing import Any

from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy


class FSDP2Strategy(ModelParallelStrategy):
    """Weights, gradients and optimizer states divided among all processes.

    A checkpoint is a folder to which each process writes its part; a training can be resumed from it on any
    number of processes. The exported model is the same folder as without this strategy.

    Args:
        tensor_parallel_size: processes of a group that share the same batch and divide its matrix products;
            the number of all processes must be a multiple.
    """

    def __init__(self, tensor_parallel_size: int = 1):
        super().__init__(tensor_parallel_size=tensor_parallel_size)
        self.group = tensor_parallel_size

    def setup_environment(self) -> None:
        processes = self.num_nodes * self.num_processes
        if self.group < 1 or processes % self.group:
            raise ValueError(
                f"tensor_parallel_size is {self.group}; the {processes} processes are not a multiple of it"
            )
        self._data_parallel_size = processes // self.group
        super().setup_environment()


def strategy_of(setting: Any) -> Any:
    """Lightning's name of a strategy or an object, with our `fsdp2` among the names."""
    return FSDP2Strategy() if setting == "fsdp2" else setting


def is_fsdp2(setting: Any) -> bool:
    """Whether a trainer's setting, a name, a class with its arguments or an object, is `FSDP2Strategy`."""
    if isinstance(setting, FSDP2Strategy):
        return True
    name = setting if isinstance(setting, str) else getattr(setting, "class_path", "")
    return name == "fsdp2" or name.rsplit(".", 1)[-1] == FSDP2Strategy.__name__


def environment_of(devices: Any, num_nodes: int) -> ClusterEnvironment | None:
    """Who starts the processes under SLURM: `srun` if it has started several, else Lightning as anywhere.

    The variables of an allocation (salloc, sbatch) say how many tasks it has room for, not that this process
    is one of many. None leaves the choice to Lightning: outside of SLURM, and under torchrun.

    Raises:
        ValueError: if srun started another number of processes than the training is to have.
    """
    if "SLURM_NTASKS" not in os.environ or TorchElasticEnvironment.detect():
        return None
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks == 1 or SLURMEnvironment.job_name() in ("bash", "interactive"):
        return LightningEnvironment()
    per_node = os.environ.get("SLURM_NTASKS_PER_NODE")
    if per_node is None:
        raise ValueError(
            f"srun started {tasks} processes without saying how many on each node: "
            "give srun --ntasks-per-node, or --ntasks=1 for a single process"
        )
    if str(devices) not in (per_node, "auto", "-1") or tasks != int(per_node) * num_nodes:
        raise ValueError(
            f"srun started {tasks} processes, {per_node} on each node; the training is to have {devices} "
            f"on each of {num_nodes}: give --trainer.devices {per_node} --trainer.num_nodes "
            f"{-(-tasks // int(per_node))}, or srun --ntasks=1 for a single process"
        )
    return SLURMEnvironment()


def data_rank(trainer: Trainer | None) -> tuple[int, int]:
    """(rank, number) of this process among those that read different batches.

    The processes of a tensor-parallel group read the same ones.
    """
    if trainer is None:
        return 0, 1
    if isinstance(trainer.strategy, ModelParallelStrategy):
        place = trainer.strategy.distributed_sampler_kwargs
        return place["rank"], place["num_replicas"]
    return trainer.global_rank, trainer.world_size
