"""The format of a set of coded clips: sizes of clips and codes, and the tokenizers that made the codes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args, get_origin

from ..media.timing import audio_latents, audio_step, video_frames

# What may differ among the clips of one model; the rest follows from tokenizers and frame rate.
SIZE_FIELDS = ("height", "width", "num_frames", "grid", "audio_frames")


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
        variants: further visual codes of every clip, made from altered frames: name -> how they are made.
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
        shapes: dict[str, tuple[int, ...]] = {name: self.grid for name in ("visual", *self.variants)}
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
            TypeError: if a field is missing or unknown, or of another type.
        """
        if not isinstance(values, dict):
            raise TypeError(f"the format of the clips is {values!r}; expected an object")
        kinds = {field.name: field.type for field in fields(cls)}
        return cls(**{name: _typed(name, value, kinds.get(name)) for name, value in values.items()})


def _typed(name: str, value: Any, kind: Any) -> Any:
    """A value of a field of this type, as JSON gives it: lists are tuples, numbers may be whole."""
    if get_origin(kind) is tuple:
        sizes = get_args(kind)
        if (
            isinstance(value, list)
            and all(type(each) is int for each in value)
            and (Ellipsis in sizes or len(value) == len(sizes))
        ):
            return tuple(value)
    elif get_origin(kind) is dict:
        if isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
            return value
    elif kind is None or (kind is float and type(value) is int) or type(value) is kind:
        return value
    raise TypeError(f"{name} is {value!r}; expected {kind}")
