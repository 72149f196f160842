"""Random choices of a training step that follow from its number, so that a resumed run makes the same ones.

    place = place_of(module, batch_idx)                         # step and batch in the step
    generator = step_generator(seed, *place, rank, device)
    torch.rand(4, generator=generator, device=device)

    with drawing_from(step_seed(seed, *place), device):         # libraries that take no generator
        quantizer(latents)

A checkpoint need not hold the state of a generator, and what draws beside a step (validation, pictures, a
library) changes nothing of it.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning import LightningModule


def place_of(module: LightningModule, batch_idx: int) -> tuple[int, int]:
    """Optimizer steps made before, and the number of this batch among those accumulated to the next one."""
    trainer = module._trainer
    return module.global_step, 0 if trainer is None else batch_idx % trainer.accumulate_grad_batches


def step_seed(seed: int, step: int, micro_batch: int = 0, rank: int = 0) -> int:
    """A seed of 63 bits.

    Args:
        seed: of the run.
        step: optimizer steps made before.
        micro_batch: number of the batch among those that are accumulated to a step.
        rank: of the process; 0 for what all processes have to draw alike.
    """
    digest = hashlib.sha256(f"{seed} {step} {micro_batch} {rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def step_generator(
    seed: int, step: int, micro_batch: int = 0, rank: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator that is seeded with `step_seed`."""
    return torch.Generator(device).manual_seed(step_seed(seed, step, micro_batch, rank))


@contextmanager
def drawing_from(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """The global generators, torch's of the CPU and a GPU and Python's, start from `seed` in the block.

    Afterwards they are as they were before.
    """
    devices = [device] if torch.device(device).type == "cuda" else []
    python = random.getstate()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
