"""What `VideoLM` writes: the parts of a model folder in the format asked for, and a folder to the hub."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Unpack, runtime_checkable

from ..data.codes.clip_format import ClipFormat
from ..data.runtime.confinement import is_inside, places_of
from ..data.runtime.hub import KINDS, PushOptions, upload
from ..data.runtime.model_source import is_own
from ..data.runtime.pretrained import fingerprint
from ..data.runtime.stored_weights import Weights, save_part
from ..lm.model.transformer import PrefixLM
from ..lm.vocabulary import Vocabulary
from ..super_resolution.transformer import SuperResolution
from ..tasks.model_card import ModelCard, write_card
from ..tasks.model_config import PARTS, STAGES, ModelConfig, check_model, parts_of, stages_of
from ..tokenizers.audio.protocol import load_audio_tokenizer
from ..tokenizers.video.protocol import load_video_tokenizer


@runtime_checkable
class Part(Protocol):
    """The language model or a tokenizer."""

    def save_pretrained(self, folder: Path) -> None: ...


def fingerprint_of(
    config: ModelConfig, vocabulary: Vocabulary, lm: PrefixLM, tokenizers: Sequence[str | None]
) -> str:
    """Hex digits that change with any setting or weight of a model in memory.

    Args:
        tokenizers: their fingerprints.
    """
    settings = {
        "config": config.to_json(),
        "blocks": [asdict(block) for block in vocabulary.blocks],
        "custom": vocabulary.custom,
        "lm": asdict(lm.config),
        "tokenizers": list(tokenizers),
    }
    return fingerprint(settings, lm.state_dict())


def save_parts(
    folder: Path, parts: Mapping[str, Part | None], config: ModelConfig, weights: Weights
) -> ModelConfig:
    """Write the parts of a model; returns its config with the tokenizers as they are stored.

    A tokenizer whose weights are rounded is another one, with a fingerprint of its own.

    Args:
        parts: by the names of their folders; those that the model has not are None.

    Raises:
        ValueError: if a weight is beyond the range of the format.
    """
    for name, part in parts.items():
        if part is not None:
            save_part(part.save_pretrained, folder / name, weights)
    if weights == "float32":
        return config
    stored = {"video_tokenizer": load_video_tokenizer(folder / "video_tokenizer").fingerprint}
    if parts.get("audio_tokenizer") is not None:
        stored["audio_tokenizer"] = load_audio_tokenizer(folder / "audio_tokenizer").fingerprint
    others = tuple(replace(clips, **stored) for clips in config.others)
    return replace(config, clips=replace(config.clips, **stored), others=others)


def save_stages(
    folder: Path, source: Path | None, before: ClipFormat, stored: ClipFormat, weights: Weights
) -> None:
    """Write the stages of super-resolution of another model folder, with tokenizers of their own.

    Args:
        source: the other folder, which may be the same; None has no stages.
        before, stored: clips of the model with its tokenizer as it was, and as it is stored.

    Raises:
        ValueError: if a weight is beyond the range of the format.
    """
    found = {} if source is None else {path.name: path for path in stages_of(source)}
    # A tokenizer that is rounded has another fingerprint.
    names = {before.video_tokenizer: stored.video_tokenizer}
    with TemporaryDirectory() as place:
        for name, path in found.items():
            if (path / "video_tokenizer").is_dir():
                tokenizer, written = load_video_tokenizer(path / "video_tokenizer"), Path(place, name)
                save_part(tokenizer.save_pretrained, written, weights)
                names[tokenizer.fingerprint] = load_video_tokenizer(written).fingerprint
        for name, path in found.items():
            stage, own = SuperResolution.from_pretrained(path), Path(place, name)
            write = _StageWriter(stage, names, own if own.is_dir() else None)
            save_part(write, folder / STAGES / name, weights)


@dataclass(frozen=True, eq=False)
class _StageWriter:
    """Writes a stage to a folder.

    Args:
        names: fingerprints of the tokenizers as they are stored, by what they were.
        tokenizer: folder of its own one, if it has one.
    """

    stage: SuperResolution
    names: Mapping[str, str]
    tokenizer: Path | None

    def __call__(self, folder: Path) -> None:
        config = self.stage.config
        low, large = (
            replace(each, video_tokenizer=self.names.get(each.video_tokenizer, each.video_tokenizer))
            for each in (config.clips.low, config.clips.large)
        )
        self.stage.config = replace(config, clips=replace(config.clips, low=low, large=large))
        self.stage.save_pretrained(folder)
        if self.tokenizer is not None:
            shutil.copytree(self.tokenizer, folder / "video_tokenizer")


def push_model(folder: Path, name: str, **options: Unpack[PushOptions]) -> str:
    """Copy a model folder to a repository of the hub; returns its address.

    Files of other kinds than hub.KINDS, hidden ones and folders that are no parts stay here. The page of the
    folder is told the name, unless it was edited by hand or names another one.

    Args:
        name: user/name.

    Raises:
        FileNotFoundError: if there is no such folder, or it is not a whole model.
        ValueError: if a file is damaged or a link out of the folder, or the hub refuses.
    """
    ModelConfig.load(folder)
    check_model(folder, verify=True)
    if missing := [part for part in ("lm", "video_tokenizer") if not (folder / part).is_dir()]:
        raise FileNotFoundError(f"{folder} has no {missing[0]}: it is not a whole model")
    card = ModelCard.load(folder)
    if is_own(folder) and not card.name:
        write_card(folder, replace(card, name=name))
    return upload(folder, _uploaded(folder), name, [f"{part}/*" for part in (*PARTS, STAGES)], **options)


def _uploaded(folder: Path) -> list[str]:
    """The names of the files of a model that are copied, from the folder on."""
    names, places = [], places_of(folder)
    for place in (folder, *(folder / part for part in parts_of(folder))):
        found = {path for kind in KINDS for path in place.glob(kind) if path.is_file()}
        for path in sorted(each for each in found if not each.name.startswith(".")):
            if not is_inside(path, places):
                raise ValueError(f"{path} is a link out of the model folder; it is not uploaded")
            names.append(path.relative_to(folder).as_posix())
    return names
