"""Models in forked processes.

PyTorch's threads are those of OpenMP, which do not survive a fork: a child that asks for them waits for ever
(GNU libgomp, GCC bug 58378). A child with one thread does not ask.
"""

import os
from functools import cache

import torch


@cache
def survive_forks() -> None:
    """From now on a process that is forked off this one computes with one thread, instead of hanging."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
