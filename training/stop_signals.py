"""SIGTERM and SIGUSR1 end a training in good order: after the step, with a checkpoint of it.

Schedulers send them before they kill: SLURM at a preemption and, with `#SBATCH --signal=USR1@120`, before the
time is up; Kubernetes and torchrun when they stop a job. All processes end after the same step, whichever of
them heard the signal. Under `srun` with Lightning's SLURMEnvironment the job is put back into the queue, as
Lightning does it, at the signal that the environment names (SIGUSR1).

Lightning's own handlers are replaced while the steps are made. The one for SLURM saves inside the handler, so
in the middle of a step, to a file of its own beside last.ckpt; the one for SIGTERM calls a collective inside
the handler, which with several processes meets one of the backward pass.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from types import FrameType

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ..data.runtime.import_path import isolated_environment

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Hears the signals; Lightning puts back the former handlers when a fit ends.

    Args:
        name: of the stage, for the message.
    """

    def __init__(self, name: str):
        self.name = name
        self.heard: int | None = None

    def listen(self, trainer: Trainer) -> None:
        self.heard = None
        environment = trainer._accelerator_connector.cluster_environment
        own = environment.requeue_signal if isinstance(environment, SLURMEnvironment) else None
        if threading.current_thread() is threading.main_thread():  # no other one can
            for number in {*_SIGNALS, *(() if own is None else (own,))}:
                signal.signal(number, self._hear)

    def is_asked(self, trainer: Trainer) -> bool:
        """Whether any process has heard one; called by all processes after a step."""
        if trainer.world_size == 1:
            return self.heard is not None
        return trainer.strategy.reduce_boolean_decision(self.heard is not None, all=False)

    def end(self, trainer: Trainer) -> None:
        """End the training, whose checkpoint is on the disk; called by all processes.

        Raises:
            SIGTERMException: a SystemExit, with 128 and the number of the signal as shells have it. Of a
                process that Lightning has started itself with 0: Lightning takes any other code for a
                failure and kills the rest.
        """
        environment = trainer._accelerator_connector.cluster_environment
        heard = torch.tensor(self.heard or 0, device=trainer.strategy.root_device)
        number = int(trainer.strategy.all_gather(heard).max())
        if trainer.is_global_zero:
            name, step = signal.Signals(number).name, trainer.global_step
            said = f"stopped by {name} after step {step:,}, which is saved; the same command goes on"
            print(f"{self.name}: {said}", flush=True)
            requeue(environment, number)
        trainer.strategy.barrier()
        is_child = not environment.creates_processes_externally and trainer.local_rank > 0
        raise SIGTERMException(0 if is_child else 128 + number)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = number


def requeue(environment: ClusterEnvironment, number: int) -> bool:
    """Put the SLURM job back into the queue if Lightning would at this signal; whether that succeeded."""
    if not isinstance(environment, SLURMEnvironment) or not environment.auto_requeue:
        return False
    if number != (environment.requeue_signal or signal.SIGUSR1):
        return False
    job = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = os.environ.get("SLURM_JOB_ID", "") if job is None else f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if not re.fullmatch("[0-9_]+", job):
        print(f"SLURM_JOB_ID is {job!r}; the job is not put back into the queue", file=sys.stderr)
        return False
    try:
        command = ["scontrol", "requeue", job]
        done = subprocess.run(command, check=False, env=isolated_environment()).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        print(f"scontrol requeue {job} failed: start the job again to go on", file=sys.stderr)
    return done
