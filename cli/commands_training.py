"""The commands that train and validate the stages; LightningCLI parses what they are given."""

from pathlib import Path
from typing import Literal


def tokenizer_fit(arguments: list[str]) -> list[Path]:
    """Train the video tokenizer: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("tokenizer", arguments)


def tokenizer_validate(arguments: list[str]) -> list[Path]:
    """Score the trained video tokenizer of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("tokenizer", arguments)


def audio_fit(arguments: list[str]) -> list[Path]:
    """Train the audio codec: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("audio", arguments)


def audio_validate(arguments: list[str]) -> list[Path]:
    """Score the trained audio codec of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("audio", arguments)


def super_resolution_fit(arguments: list[str]) -> list[Path]:
    """Train a stage of super-resolution: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("super-resolution", arguments)


def super_resolution_validate(arguments: list[str]) -> list[Path]:
    """Score the trained stage of super-resolution of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("super-resolution", arguments)


def lm_fit(arguments: list[str]) -> list[Path]:
    """Train the language model: --config NAME_OR_YAML --out RUN; --help lists all settings."""
    from .stage_cli import fit

    return fit("lm", arguments)


def lm_validate(arguments: list[str]) -> list[Path]:
    """Score the trained language model of a run: --config NAME_OR_YAML --out RUN."""
    from .stage_cli import validate

    return validate("lm", arguments)


def export(
    run: Path, *, checkpoint: Path | None = None, weights: Literal["ema", "raw"] | None = None,
    out: Path | None = None,
) -> list[Path]:  # fmt: skip
    """Make a model folder of a run's checkpoints, also while it goes on.

    Args:
        run: run folder of a fit.
        checkpoint: RUN/training/STAGE/step-000400.ckpt, best.ckpt or another; if not given, the last one of
            every stage.
        weights: ema for the running average of the weights, raw for themselves; the average if there is one.
        out: model folder; RUN/model if not given. What else is in it stays.
    """
    from .model_export import export_run

    return export_run(run, checkpoint, weights, out)
