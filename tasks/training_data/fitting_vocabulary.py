"""The vocabulary of a model that is to be trained: its folder's, if that fits the clips, or a new one."""

from collections.abc import Sequence
from pathlib import Path

from ...data.codes.clip_format import ClipFormat
from ...lm.vocabulary import Vocabulary
from ..model_config import ModelConfig
from ..task import Task


def fitting_vocabulary(
    clips: ClipFormat, tasks: Sequence[Task], pieces: int, folder: Path, names: Sequence[str] = ()
) -> Vocabulary:
    """The stored vocabulary, with what it lacks of the blocks of codes after it, or a new one.

    Args:
        tasks: actions and their outcomes have blocks if one of these needs them.
        pieces: of text; 0 for none.
        folder: of the model.
        names: that it must have, such as a source's and large numbers.
    """
    vocabulary = Vocabulary.of_sizes(visual=clips.factors, audio=clips.codebook_sizes, text=pieces)
    if clips.action_space is not None and any(task.has_actions for task in tasks):
        vocabulary = vocabulary.extended(clips.action_space.blocks)
    needed = {block.name: block.factors for block in vocabulary.blocks}
    path = folder / "vocabulary.json"
    if path.is_file():
        stored = Vocabulary.load(path)
        known = {block.name: block.factors for block in stored.blocks}
        if needed.items() <= (needed | known).items():
            missing = {name: factors for name, factors in needed.items() if name not in known}
            vocabulary = stored.extended(missing)
    missing_names = [name for name in names if name not in vocabulary.custom]
    return vocabulary.extended({}, missing_names) if missing_names else vocabulary


def check_same_actions(clips: ClipFormat, init_from: Path | None) -> None:
    """Refuse clips whose actions mean something else than in the model from which a training starts.

    Raises:
        ValueError: if both have actions, of other names, choices, bins or rate.
    """
    if init_from is None or not (init_from / "config.json").is_file():
        return
    before, now = ModelConfig.load(init_from).clips.action_space, clips.action_space
    if before is not None and now is not None and before != now:
        raise ValueError(
            f"the model of {init_from} was trained on other actions than these clips have: "
            f"{before.differences(now)}"
        )
