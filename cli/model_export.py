"""`videolm export`: the model folder of any checkpoint of a run; and what a run exports while it goes on.

    RUN/training/<stage>/config.yaml     the settings of the module
    RUN/training/tokenizer/clips.json    what a tokenizer's folder has beside the weights; of audio likewise
    RUN/training/super-resolution/stage.json     the two sizes of the stage, and its tokenizers
    RUN/training/lm/text/                what a language model's folder has beside the weights, written when a
                                         run begins: text tokenizer, vocabulary, config and sampling

A model folder changes as a whole: `generate` finds the former model or the new one.
"""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.distributed.checkpoint import load as load_sharded

from ..data.codes.trained_clips import TrainedClips
from ..data.runtime.files import changing, read_object, replacing, write_json
from ..data.runtime.parsing import bounded_text, parse_yaml
from ..data.runtime.typed_fields import from_fields
from ..training.best_model import BestModel
from ..training.checkpoints import find_checkpoint, problem_of, step_of
from ..training.ema import Weights
from .init_from import CODECS, copy_tokenizers
from .stages import STAGES, Stage

TEXT = "text"  # folder of a language model's stage
SIZES = "stage.json"  # of a stage of super-resolution
# Only at the beginning of a training do its weights follow from these.
_OF_BEGIN = ("init_from", "perceptual")


def export_part(
    stage: Stage, best: BestModel, trainer: Trainer, module: Any, datamodule: Any, folder: Path
) -> int:
    """Write a stage's part of a model folder as the training stands; called by all processes.

    A language model gets the tokenizers that it was trained with, unless the folder has some.

    Returns:
        the step that it is of: of the best validation, where models of validations are kept.
    """
    with changing(folder) if trainer.is_global_zero else nullcontext(folder) as temporary:
        step = best.export(trainer, module, temporary)
        if stage.keeps_text:
            rank_zero_only(copy_tokenizers)(datamodule.folder, temporary, CODECS)
        if hasattr(datamodule, "export"):
            rank_zero_only(datamodule.export)(temporary)
    return step


def keep_beside(stage: Stage, datamodule: Any, folder: Path) -> None:
    """Keep in a stage's folder what a model needs beside the weights; a run that goes on has it."""
    if not stage.reads_model:
        datamodule.trained_clips.save(folder)
    elif not stage.keeps_text:
        write_json(folder / SIZES, asdict(datamodule.stage))
    elif datamodule.text_folder != folder / TEXT:
        with replacing(folder / TEXT) as temporary:
            temporary.mkdir()
            datamodule.keep_text(temporary)


def export_run(run: Path, checkpoint: Path | None, weights: Weights | None, out: Path | None) -> list[Path]:
    """Write the model folder of a run's checkpoints.

    Args:
        checkpoint: of one stage; None takes the last one of every stage that has one.
        weights: "ema" for the running average of the weights, "raw" for themselves; None takes the average
            if there is one.
        out: None writes to RUN/model.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if it is not whole, of no stage, or has no average and that is asked for.
    """
    checkpoints = [checkpoint] if checkpoint is not None else _last_of(run)
    written = []
    folder = run / "model" if out is None else out
    for each in checkpoints:
        stage = _stage_of(each)
        if (problem := problem_of(each)) is not None:
            raise ValueError(f"{each} is not whole: {problem}")
        config = _config_of(each.parent)
        module = _module_of(stage, each.parent, config)
        _load(module, each)
        with changing(folder) as temporary:
            if stage.keeps_text:
                _copy_codecs([run / "model", Path(config["data"]["model"])], temporary)
            module.export(temporary, weights)  # pyright: ignore[reportCallIssue]  every stage's has it
            if stage.keeps_text:
                _copy_text(each.parent / TEXT, temporary)
            elif (clips := TrainedClips.load(each.parent)) is not None:
                clips.save(temporary / stage.part)
        part = folder / getattr(module, "part", stage.part)
        print(f"{part} is of step {step_of(each):,}")
        written.append(part)
    return written


def _last_of(run: Path) -> list[Path]:
    found = [find_checkpoint(run / "training" / name).path for name in STAGES]
    checkpoints = [path for path in found if path is not None]
    if not checkpoints:
        raise FileNotFoundError(f"{run} has no checkpoint in training/*/; is it the run folder of a fit?")
    return checkpoints


def _stage_of(checkpoint: Path) -> Stage:
    if not checkpoint.exists():
        raise FileNotFoundError(f"no checkpoint {checkpoint}")
    stage = STAGES.get(checkpoint.resolve().parent.name)
    if stage is None:
        names = ", ".join(f"RUN/training/{name}" for name in STAGES)
        raise ValueError(f"{checkpoint} is of no stage of a run; expected a checkpoint in {names}")
    return stage


def _config_of(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}, which says what model the checkpoint is of")
    config = parse_yaml(bounded_text(path), str(path))
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise ValueError(f"{path} is damaged: it holds no settings of a model")
    return config


def _module_of(stage: Stage, folder: Path, config: dict[str, Any]) -> LightningModule:
    """The module as it was trained, with weights of its own."""
    of_data = {}
    if stage.reads_model:
        of_data = _of_text(folder) if stage.keeps_text else _of_sizes(folder)
    settings = {name: value for name, value in config["model"].items() if name not in of_data}
    settings |= {name: None for name in _OF_BEGIN if name in settings}
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_class_arguments(stage.classes()[0], "model", skip=set(of_data), instantiate=False)
    parsed = parser.instantiate_classes(parser.parse_object({"model": settings}))
    return stage.classes()[0](**vars(parsed["model"]), **of_data)


def _of_sizes(folder: Path) -> dict[str, Any]:
    """What a module of super-resolution has from its data."""
    from ..super_resolution.stage_clips import StageClips

    path = folder / SIZES
    return {"stage": from_fields(StageClips, read_object(path), str(path))}


def _of_text(folder: Path) -> dict[str, Any]:
    """What a language model's module has from its data."""
    from ..lm.vocabulary import Vocabulary
    from ..tasks.model_config import ModelConfig

    kept = folder / TEXT
    if not kept.is_dir():
        raise FileNotFoundError(
            f"no {kept}: this run was begun by an earlier version; go on with it for a step, which writes it"
        )
    vocabulary = Vocabulary.load(kept / "vocabulary.json")
    return {"vocabulary": vocabulary, "text_width": ModelConfig.load(kept).text_width}


def _load(module: LightningModule, checkpoint: Path) -> None:
    """Load the weights of a checkpoint, which may be a sharded one."""
    if checkpoint.is_dir():
        state = {"state_dict": module.state_dict()}
        load_sharded(state, checkpoint_id=checkpoint, no_dist=True)
    else:
        state = torch.load(checkpoint, weights_only=True, map_location="cpu", mmap=True)
    module.load_state_dict(state["state_dict"])


def _copy_codecs(sources: list[Path], target: Path) -> None:
    for source in sources:
        copy_tokenizers(source, target, CODECS)
    if not (target / CODECS[0]).exists():
        places = " or ".join(map(str, sources))
        raise FileNotFoundError(f"no {CODECS[0]} in {places}; is this the working folder of the training?")


def _copy_text(source: Path, target: Path) -> None:
    from ..tasks.training_data.model_text import copy_text

    copy_text(source, target)
