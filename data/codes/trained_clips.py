"""Size and length of the clips that a tokenizer was trained on: what `videolm encode` and scores go by.

    MODEL/video_tokenizer/clips.json    {"height": 48, "width": 48, "num_frames": 17, "fps": 8.0, …}

It stands beside the tokenizer's own config.json, whose fingerprint it does not change. A folder without it,
as of an older version or another project's tokenizer, has no such size.
"""

from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from ..runtime.checksums import CHECKSUMS, record_checksums
from ..runtime.files import read_json, write_json
from ..runtime.notes import notify

# The settings that say the size of a clip.
SIZES = ("height", "width", "num_frames", "fps")
_FILE = "clips.json"


@dataclass(frozen=True)
class TrainedClips:
    """What clips a tokenizer was trained on.

    Args:
        height, width, num_frames: of a clip.
        fps: frames per second.
        sample_rate: of the sound; 0 if there was none.
    """

    height: int
    width: int
    num_frames: int
    fps: float
    sample_rate: int = 0

    def __str__(self) -> str:
        return f"{self.num_frames} frames of {self.height}x{self.width} at {self.fps:g} fps"

    @property
    def size(self) -> dict[str, Any]:
        """Height, width, num_frames and fps, by name."""
        return {name: getattr(self, name) for name in SIZES}

    def save(self, folder: Path) -> None:
        """Write it into a tokenizer's folder."""
        write_json(folder / _FILE, asdict(self))
        if (folder / CHECKSUMS).is_file():
            record_checksums(folder, _FILE)

    @classmethod
    def load(cls, folder: Path) -> "TrainedClips | None":
        """What stands in a tokenizer's folder; None if nothing does.

        Raises:
            ValueError: if it is damaged.
        """
        path = folder / _FILE
        if not path.is_file():
            return None
        stored = read_json(path)
        kinds = {"height": int, "width": int, "num_frames": int, "fps": float, "sample_rate": int}
        if not isinstance(stored, dict) or not kinds.keys() <= stored.keys():
            raise ValueError(f"{path} is damaged: expected {', '.join(kinds)}")
        for name, kind in kinds.items():
            least = 0 if name == "sample_rate" else 1e-6
            if type(stored[name]) not in (int, kind) or not isfinite(stored[name]) or stored[name] < least:
                raise ValueError(f"{path} is damaged: {name} is {stored[name]!r}")
        return cls(**{name: kind(stored[name]) for name, kind in kinds.items()})


# Of a tokenizer that does not say.
USUAL_CLIPS = TrainedClips(height=64, width=64, num_frames=9, fps=8.0)


@dataclass(frozen=True)
class ClipSize:
    """Size of the clips: what is not given is as the tokenizer was trained.

    Args:
        height: of the frames; files are resized and cropped. What of these four is not given is as the
            tokenizer of --model was trained; of a tokenizer that does not say: 9 frames of 64x64 at 8 fps.
        width: of the frames.
        num_frames: per clip.
        fps: frames per second; files are converted.
    """

    height: int | None = None
    width: int | None = None
    num_frames: int | None = None
    fps: float | None = None

    def of(self, tokenizer: Path) -> TrainedClips:
        """These, completed for the tokenizer in a folder; warns if it was trained on others.

        Raises:
            ValueError: if the folder's own size is damaged.
        """
        trained = TrainedClips.load(tokenizer)
        given = {name: value for name, value in asdict(self).items() if value is not None}
        chosen = TrainedClips(**asdict(trained or USUAL_CLIPS) | given)
        if trained is not None and chosen != trained:
            notify(f"clips are {chosen}; the tokenizer in {tokenizer} was trained on {trained}")
        return chosen


def large_size(size: ClipSize, tokenizer: Path, scale: int, large: Path | None = None) -> TrainedClips:
    """The size of the large clips of super-resolution.

    Args:
        size: what is given of it.
        tokenizer: folder of the tokenizer of the small clips.
        scale: height and width of the large clips over those of the small ones.
        large: folder of the large clips' tokenizer, if it is another one; its clips count then, where it says
            what they were, else `scale` times those of `tokenizer`.

    Raises:
        ValueError: if a folder's own size is damaged.
    """
    trained = None if large is None else TrainedClips.load(large)
    if trained is None:
        small = TrainedClips.load(tokenizer) or USUAL_CLIPS
        trained = replace(small, height=scale * small.height, width=scale * small.width)
    given = {name: value for name, value in asdict(size).items() if value is not None}
    return replace(trained, **given)
