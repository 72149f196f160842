"""Clips for a video tokenizer that will also code masked ones: `videolm tokenizer fit --data.masked 0.5`.

Painting tasks encode clips with a padded hole or border (conditions.py). A tokenizer with a small codebook
that was not trained on such clips reconstructs the known pixels beside the padding badly.
"""

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from ...data.loading.clip_datamodule import ClipDataModule
from ...data.loading.clip_dataset import Item
from ...data.media.clip import Clip
from ..conditions import Material, Painting, seeded
from ..task import tasks_named


class TokenizerDataModule(ClipDataModule):
    """Batches of clips, of which a share is masked and padded as painting tasks show them.

    Clips to validate on stay whole.

    Args:
        masked: share of the training clips; each is shown as one of the painting tasks would show it.
        pad: "task=black", grey, white or edge: what stands for unknown pixels, as in `videolm encode --pad`.

    Raises:
        ValueError: if the share is outside [0, 1], or a pad is for no painting task.
    """

    def __init__(self, masked: float = 0.0, pad: list[str] | None = None, **settings: Any):
        super().__init__(**settings)
        if not 0 <= masked <= 1:
            raise ValueError(f"masked is {masked}; expected a share from 0 to 1")
        self.masked = masked
        tasks = tasks_named("all", pad or [])
        self.paintings = [task.conditions for task in tasks if isinstance(task.conditions, Painting)]

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        if self.masked and stage != "validate":
            self.training = [
                MaskedClips(clips, self.masked, self.paintings, f"{self.seed} {number}")
                for number, clips in enumerate(self.training)
            ]

    def export(self, folder: str | Path) -> None:
        """Write into the tokenizer of a model folder which clips it was trained on."""
        self.trained_clips.save(Path(folder) / "video_tokenizer")


class MaskedClips(Dataset):
    """Clips of which a share is masked, each by a pure function of `name` and the number of its draw.

    Args:
        clips: maps the number of a draw to an item.
        paintings: the ways to mask a clip, all equally often.
    """

    def __init__(self, clips: Dataset, share: float, paintings: list[Painting], name: str):
        self.clips, self.share, self.paintings, self.name = clips, share, paintings, name

    def __getitem__(self, draw: int) -> Item:
        item = self.clips[draw]
        generator = seeded("masked", self.name, draw)
        if torch.rand((), generator=generator) >= self.share:
            return item
        painting = self.paintings[int(torch.randint(len(self.paintings), (), generator=generator))]
        (variant,) = painting(Material(Clip(item["frames"], fps=1)), generator).values()
        return item | {"frames": variant.frames}
