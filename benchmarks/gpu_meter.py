"""How `benchmarks.gpu` times and reports, and the bodies, sequences and batches that it takes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from videolm.cli.config_files import read_config
from videolm.data.media.timing import audio_step
from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.layout import Layout
from videolm.tasks.spans import Lengths
from videolm.tasks.task import AUDIO_OUTPUT, VIDEO_OUTPUT, Task

from .measuring import ROOT

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TEXT = 48
VIDEO = Task(name="text_to_video", token="VIDEO", text="required", outputs=(VIDEO_OUTPUT,))
BOTH = Task(name="video_and_sound", token="VIDEO", text="required", outputs=(VIDEO_OUTPUT, AUDIO_OUTPUT))
_TINY = {"dim": 64, "layers": 2, "heads": 4, "kv_heads": 2, "hidden": 96, "rotary_dims": [4, 4, 4]}
_ROWS_OF_TABLE = 15


@dataclass(frozen=True)
class Meter:
    """
    Args:
        lock: file that is locked while something is timed.
        tiny: sizes for trying a command out.
        profile: file that tables of kernels are added to.
    """

    lock: Path | None
    tiny: bool
    profile: Path | None

    def report(self, **record: Any) -> None:
        """Print one measurement, numbers to four digits."""
        card = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu"
        rounded = {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in record.items()
        }
        print(json.dumps({"card": card} | rounded), flush=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody with the same lock is timed meanwhile; the GPU has nothing to do at the start."""
        if self.lock is None:
            clock()
            yield
            return
        import fcntl

        with self.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            clock()
            yield

    def seconds(self, run: Callable[[], object], repeats: int = 5, calls: int = 1) -> float:
        """Of one call, the least of `repeats` measurements after a first one that does not count."""
        run()
        taken = []
        with self.alone():
            for _ in range(1 if self.tiny else repeats):
                start = clock()
                for _ in range(calls):
                    run()
                taken.append((clock() - start) / calls)
        return min(taken)

    @contextmanager
    def kernels(self, title: str) -> Iterator[None]:
        """Add a table of the kernels that run inside to the profile, if one is wanted."""
        if self.profile is None:
            yield
            return
        from torch.profiler import profile

        with self.alone(), profile() as profiler:
            yield
            clock()
        key = f"self_{DEVICE.type}_time_total"
        averages = profiler.key_averages()
        table = averages.table(sort_by=key, row_limit=_ROWS_OF_TABLE, max_name_column_width=90)
        with self.profile.open("a", encoding="utf-8") as file:
            file.write(f"{title}\n{table}\n\n")


def clock() -> float:
    """Seconds, when the GPU has done all that it was asked to."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def settings_of(stage: str, name: str) -> dict[str, Any]:
    """What configs/STAGE/NAME.yaml says."""
    return read_config(ROOT / "configs" / stage / f"{name}.yaml")


def body_of(name: str, tiny: bool) -> LMConfig:
    sizes = _TINY if tiny else settings_of("lm", name)["model"]["model"]
    return LMConfig(**sizes | {"rotary_dims": tuple(sizes["rotary_dims"])})


def vocabulary_of(tiny: bool) -> Vocabulary:
    return Vocabulary.of_sizes((8, 8), (16,) * 4, 32) if tiny else Vocabulary.of_sizes(text=512)


def model_of(name: str, tiny: bool) -> PrefixLM:
    """On the GPU, with random weights and heads that are not zero."""
    with DEVICE:
        model = PrefixLM(body_of(name, tiny), vocabulary_of(tiny))
        for linear in model.heads["visual"].digits:
            nn.init.normal_(linear.weight, std=model.config.dim**-0.5)
    return model


def layout_of(task: Task, tiny: bool) -> Layout:
    """Sequences of clips of 17x128x128 at 8 frames a second and of their sound: 1,280 and 4 x 106 codes."""
    step = audio_step(8, 16000, 320, 4)
    lengths = Lengths(t=5, h=16, w=16, audio_levels=4, audio_frames=106, audio_step=step, text=TEXT)
    if tiny:
        lengths = replace(lengths, h=4, w=4, audio_frames=10)
    return Layout.of(task, vocabulary_of(tiny), lengths)


def batch_of(layout: Layout, rows: int) -> Batch:
    """Rows of random texts and codes."""
    sequence = layout.pack({name: torch.zeros(size).long() for name, size in layout.shapes.items()})
    first, stop = layout.allowed.unbind(-1)
    drawn = (first + torch.rand(rows, len(layout)) * (stop - first)).long()
    ids = sequence.ids.where(layout.block == 0, drawn)
    return Batch.collate([replace(sequence, ids=row) for row in ids])
