"""The format of a set of coded clips: sizes of clips and codes, and the tokenizers that made the codes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from ..media.timing import audio_latents, audio_step, video_frames
from ..runtime.typed_fields import check_fields, check_least, from_fields

if TYPE_CHECKING:
    from ..environments.action_space import ActionSpace

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
        actions: the action space of clips with actions, as `ActionSpace.to_json` gives it; {} of others. Such
            clips are episodes, each of its own length (episodes.py), and `num_frames`, `grid` and
            `audio_frames` are those of the window of them that a model is trained on.

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
    actions: dict[str, Any] = field(default_factory=dict)

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
        if (space := self.action_space) is not None:
            self._check_episodes(space)

    @property
    def name(self) -> str:
        """Frames x height x width, by which a size is called."""
        return f"{self.num_frames}x{self.height}x{self.width}"

    @property
    def has_audio(self) -> bool:
        return bool(self.codebook_sizes)

    @cached_property
    def action_space(self) -> "ActionSpace | None":
        """What the actions of clips mean; None of clips without."""
        if not self.actions:
            return None
        from ..environments.action_space import ActionSpace  # with torch, which --help does without

        return ActionSpace.from_json(self.actions)

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
        """Shape of one clip's codes, by name; of episodes, of a window."""
        shapes: dict[str, tuple[int, ...]] = {"visual": self.grid}
        shapes |= {name: tuple(made.get("grid", self.grid)) for name, made in self.variants.items()}
        return shapes | self._other_shapes(self.grid[0], self.audio_frames)

    def episode_shapes(self, latents: int) -> dict[str, tuple[int, ...]]:
        """`shapes` of an episode of so many latents, from its first on."""
        frames, sound = video_frames(latents, self.temporal_stride), 0
        if self.has_audio:
            sound = audio_latents(frames, self.fps, self.sample_rate, self.hop_length)
        return {"visual": (latents, *self.grid[1:])} | self._other_shapes(latents, sound)

    def num_steps(self, latents: int) -> int:
        """Actions of a clip of so many latents: one for each of its frames but the first."""
        return (latents - 1) * self.temporal_stride

    def differences(self, other: "ClipFormat", besides: Sequence[str] = ()) -> str:
        """What differs, in words for a message; empty if nothing does.

        Args:
            besides: fields that may differ.
        """
        own, theirs = asdict(self), asdict(other)
        spaces = (self.action_space, other.action_space)
        words: dict[str, str] = {}
        if spaces[0] is not None and spaces[1] is not None:
            words["actions"] = spaces[0].differences(spaces[1])
        return ", ".join(
            words.get(name) or f"{name} {own[name] or 'none'} and {theirs[name] or 'none'}"
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

    def _other_shapes(self, latents: int, audio_frames: int) -> dict[str, tuple[int, ...]]:
        """Of what goes beside the visual codes."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.has_audio:
            shapes["audio"] = (len(self.codebook_sizes), audio_frames)
        if self.action_space is not None:
            shapes |= self.action_space.shapes(self.num_steps(latents))
        return shapes

    def _check_episodes(self, space: "ActionSpace") -> None:
        if self.fps != space.rate:
            raise ValueError(
                f"there are {self.fps:g} frames and {space.rate:g} actions per second; "
                "expected as many of both: one action leads from each frame to the next"
            )
        if self.variants:
            raise ValueError(f"clips with actions have no further codes such as {', '.join(self.variants)}")
