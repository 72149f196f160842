"""Which of the sizes that a model was trained on a clip gets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..data.codes.clip_format import ClipFormat
from ..data.media.framing import aspect_distance, nearest_aspects
from ..data.media.timing import exact_rate
from ..data.runtime.notes import notify
from ..data.runtime.typed_fields import check_fields, shown
from .task import Task

# What users say of a size, in options and files (`size_of`).
WORDS = ("aspect", "frames", "seconds")
# Of the logarithms of two aspect ratios; larger ones are told: 5 % are not seen.
_NOTICED = 0.05


@dataclass(frozen=True)
class SizeChoice:
    """A wanted size of clips. Fields that are None follow the model's default where a size allows it.

    Args:
        aspect: width and height as 16:9, of which the nearest is taken; or exactly HEIGHTxWIDTH.
        num_frames: exactly so many.
        seconds: the shortest that lasts so long.

    Raises:
        ValueError: if the aspect is written in another way, or both frames and seconds are given.
    """

    aspect: str | None = None
    num_frames: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("num_frames", "seconds"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"{name.removeprefix('num_')} is {value}; expected more than 0")
        if self.aspect is not None and self.pixels is None and self.ratio is None:
            raise ValueError(f"aspect is {shown(self.aspect)}; expected W:H such as 16:9, or HEIGHTxWIDTH")
        if self.num_frames is not None and self.seconds is not None:
            raise ValueError("give the length of the clip either in frames or in seconds")

    @property
    def ratio(self) -> float | None:
        """Width / height, if the aspect is given as one."""
        match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,9})?):(\d{1,6}(?:\.\d{1,9})?)", self.aspect or "")
        width, height = map(Fraction, match.groups()) if match else (0, 0)
        return float(width / height) if width and height else None

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width, if the aspect is given as these."""
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", self.aspect or "")
        return (int(match[1]), int(match[2])) if match else None

    def of(self, formats: Sequence[ClipFormat], task: Task) -> ClipFormat:
        """The size of a task's clip; a warning says so if its aspect ratio is only near to the one wanted.

        Args:
            formats: that the model was trained on, its default first.

        Raises:
            ValueError: if there is none of this length or of these pixels.
        """
        usual = formats[0]
        found = [formats[index] for index in task.fitting([clips.grid[0] for clips in formats])]
        if not found:
            raise ValueError(f"task {task.name} needs longer clips than the model's: {_names(formats)}")
        if not task.makes_image:
            found = self._of_length(found)
        elif (self.num_frames or 1) != 1 or self.seconds is not None:
            raise ValueError(f"task {task.name} makes a picture: it has one frame and lasts no time")
        if self.pixels is not None:
            found = [clips for clips in found if (clips.height, clips.width) == self.pixels]
            if not found:
                raise ValueError(
                    f"this model was not trained on clips of {self.aspect}; it has {_names(formats)}"
                )
        wanted = self.ratio or usual.width / usual.height
        nearest = nearest_aspects(wanted, [clips.width / clips.height for clips in found])

        def unlikeness(clips: ClipFormat) -> tuple[bool, bool]:
            is_usual = (clips.height, clips.width) == (usual.height, usual.width)
            return not is_usual, clips.num_frames != usual.num_frames

        best = min((found[index] for index in sorted(nearest)), key=unlikeness)
        if self.ratio is not None and aspect_distance(best.width / best.height, wanted) > _NOTICED:
            notify(f"the nearest to {self.aspect} that the model was trained on is {best.name}")
        return best

    def _of_length(self, found: list[ClipFormat]) -> list[ClipFormat]:
        """Those of the wanted length."""
        num_frames = self.num_frames
        if self.seconds is not None:
            lasting = [each for each in found if each.num_frames >= self.seconds * exact_rate(each.fps)]
            if not lasting:
                longest = max(found, key=lambda clips: clips.num_frames)
                raise ValueError(
                    f"the longest clips that this model was trained on have {longest.num_frames} frames "
                    f"({longest.num_frames / longest.fps:.3g} s); videolm long-video makes longer ones"
                )
            num_frames = min(clips.num_frames for clips in lasting)
        chosen = [clips for clips in found if num_frames in (None, clips.num_frames)]
        if not chosen:
            raise ValueError(
                f"this model was not trained on clips of {num_frames} frames; it has {_names(found)}"
            )
        return chosen


def size_of(
    aspect: str | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    *,
    usual: SizeChoice | None = None,
) -> SizeChoice | None:
    """What a user says of a size, None if that is nothing.

    Args:
        usual: where nothing is said of the aspect, or of the length.

    Raises:
        ValueError: as `SizeChoice`.
    """
    usual = usual or SizeChoice()
    if frames is None and seconds is None:
        frames, seconds = usual.num_frames, usual.seconds
    choice = SizeChoice(usual.aspect if aspect is None else aspect, frames, seconds)
    return None if choice == SizeChoice() else choice


def _names(formats: Sequence[ClipFormat]) -> str:
    return ", ".join(clips.name for clips in formats)
