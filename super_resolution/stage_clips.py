"""What a stage turns into what: the clips of low resolution, the larger ones, and the tokenizers of both."""

from dataclasses import dataclass, replace

from ..data.codes.clip_format import ClipFormat
from ..data.runtime.typed_fields import check_fields, check_least

PART = "super_resolution"
"""Folder of all stages in a model folder."""


@dataclass(frozen=True)
class StageClips:
    """The two sizes of one stage, and the text that it reads. Frame rate and sound stay what they are.

    Args:
        low: what it is given; with the fingerprint of the tokenizer of these codes.
        large: what it makes, as many frames; its tokenizer may be another one.
        text_tokenizer: fingerprint; empty for a stage that knows no text.
        text_size: pieces of a text tokenizer with a vocabulary.
        text_width: features of a frozen encoder's embeddings, in its place.
        text_pieces: that are read of a text at most.

    Raises:
        ValueError: if the two do not fit each other.
    """

    low: ClipFormat
    large: ClipFormat
    text_tokenizer: str = ""
    text_size: int = 0
    text_width: int = 0
    text_pieces: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        check_least(self, text_size=0, text_width=0, text_pieces=0)
        if (self.low.num_frames, self.low.fps) != (self.large.num_frames, self.large.fps):
            raise ValueError(
                f"clips of low resolution are {self.low.name} at {self.low.fps:g} fps and large ones "
                f"{self.large.name} at {self.large.fps:g} fps; expected the same frames"
            )
        (low_t, low_h, low_w), (t, h, w) = self.low.grid, self.large.grid
        if t != low_t or h % low_h or w % low_w or h // low_h != w // low_w:
            raise ValueError(
                f"codes are {self.low.grid} of low resolution and {self.large.grid} of the large clip; "
                "expected as many in time, and the same whole multiple in height and width"
            )
        kinds = bool(self.text_size) + bool(self.text_width)
        if (kinds, bool(self.text_pieces)) != (int(self.has_text), self.has_text):
            raise ValueError("a stage with text has either pieces or embeddings of it, and a number of them")

    @classmethod
    def of(cls, low: ClipFormat, large: ClipFormat) -> "StageClips":
        """Of two formats as they are stored with codes; sound and further variants stay away."""
        return cls(_frames_alone(low), _frames_alone(large))

    @property
    def name(self) -> str:
        """Folder of the stage: the size that it makes."""
        return self.large.name

    @property
    def has_text(self) -> bool:
        return bool(self.text_tokenizer)

    @property
    def scale(self) -> int:
        """How many codes of the large clip stand side by side over one of low resolution."""
        return self.large.grid[1] // self.low.grid[1]

    def check_size(self, num_frames: int, height: int, width: int) -> None:
        """Refuse a clip that this stage does not take.

        Raises:
            ValueError: if it has another size.
        """
        if (num_frames, height, width) != (self.low.num_frames, self.low.height, self.low.width):
            raise ValueError(
                f"the clip is {num_frames}x{height}x{width}; this stage makes {self.large.name} from "
                f"{self.low.name}"
            )

    def check_tokenizers(self, low: str, large: str) -> None:
        """Refuse tokenizers other than those whose codes the stage was trained on.

        Args:
            low, large: fingerprints.

        Raises:
            ValueError: if one differs.
        """
        pairs = (("low-resolution", low, self.low), ("large", large, self.large))
        for name, found, clips in pairs:
            if found != clips.video_tokenizer:
                raise ValueError(
                    f"the {name} tokenizer ({found}) is not the one that the stage {self.name} was trained "
                    f"with ({clips.video_tokenizer}): train the stage again, or put that one back"
                )

    def check_text(self, fingerprint: str | None) -> None:
        """Refuse a text that the stage cannot read.

        Args:
            fingerprint: of the text tokenizer; None if there is no text.

        Raises:
            ValueError: if the stage knows no text, or the text of another tokenizer.
        """
        if fingerprint is None:
            return
        if not self.has_text:
            raise ValueError(f"the stage {self.name} was trained without text; leave the text out")
        if fingerprint != self.text_tokenizer:
            raise ValueError(
                f"the text tokenizer ({fingerprint}) is not the one that the stage {self.name} was trained "
                f"with ({self.text_tokenizer})"
            )


def _frames_alone(clips: ClipFormat) -> ClipFormat:
    return replace(
        clips, codebook_sizes=(), audio_frames=0, sample_rate=0, hop_length=0, audio_tokenizer="", variants={}
    )
