"""Clips enlarged by the stages of super-resolution of a model folder, chained by the sizes that they make.

    frames -> codes of low resolution -> windows in time (super_resolution/long_clips.py)
           -> codes of the large clip, which the next stage may take -> frames

The tokenizers code and decode the clip as one stream, whatever its length: only the stages work in windows.
Clips are enlarged one by one, so that what is made of one does not depend on others.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data.media.clip import Clip
from ..data.runtime.pretrained import read_config
from ..super_resolution.decoding import DecodeSettings
from ..super_resolution.long_clips import decode_long
from ..super_resolution.stage_clips import PART, StageClips
from ..super_resolution.transformer import StageConfig, SuperResolution
from ..tasks.model_config import stages_of
from ..tasks.training_data.pairs import PairMaker
from ..tokenizers.text.frozen_encoder import TextEncoder, load_text_tokenizer
from ..tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..tokenizers.video.clip_codes import ClipCodes, decode_frames, encode_clip, encode_frames
from ..tokenizers.video.protocol import VideoCodec, load_video_tokenizer
from .seeds import Seed, seed_of

Report = Callable[[float], None]
"""Called with the share of the work that is done."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage with what it works on.

    Args:
        low: tokenizer of the clips that it takes.
        large: of those that it makes.
    """

    model: SuperResolution
    low: VideoCodec
    large: VideoCodec

    def __post_init__(self) -> None:
        self.model.config.clips.check_tokenizers(self.low.fingerprint, self.large.fingerprint)


class Upscaler:
    """The stages of a model folder; each is loaded when it is first needed.

    Args:
        folder: None has no stages.
        device: to work on.
        text_tokenizer: that of the folder, if it is loaded already.

    Raises:
        ValueError: if what the folder says of a stage cannot be read.
    """

    def __init__(
        self,
        folder: Path | None = None,
        device: torch.device | str = "cpu",
        text_tokenizer: TextTokenizer | TextEncoder | None = None,
    ):
        self.folder, self.device, self.text_tokenizer = folder, torch.device(device), text_tokenizer
        self.stages = read_stages(folder) if folder is not None else []
        self._loaded: dict[str, Stage] = {}

    def to(self, device: torch.device | str) -> "Upscaler":
        self.device = torch.device(device)
        for stage in self._loaded.values():
            for part in (stage.model, stage.low, stage.large):
                part.to(self.device)
        return self

    def path(self, height: int, width: int, factor: int, text: str | None = None) -> list[StageClips]:
        """The stages that clips of this size go through; nothing is loaded for it.

        Raises:
            ValueError: if no stages make this of it, or a text is given that none of them reads.
        """
        return path_of(self.stages, height, width, factor, text)

    def upscale(
        self,
        given: Clip | ClipCodes,
        *,
        text: str | None = None,
        factor: int = 2,
        seed: Seed = 0,
        settings: DecodeSettings | None = None,
        progress: Report | None = None,
    ) -> Clip:
        """The clip with its height and width times `factor`; its rate, length, sound and caption are kept.

        Args:
            given: a clip of any length, or its codes.
            text: what is to be seen, for stages that read one.
            seed: a whole number; None draws one, which a warning names.
            settings: how the stages decode.

        Raises:
            ValueError: as `path`, and if a stage was trained with other tokenizers.
        """
        stages = self.load(self.path(given.height, given.width, factor, text))
        codes = given if isinstance(given, ClipCodes) else encode_clip(stages[0].low, given)
        large = self.enlarged(codes, stages, text, seed, settings, progress)
        frames = torch.cat(list(decode_frames(stages[-1].large, large)))
        return replace(given, frames=frames) if isinstance(given, Clip) else Clip(frames, given.fps)

    def stream(
        self,
        frames: Iterable[UInt8[Tensor, "height width 3"]],
        fps: float,
        stages: Sequence[Stage],
        *,
        text: str | None = None,
        seed: Seed = 0,
        progress: Report | None = None,
    ) -> tuple[int, Iterator[UInt8[Tensor, "_ height width 3"]]]:
        """As `upscale`, of frames that come one after the other: their number, and the large ones in chunks.

        No more than a chunk of frames is held at once, and the codes.

        Args:
            stages: as `load` gives them.
        """
        codes = encode_frames(stages[0].low, frames, fps)
        large = self.enlarged(codes, stages, text, seed, None, progress)
        return codes.num_frames, decode_frames(stages[-1].large, large)

    def enlarged(
        self,
        codes: ClipCodes,
        stages: Sequence[Stage],
        text: str | None,
        seed: Seed,
        settings: DecodeSettings | None,
        progress: Report | None,
    ) -> ClipCodes:
        """Codes of the large clip, by the last stage's tokenizer.

        Raises:
            ValueError: if the codes are not of the first stage's tokenizer.
        """
        first = seed_of(seed)
        for number, stage in enumerate(stages):
            clips = stage.model.config.clips
            clips.check_tokenizers(codes.fingerprint, stage.large.fingerprint)

            def tell(done: int, total: int, number: int = number) -> None:
                if progress is not None:
                    progress((number + done / total) / len(stages))

            made = decode_long(
                stage.model,
                codes.codes.to(self.device),
                PairMaker(clips, self.text_tokenizer).text(text) if clips.has_text else None,
                settings or DecodeSettings(),
                torch.Generator().manual_seed(first),
                tell,
            )
            codes = replace(
                codes,
                codes=made.cpu(),
                height=clips.large.height,
                width=clips.large.width,
                codebook_size=stage.large.codebook_size,
                fingerprint=stage.large.fingerprint,
            )
        return codes

    def load(self, path: Sequence[StageClips]) -> list[Stage]:
        """The stages of a path, with their tokenizers; the text tokenizer, too, if one of them reads text.

        Raises:
            FileNotFoundError: if a tokenizer is missing.
            ValueError: if the folder's tokenizers are not those that the stages were trained with.
        """
        assert self.folder is not None
        tokenizers = {}
        for clips in path:
            for wanted in (clips.low.video_tokenizer, clips.large.video_tokenizer):
                if clips.name not in self._loaded and wanted not in tokenizers:
                    tokenizers[wanted] = self._tokenizer(wanted)
        # Compared before a stage, which is far larger, is loaded.
        for clips in path:
            if clips.name not in self._loaded:
                pair = [tokenizers[each.video_tokenizer] for each in (clips.low, clips.large)]
                clips.check_tokenizers(*(each.fingerprint for each in pair))
                self._check_text(clips)
                model = SuperResolution.from_model(self.folder, clips.name).to(self.device)
                self._loaded[clips.name] = Stage(model, *pair)
        return [self._loaded[clips.name] for clips in path]

    def _tokenizer(self, fingerprint: str) -> VideoCodec:
        """The tokenizer of these codes: that of the stage that makes them, or the model's."""
        assert self.folder is not None
        own = [
            folder
            for clips in self.stages
            if clips.large.video_tokenizer == fingerprint
            and (folder := self.folder / PART / clips.name / "video_tokenizer").is_dir()
        ]
        return load_video_tokenizer(own[0] if own else self.folder / "video_tokenizer").to(self.device)

    def _check_text(self, clips: StageClips) -> None:
        assert self.folder is not None
        if clips.has_text:
            if self.text_tokenizer is None:
                self.text_tokenizer = load_text_tokenizer(self.folder / "text_tokenizer")
            clips.check_text(self.text_tokenizer.fingerprint)


def read_stages(folder: Path) -> list[StageClips]:
    """What the stages of a model folder turn into what, by their names.

    Raises:
        ValueError: if a file is damaged, or describes something else.
    """
    configs: list[StageConfig] = [
        read_config(each, SuperResolution.kind, StageConfig) for each in stages_of(folder)
    ]
    return [config.clips for config in configs]


def path_of(
    stages: Sequence[StageClips], height: int, width: int, factor: int, text: str | None = None
) -> list[StageClips]:
    """As `Upscaler.path`, among these stages; of several for one size that of the longest windows."""
    if not stages:
        raise ValueError("the model has no stages of super-resolution (videolm super-resolution fit)")
    found = _chained(stages, height, width, factor, "")
    if found is None:
        made = " and ".join(
            f"{each.large.height}x{each.large.width} from {each.low.height}x{each.low.width}"
            for each in stages
        )
        raise ValueError(
            f"clips of {height}x{width} cannot be made {factor} times as large: the model has stages that "
            f"make {made}"
        )
    if text is not None and not any(clips.has_text for clips in found):
        found[0].check_text("given")
    return found


def _chained(
    stages: Sequence[StageClips], height: int, width: int, factor: int, tokenizer: str
) -> list[StageClips] | None:
    """Stages that take each other's codes, as few as possible; an empty `tokenizer` may be any."""
    if factor == 1:
        return []
    paths = []
    for clips in sorted(stages, key=lambda each: -each.low.num_frames):
        own, rest = divmod(clips.large.height, clips.low.height)
        fits = (clips.low.height, clips.low.width) == (height, width)
        if not fits or rest or factor % own or tokenizer not in ("", clips.low.video_tokenizer):
            continue
        size = (clips.large.height, clips.large.width)
        after = _chained(stages, *size, factor // own, clips.large.video_tokenizer)
        if after is not None:
            paths.append([clips, *after])
    return min(paths, key=len, default=None)
