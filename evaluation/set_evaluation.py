"""Scores of a set of clips, from any model, against a set of real ones.

    videolm evaluate --real my/videos --generated my/samples --out runs/scores --weights weights

The sets are compared by distances of features. Clips that have the same name in both (the path without its
suffix, counted from the folder) are also compared frame by frame, at the size of the generated one.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..data.media.clip import Clip, write_clip
from ..data.media.probe import probe_header
from ..data.media.reading import read_clip
from ..data.media.streams import MediaError
from ..data.runtime.checksums import file_hash
from ..data.runtime.made_with import MadeWith, whole_path
from ..data.runtime.notes import notify
from ..data.sources.entry import Entry
from ..data.sources.entry_identity import MadeOf
from ..data.sources.manifest import read_manifest
from .html_report import ClipRow, Shown
from .metrics.measures import Measure, measures
from .metrics.reconstruction import FrameDistance, frame_quality, lpips_distance
from .metrics.resizing import Resize
from .metrics.score import Score
from .metrics.weights_folder import NO_WEIGHTS, WeightsFolder
from .resumable import ALL, Item, Part, Share, work_through
from .score_logging import Logger, log_scores
from .score_report import print_scores, values_of, write_report
from .set_features import describe_part, feature_part, features_of, skipped_in

_SAMPLES = 6


@dataclass(frozen=True)
class SetSettings:
    """How two sets of clips are compared.

    Args:
        num_frames: of each clip, from its start; 1 compares images.
        fps: to which clips are converted; None leaves them as they are.
        height, width: to which all clips are resized first (bicubic, centre crop); None leaves them as they
            are, and each network resizes them in its own way.
        seed: of subsets and of the order in which an inception score divides its clips.
        splits: of an inception score.
    """

    num_frames: int = 16
    fps: float | None = None
    height: int | None = None
    width: int | None = None
    seed: int = 0
    splits: int = 1

    def __post_init__(self) -> None:
        for name in ("num_frames", "splits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if (self.height is None) != (self.width is None):
            raise ValueError("expected --height and --width together or neither")

    @property
    def size(self) -> tuple[int, int] | None:
        return None if self.height is None or self.width is None else (self.height, self.width)

    def to_json(self) -> dict[str, Any]:
        """The settings as report.json and the record of the results hold them."""
        return {name: getattr(self, name) for name in ("num_frames", "fps", "size", "seed", "splits")}

    def read(self, entry: Entry) -> Clip | str:
        """The clip of an entry, or why it cannot be used."""
        start, end, frames = entry.start or 0.0, entry.end, self.num_frames
        try:
            clip = read_clip(
                entry.media, start=start, end=end, fps=self.fps, num_frames=frames, caption=entry.caption
            )
        except (MediaError, FileNotFoundError) as error:
            return str(error)
        if clip.num_frames < frames:
            return f"{entry.path}: {clip.num_frames} frames; {frames} are compared (--num-frames)"
        return clip if self.resize is None else replace(clip, frames=self.resize.bytes(clip.frames))

    @property
    def resize(self) -> Resize | None:
        return Resize(*self.size, mode="bicubic", antialias=True, crop=True) if self.size else None


def evaluate_sets(
    real: Path,
    generated: Path,
    out: Path,
    settings: SetSettings,
    weights: WeightsFolder = NO_WEIGHTS,
    *,
    share: Share = ALL,
    loggers: Sequence[Logger] = ("csv",),
) -> list[Path]:
    """Score a set of clips against a real one; returns what was written, nothing while others have work.

    Raises:
        FileNotFoundError, ValueError: if a source, the weights or all clips of a set cannot be used.
    """
    comparison = SetComparison(real, generated, out, settings, weights)
    comparison.warn_of_rates()
    if not work_through("evaluate", [*comparison.parts.values(), comparison.pairs], share):
        return []
    scores = comparison.scores()
    text = f"{generated} ({comparison.parts['generated'].count} clips) against {real} "
    text += f"({comparison.parts['real'].count} clips)."
    samples = comparison.write_samples(out / "clips")
    written = write_report(out, "Clips against real ones", text, comparison.report(), scores, samples)
    print_scores(scores)
    return written + log_scores(loggers, out, "clips", values_of(scores))


class SetComparison:
    """Two sets, their features on disk, and the scores of these.

    Raises:
        FileNotFoundError, ValueError: if a source or the weights cannot be used, or `out` holds results of
            other settings.
    """

    def __init__(
        self, real: Path, generated: Path, out: Path, settings: SetSettings, weights: WeightsFolder
    ):
        self.sources = {"real": real, "generated": generated}
        self.entries = {name: read_manifest(source) for name, source in self.sources.items()}
        self.settings = settings
        self.measures = measures(weights, settings.num_frames)
        partners = {_name(entry, real): entry for entry in self.entries["real"]}
        named = [(entry, partners.get(_name(entry, generated))) for entry in self.entries["generated"]]
        self.matched = [(entry, partner) for entry, partner in named if partner is not None]
        self.lpips = weights.lpips
        self.made_of = {name: MadeOf(str(source)) for name, source in self.sources.items()}
        MadeWith(out / "work" / "settings.json", self._described()).claim("results")
        self.parts = {name: self._features(name, out / "work" / name) for name in self.sources}
        folder, count = out / "work" / "pairs", len(self.matched)
        self.pairs = Part(folder, count, self._compare, made_of=self._pairs_made_of)

    def scores(self) -> list[Score]:
        """All scores, those that were not computed with the reason.

        Raises:
            ValueError: if no clip of a set can be used.
        """
        for name, part in self.parts.items():
            skipped = skipped_in(part)
            if len(skipped) == part.count:
                raise ValueError(f"no {name} clip of {part.count} can be used; the first: {skipped[0]}")
        scores = [self._score(measure) for measure in self.measures] + self._pair_scores()
        return [replace(score, constants=self._shared() | score.constants) for score in scores]

    def warn_of_rates(self) -> None:
        """Say if the sets have other frame rates, and so other motion from frame to frame."""
        if self.settings.fps is not None or self.settings.num_frames == 1:
            return
        rates = {name: _usual_rate(entries) for name, entries in self.entries.items()}
        if None not in rates.values() and len(set(rates.values())) > 1:
            shown = " and ".join(f"{name} ones {rate:g}" for name, rate in rates.items())
            notify(
                f"of the clips, {shown} frames a second: they are compared frame by frame as they are; "
                "--fps shows both at one rate"
            )

    def report(self) -> dict[str, Any]:
        """What report.json holds beside the scores."""
        sets = {
            name: {"source": str(self.sources[name])} | describe_part(part)
            for name, part in self.parts.items()
        }
        return {"settings": self.settings.to_json()} | sets | {"pairs": describe_part(self.pairs)}

    def write_samples(self, folder: Path) -> list[ClipRow]:
        """Write a few clips, beside their partners if they have some, for the page."""
        folder.mkdir(parents=True, exist_ok=True)
        suffix = ".png" if self.settings.num_frames == 1 else ".mp4"
        sample = [{"real": partner, "generated": entry} for entry, partner in self.matched]
        sample = sample or [{"generated": entry} for entry in self.entries["generated"]]
        rows = []
        for number, kinds in enumerate(sample[:_SAMPLES]):
            shown = []
            for kind, entry in kinds.items():
                clip = self.settings.read(entry)
                if isinstance(clip, Clip):
                    name = f"{number}-{kind}{suffix}"
                    write_clip(clip, folder / name)
                    has_sound = clip.waveform is not None
                    shown.append(Shown(f"{folder.name}/{name}", kind, has_sound))
            entry = kinds["generated"]
            rows.append(ClipRow(entry.path.name, entry.caption or "", shown))
        return rows

    def _features(self, name: str, folder: Path) -> Part:
        entries, made_of = self.entries[name], self.made_of[name]
        return feature_part(
            folder,
            len(entries),
            lambda number: self.settings.read(entries[number]),
            self.measures,
            made_of=lambda numbers: " ".join(made_of(entries[number]) for number in numbers),
        )

    def _pairs_made_of(self, numbers: Sequence[int]) -> str:
        of_generated, of_real = self.made_of["generated"], self.made_of["real"]
        pairs = (self.matched[number] for number in numbers)
        return " ".join(f"{of_generated(entry)} {of_real(partner)}" for entry, partner in pairs)

    def _score(self, measure: Measure) -> Score:
        real, generated = (
            list(features_of(self.parts[name], measure.name).values()) for name in ("real", "generated")
        )
        return measure.of(real, [generated], self.settings.seed, self.settings.splits)

    def _compare(self, numbers: Sequence[int]) -> list[Item]:
        return [self._quality(*self.matched[number]) for number in numbers]

    def _quality(self, entry: Entry, partner: Entry) -> Item:
        generated, real = self.settings.read(entry), self.settings.read(partner)
        if isinstance(generated, str):
            return generated
        if isinstance(real, str):
            return real
        resized = real.resized(generated.height, generated.width)
        return dict(frame_quality(resized.frames, generated.frames, self._distance))

    @cached_property
    def _distance(self) -> FrameDistance | None:
        return lpips_distance(self.lpips)

    def _pair_scores(self) -> list[Score]:
        reasons = {"psnr_db": "", "ssim": "frames are too small", "lpips": _LPIPS_MISSING}
        constants = {"compared": "clips of the same name, frame by frame, at the generated clip's size"}
        if not self.matched:
            return [Score(name, reason="no clip has the same name in both sets") for name in reasons]
        return [_mean_of(self.pairs, name, constants, reason) for name, reason in reasons.items()]

    def _shared(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "num_frames": settings.num_frames,
            "fps": settings.fps or "as in the files",
            "resize": str(settings.resize or "none"),
            "seed": settings.seed,
        }

    def _described(self) -> dict[str, Any]:
        networks = {m.name: m.extractor.constants for m in self.measures if m.extractor is not None}
        sources = {name: whole_path(source) for name, source in self.sources.items()}
        lpips = "none" if self.lpips is None else file_hash(self.lpips)
        return sources | {"networks": networks, "lpips": lpips} | self.settings.to_json()


_LPIPS_MISSING = "no lpips.safetensors (--weights FOLDER)"


def _usual_rate(entries: Sequence[Entry]) -> float | None:
    """Frames a second of most of a few clips, to a tenth; None if none of them moves or can be read."""
    rates = Counter[float]()
    for entry in entries[:: max(1, len(entries) // _SAMPLES)]:
        with suppress(MediaError, FileNotFoundError):
            rates[round(probe_header(entry.media).fps, 1)] += 1
    del rates[0.0]
    return rates.most_common(1)[0][0] if rates else None


def _mean_of(pairs: Part, name: str, constants: dict[str, Any], reason: str) -> Score:
    """The mean over frames, then clips."""
    items = [item for item in pairs.read() if isinstance(item, dict) and name in item]
    if not items:
        skipped = skipped_in(pairs)
        return Score(name, reason=skipped[0] if len(skipped) == pairs.count else reason)
    value = torch.stack([item[name].double().mean() for item in items]).mean()
    return Score(name, float(value), constants=constants | {"clips": len(items)})


def _name(entry: Entry, source: Path) -> str:
    """What a clip is matched by."""
    folder = source if source.is_dir() else source.parent
    path = entry.path.relative_to(folder) if entry.path.is_relative_to(folder) else entry.path
    return f"{path.with_suffix('').as_posix()} {entry.start or 0:g}"
