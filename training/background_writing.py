"""Checkpoints written in a thread while the training goes on, by Lightning's AsyncCheckpointIO."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import AsyncCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor


class BackgroundCheckpointIO(AsyncCheckpointIO):
    """Copies a checkpoint to the host's memory and has a thread write it with another CheckpointIO.

    Lightning's own copies on the GPU, where there is no room for a second set of weights and moments; it
    takes any number of checkpoints at once; and it tells of a failure when the next one is saved, or at the
    end. Here a second one waits for the first, and `wait` raises what the writing has raised.
    """

    _written: Future[None] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        self.wait()
        assert self.checkpoint_io is not None
        copy = apply_to_collection(checkpoint, Tensor, _on_host)
        self._ensure_setup()
        assert self._executor is not None
        write = self.checkpoint_io.save_checkpoint
        self._written = self._executor.submit(write, copy, path, storage_options)

    @property
    def is_writing(self) -> bool:
        return self._written is not None and not self._written.done()

    def wait(self) -> None:
        """Until the checkpoint is on the disk.

        Raises:
            OSError: and whatever else the writing has raised.
        """
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def teardown(self) -> None:
        try:
            self.wait()
        finally:
            super().teardown()


def _on_host(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)
