"""The format of a set of coded clips: sizes of clips and codes, and the tokenizers that made the codes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

from ..media.timing import audio_latents, audio_step, video_frames
from ..runtime.typed_fields import check_fields, check_least, from_fields

# What may differ among the clips of one model; the rest follows from tokenizers and frame rate.
SIZE_FIELDS = ("height", "width", "num_frames", "grid", "audio_frames")
_MOST = 2**40  # pixels of a clip, codes of a codebook


@dataclass(frozen=True)
class ClipFormat:
    """Stored beside codes on disk (index.json) and compared wherever codes are used.

    Args:
        height, width, num_frames, fps: of every clip.
        grid: (t, h, w) of its visual codes.
        temporal_stride: frames per latent after the first.
        factors: digits of a visual code, the lowest first.
        video_tokenizer: fingerprint.
        codebook_sizes: of each level of the audio codes; () when the codes have no sound.
        audio_frames: audio latents of a clip.
        sample_rate, hop_length: of the audio codec.
        audio_tokenizer: fingerprint.
        variants: further visual codes of every clip, made from altered frames: name -> how they are made, and
            their "grid" where it is not the clip's.

    Raises:
        ValueError: if a field is of another kind or out of its range.
    """

    height: int
    width: int
    num_frames: int
    fps: float
    grid: tuple[int, int, int]
    temporal_stride: int
    factors: tuple[int, ...]
    video_tokenizer: str
    codebook_sizes: tuple[int, ...] = ()
    audio_frames: int = 0
    sample_rate: int = 0
    hop_length: int = 0
    audio_tokenizer: str = ""
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        sizes = dict.fromkeys(("height", "width", "num_frames", "temporal_stride", "grid"), 1)
        sounds = dict.fromkeys(("audio_frames", "sample_rate", "hop_length"), int(self.has_audio))
        check_least(self, **sizes, **sounds, factors=2, codebook_sizes=2)
        for name, made in self.variants.items():
            own = made.get("grid", self.grid)
            are_sizes = isinstance(own, list | tuple) and len(own) == 3
            if not are_sizes or not all(type(size) is int and 1 <= size < _MOST for size in own):
                raise ValueError(f"the grid of {name} codes is {own!r}; expected three whole numbers")
        if self.fps <= 0:
            raise ValueError(f"fps is {self.fps}; expected a number above 0")
        largest = max(prod(self.grid), prod(self.factors), self.num_frames * self.height * self.width)
        if not self.factors or max(largest, self.audio_frames, *self.codebook_sizes) >= _MOST:
            raise ValueError(f"{self.name} with grid {self.grid} and factors {self.factors} are no clips")

    @property
    def name(self) -> str:
        """Frames x height x width, by which a size is called."""
        return f"{self.num_frames}x{self.height}x{self.width}"

    @property
    def has_audio(self) -> bool:
        return bool(self.codebook_sizes)

    @property
    def audio_step(self) -> float:
        """Time between audio latents in units of video latents."""
        if not self.has_audio:
            return 0.0
        return audio_step(self.fps, self.sample_rate, self.hop_length, self.temporal_stride)

    @property
    def audio_ends(self) -> tuple[int, ...]:
        """Audio latents within the first 1, 2, … video latents."""
        if not self.has_audio:
            return ()
        return tuple(
            audio_latents(
                video_frames(latents, self.temporal_stride), self.fps, self.sample_rate, self.hop_length
            )
            for latents in range(1, self.grid[0] + 1)
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one clip's codes, by name."""
        shapes: dict[str, tuple[int, ...]] = {"visual": self.grid}
        shapes |= {name: tuple(made.get("grid", self.grid)) for name, made in self.variants.items()}
        if self.has_audio:
            shapes["audio"] = (len(self.codebook_sizes), self.audio_frames)
        return shapes

    def differences(self, other: "ClipFormat", besides: Sequence[str] = ()) -> str:
        """What differs, in words for a message; empty if nothing does.

        Args:
            besides: fields that may differ.
        """
        own, theirs = asdict(self), asdict(other)
        return ", ".join(
            f"{name} {own[name]} and {theirs[name]}"
            for name in own
            if own[name] != theirs[name] and name not in besides
        )

    @property
    def size(self) -> dict[str, Any]:
        """The fields of `SIZE_FIELDS`."""
        return {name: value for name, value in asdict(self).items() if name in SIZE_FIELDS}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "ClipFormat":
        """The inverse of `to_json`.

        Raises:
            ValueError: if a field is missing or unknown, of another kind or out of its range.
        """
        return from_fields(cls, values, "the format of the clips")
