"""config.json of a whole model: the sizes of its clips, its tasks and the tokenizers it was trained with.

MODEL/config.json       this file
MODEL/vocabulary.json   blocks of ids
MODEL/sampling.json     where it recommends how to sample (recommended_sampling.py)
MODEL/checksums.json    of these; every part has one of its own
MODEL/lm/ video_tokenizer/ audio_tokenizer/ text_tokenizer/
MODEL/super_resolution/SIZE/
                        a stage that makes clips of this size; video_tokenizer/ in it if it has its own
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ..data.codes.clip_format import SIZE_FIELDS, ClipFormat
from ..data.runtime.checksums import CHECKSUMS, check_files, folder_digests, record_checksums
from ..data.runtime.files import read_json, write_json
from ..data.runtime.pretrained import CONFIG_VERSION, refuse_sharded
from ..lm.vocabulary import Vocabulary
from ..super_resolution.stage_clips import PART as STAGES
from .spans import AudioOrder, Lengths
from .task import Task, configured, load_task
from .text_budget import LEAST_PIECES

KIND = "videolm"
PARTS = ("video_tokenizer", "audio_tokenizer", "text_tokenizer", "lm")
_FILES = ("config.json", "vocabulary.json")


@dataclass(frozen=True)
class ModelConfig:
    """What the parts of a model folder agree on.

    Args:
        clips: the default size, and fingerprints of the video and audio tokenizers.
        tasks: names of the tasks that the language model was trained on.
        text_tokenizer: fingerprint; empty for a model without text.
        audio_order: as in `spans.Lengths`.
        source: the token that stands in all of its sequences, as in `spans.Lengths`.
        text_width: of the embeddings of text, as in `spans.Lengths`.
        others: the further sizes of clips that it was trained on; all else is as in `clips`.
        text_pieces: that it reads of a text at most.
    """

    clips: ClipFormat
    tasks: tuple[str, ...]
    text_tokenizer: str = ""
    audio_order: AudioOrder = "level"
    source: str = ""
    text_width: int = 0
    others: tuple[ClipFormat, ...] = ()
    text_pieces: int = LEAST_PIECES

    @property
    def formats(self) -> tuple[ClipFormat, ...]:
        """The clips of every size, the default first."""
        return (self.clips, *self.others)

    @property
    def lengths(self) -> Lengths:
        """The lengths of its sequences of the default size without text."""
        return self.lengths_of(self.clips)

    def lengths_of(self, clips: ClipFormat) -> Lengths:
        """As `lengths`, of one of `formats`."""
        lengths = Lengths.of_format(clips, self.audio_order, default=self.clips)
        return replace(lengths, source=self.source, text_width=self.text_width)

    def task(self, name: str) -> Task:
        """One of the model's tasks, by its name or the path of its file; conditions as in training.

        Raises:
            ValueError: if there is no such task, or the model was not trained on it.
        """
        task = load_task(name)
        if task.name not in self.tasks:
            raise ValueError(
                f"this model was not trained on task {task.name}; it has {', '.join(self.tasks)}"
            )
        return configured([task], self.clips.variants)[0]

    def needs_sound(self, tasks: Sequence[str] | None) -> bool:
        """Whether one of the tasks, of all of the model's if they are not given, has codes of sound."""
        if tasks is None or not self.clips.has_audio:
            return self.clips.has_audio
        portions = [(*task.inputs, *task.outputs) for task in map(self.task, tasks)]
        return any(portion.kind == "audio" for own in portions for portion in own)

    def check_tokenizers(self, video: Any, audio: Any, text: Any, *, needs_sound: bool = True) -> None:
        """Refuse tokenizers other than those whose codes the language model was trained on.

        Args:
            needs_sound: whether the audio tokenizer of a model that has one must be given.
        """
        pairs = (
            ("video", video, self.clips.video_tokenizer),
            ("audio", audio, self.clips.audio_tokenizer),
            ("text", text, self.text_tokenizer),
        )
        for name, tokenizer, expected in pairs:
            if expected and tokenizer is None and (needs_sound or name != "audio"):
                raise FileNotFoundError(f"the model was trained with a {name} tokenizer, and none is given")
            if tokenizer is not None and tokenizer.fingerprint != expected:
                raise ValueError(
                    f"the {name} tokenizer ({tokenizer.fingerprint}) is not the one that the language model "
                    f"was trained with ({expected or 'none'}): encode and lm fit again, or put that one back"
                )

    def save(self, folder: Path) -> None:
        header = {"kind": KIND, "config_version": CONFIG_VERSION}
        write_json(folder / "config.json", header | self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "clips": self.clips.to_json(),
            "tasks": self.tasks,
            "text_tokenizer": self.text_tokenizer,
            "audio_order": self.audio_order,
            "source": self.source,
            "text_width": self.text_width,
            "other_sizes": [clips.size for clips in self.others],
            "text_pieces": self.text_pieces,
        }

    @classmethod
    def load(cls, folder: Path) -> "ModelConfig":
        """Read config.json of a model folder.

        Raises:
            FileNotFoundError: if the folder or the file is missing.
            ValueError: if it describes something else.
        """
        path = folder / "config.json"
        if not folder.is_dir():
            raise FileNotFoundError(f"no model folder {folder}")
        refuse_sharded(folder)
        check_files(folder)
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} has no config.json: its language model is not trained (lm fit)"
            )
        stored = read_json(path)
        if not isinstance(stored, dict) or stored.get("kind") != KIND:
            raise ValueError(f"{path} does not describe a whole model; expected kind {KIND!r}")
        if stored.get("config_version") != CONFIG_VERSION:
            found = stored.get("config_version")
            raise ValueError(f"{path} has config_version {found!r}; this videolm reads {CONFIG_VERSION}")
        try:
            clips = ClipFormat.from_json(stored["clips"])
            order = stored.get("audio_order", "level")  # the paper's, where nothing is said
            if order not in get_args(AudioOrder):
                raise ValueError(f"{path} has audio_order {order!r}; expected one of {get_args(AudioOrder)}")
            # Older models were stored without these four.
            source, text_width = stored.get("source", ""), stored.get("text_width", 0)
            pieces = stored.get("text_pieces", LEAST_PIECES)
            if type(pieces) is not int or pieces < 1:
                raise ValueError(f"{path} has text_pieces {pieces!r}; expected a whole number from 1 on")
            if not isinstance(source, str) or type(text_width) is not int or text_width < 0:
                raise TypeError(f"source is {source!r} and text_width {text_width!r}")
            sizes = [_checked_size(size) for size in stored.get("other_sizes", [])]
            others = tuple(ClipFormat.from_json(stored["clips"] | size) for size in sizes)
            tasks, text = _task_names(stored["tasks"], path), stored["text_tokenizer"]
            if not isinstance(text, str):
                raise TypeError(f"text_tokenizer is {text!r}")
            return cls(clips, tasks, text, order, source, text_width, others, pieces)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not complete: {error}") from error
        except ValueError as error:
            raise error if str(path) in str(error) else ValueError(f"{path}: {error}") from error


def parts_of(folder: Path) -> tuple[str, ...]:
    """The names of the parts of a model folder: PARTS, whether they are there or not, and all stages."""
    stages = stages_of(folder)
    own = [path / "video_tokenizer" for path in stages if (path / "video_tokenizer").is_dir()]
    return (*PARTS, *(path.relative_to(folder).as_posix() for path in sorted([*stages, *own])))


def stages_of(folder: Path) -> list[Path]:
    """The folders of the stages of super-resolution in a model folder, by their names."""
    return sorted(path for path in (folder / STAGES).glob("[!.]*") if path.is_dir())


def save_model_files(folder: Path, config: ModelConfig, vocabulary: Vocabulary) -> None:
    """Write what stands in a model folder beside its parts, and the checksums."""
    (folder / CHECKSUMS).unlink(missing_ok=True)  # whoever is stopped here leaves files without a list
    vocabulary.save(folder / "vocabulary.json")
    config.save(folder)
    record_checksums(folder, *_FILES)


def check_model(folder: Path, verify: bool = False) -> None:
    """Compare all files of a model folder with their checksums; errors as `check_files`.

    Args:
        verify: whole files, however large they are.
    """
    for place in (folder, *(folder / part for part in parts_of(folder))):
        check_files(place, verify)


def model_fingerprint(folder: Path) -> str:
    """16 hex digits that change with any setting or weight of a model folder, wherever it is.

    Of a file above 1 GB 256 pieces count (data/runtime/checksums.py).

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder {folder}")
    own = {name: digest for name, digest in folder_digests(folder).items() if name in _FILES}
    parts = {part: folder_digests(folder / part) for part in parts_of(folder)}
    return hashlib.sha256(json.dumps([own, parts], sort_keys=True).encode()).hexdigest()[:16]


def _task_names(stored: Any, path: Path) -> tuple[str, ...]:
    """The names of tasks, none of them one that `load_task` would take for a file and run."""
    if not isinstance(stored, list) or not stored or not all(isinstance(name, str) for name in stored):
        raise TypeError(f"tasks are {stored!r}; expected names")
    for name in stored:
        if name.endswith(".py") or Path(name).name != name:
            raise ValueError(
                f"{path} names task {name!r}; expected names without folders or .py: a model brings no code, "
                "and the file of a task of one's own is given by --task-file"
            )
    return tuple(stored)


def _checked_size(size: Any) -> dict[str, Any]:
    if not isinstance(size, dict) or size.keys() != set(SIZE_FIELDS):
        raise TypeError(f"a size is {size!r}; expected {', '.join(SIZE_FIELDS)}")
    return size
