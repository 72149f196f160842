"""Starting from the weights of a stage that is trained already."""

from dataclasses import fields
from pathlib import Path

from ...data.runtime.pretrained import load_weights, read_config
from ..transformer import StageConfig, SuperResolution


def start_from(model: SuperResolution, folder: Path) -> None:
    """Load the weights of a stage's folder.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if its sizes, windows, grids or tokenizers are others.
    """
    stored: StageConfig = read_config(folder, SuperResolution.kind, StageConfig)
    pairs = [(stored.model, model.config.model), (stored.clips, model.config.clips)]
    different = [
        f"{field.name} {getattr(theirs, field.name)}, not {getattr(own, field.name)}"
        for theirs, own in pairs
        for field in fields(theirs)
        if getattr(theirs, field.name) != getattr(own, field.name)
    ]
    if different:
        raise ValueError(f"the stage of {folder} has {'; '.join(different)}")
    was_training = model.training
    load_weights(model, folder)
    model.train(was_training)
