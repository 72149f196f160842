"""The training commands: LightningCLI for one stage, with a run folder around it.

    videolm tokenizer fit --config demo --out runs/mine --trainer.max_steps 500

`--config` takes a YAML file or the name of one in configs/<stage>/ (config_files.py). A stage writes
config.yaml, metrics.csv, last.ckpt and samples/ to RUN/training/<stage>/, and its part of the finished model
to RUN/model/. A fit that was stopped goes on from its last.ckpt.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..data.runtime.made_with import MadeWith, refuse_others
from ..data.runtime.parsing import bounded_text, parse_yaml
from ..training.callbacks import FitProgress, LastCheckpoint
from ..training.run_logs import csv_logger, quiet_lightning, step_of
from ..training.strategies import FSDP2Strategy, strategy_of
from .config_files import with_packaged_configs
from .init_from import language_model_from, value_of
from .stages import STAGES, Stage


def fit(stage: str, arguments: list[str]) -> list[Path]:
    """Train one stage and write its part of the model; returns what was written."""
    with quiet_lightning():
        cli = StageCLI(STAGES[stage], "fit", arguments)
        checkpoint = cli.folder / "last.ckpt"
        if checkpoint.exists():
            _check_loadable(checkpoint, cli.trainer)
            rank_zero_only(print)(f"going on from {checkpoint} at step {step_of(checkpoint)}", flush=True)
        _check_contents(cli, checkpoint)
        rank_zero_only(cli.save_config)()
        with _interruptible():
            cli.trainer.fit(
                cli.model,
                cli.datamodule,
                ckpt_path=checkpoint if checkpoint.exists() else None,
                weights_only=True,
            )
        model_folder = cli.out / "model"
        cli.model.export(model_folder)
        if hasattr(cli.datamodule, "export"):
            rank_zero_only(cli.datamodule.export)(model_folder)
    return [cli.folder, model_folder / cli.stage.part] if cli.trainer.is_global_zero else []


def validate(stage: str, arguments: list[str]) -> list[Path]:
    """Score the last checkpoint of one stage on held-out data and print the scores."""
    with quiet_lightning():
        cli = StageCLI(STAGES[stage], "validate", arguments)
        checkpoint = cli.folder / "last.ckpt"
        if not checkpoint.exists():
            raise FileNotFoundError(f"no {checkpoint}; train it first: videolm {stage} fit --out {cli.out}")
        _check_loadable(checkpoint, cli.trainer)
        scores = cli.trainer.validate(
            cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True, verbose=False
        )
        for name, value in sorted((name, value) for each in scores for name, value in each.items()):
            print(f"{name:32} {value:.4f}")
        report = cli.stage.report
        return [] if report is None else report(cli.model, cli.datamodule, cli.folder)


class StageCLI(LightningCLI):
    """LightningCLI for one stage and verb, writing into a run folder."""

    def __init__(self, stage: Stage, verb: Literal["fit", "validate"], arguments: list[str]):
        self.stage = stage
        self.verb = verb
        module, datamodule = stage.classes()
        if stage.reads_model:
            arguments = language_model_from(arguments)
        super().__init__(
            module,
            datamodule,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={
                "devices": 1,
                "log_every_n_steps": 10,
                "num_sanity_val_steps": 0,
                "enable_progress_bar": False,
                "enable_model_summary": False,
            },
            parser_kwargs={
                "prog": f"videolm {stage.name} {verb}",
                "description": (fit if verb == "fit" else validate).__doc__,
                "exit_on_error": False,
            },
            args=[*_defaults(stage, arguments), *with_packaged_configs(arguments, stage.name)],
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    @property
    def out(self) -> Path:
        return self.config["out"]

    @property
    def folder(self) -> Path:
        return self.out / "training" / self.stage.name

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--out", type=Path, required=True, help="run folder")
        parser.add_argument(
            "--logger",
            type=Literal["csv", "tensorboard", "wandb"],
            default="csv",
            help="metrics.csv is always written; this may add TensorBoard or Weights & Biases",
        )
        parser.add_argument(
            "--checkpoint_every", type=int, default=200, help="steps between two writings of last.ckpt"
        )
        if self.stage.reads_model:
            parser.add_argument(
                "--init_from", type=Path | None, help="model folder to train on from, in a run of its own"
            )
        for source, target in self.stage.links:
            parser.link_arguments(source, target, apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.verb == "fit":
            self._refuse_other_settings()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        settings = dict(self.config_init["trainer"]) | kwargs
        settings["strategy"] = strategy_of(settings["strategy"])
        settings["default_root_dir"] = str(self.folder)
        settings["logger"] = self._loggers() if self.verb == "fit" else False
        settings["callbacks"] = [
            *(settings["callbacks"] or []),
            FitProgress(f"{self.stage.name} {self.verb}"),
        ]
        if self.verb == "fit":
            settings["callbacks"].append(LastCheckpoint(self.folder, self.config["checkpoint_every"]))
        return Trainer(**settings)

    def save_config(self) -> None:
        self.parser.save(self.config, self.folder / "config.yaml", skip_none=False, overwrite=True)

    def _refuse_other_settings(self) -> None:
        """A checkpoint goes on only with the model and the data that it was made with."""
        checkpoint, stored = self.folder / "last.ckpt", self.folder / "config.yaml"
        if not (checkpoint.exists() and stored.is_file()):
            return
        before = _settings(parse_yaml(bounded_text(stored), str(stored)) or {})
        now = _settings(yaml.safe_load(self.parser.dump(self.config, skip_none=False)))
        refuse_others(self.folder, before, now, "a checkpoint")

    def _loggers(self) -> list[Logger]:
        loggers: list[Logger] = [csv_logger(self.folder)]
        if self.config["logger"] == "tensorboard":
            loggers.append(TensorBoardLogger(self.folder, name="", version=""))
        if self.config["logger"] == "wandb":
            loggers.append(WandbLogger(save_dir=self.folder, name=self.out.name, project="videolm"))
        return loggers


def _check_contents(cli: StageCLI, checkpoint: Path) -> None:
    """A checkpoint goes on only with the contents of the data that it was made with; of others it is refused.

    Checkpoints of earlier versions have no record, and go on.
    """
    if not hasattr(cli.datamodule, "contents"):
        return
    record = MadeWith(cli.folder / "data.json", cli.datamodule.contents())
    if checkpoint.exists() and record.found is not None:
        refuse_others(cli.folder, record.found, record.settings, "a checkpoint")
    else:
        rank_zero_only(record.write)()


def _check_loadable(checkpoint: Path, trainer: Trainer) -> None:
    if checkpoint.is_dir() and not isinstance(trainer.strategy, FSDP2Strategy):
        raise ValueError(
            f"{checkpoint} was written by a sharded training; go on with --trainer.strategy fsdp2, "
            "on any number of devices"
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning turns Ctrl-C into exit(1) and is deaf to a second one; undo both."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


def _defaults(stage: Stage, arguments: list[str]) -> list[str]:
    """Settings that follow from --out unless a config or an option says otherwise: these come first."""
    out = value_of(arguments, "--out")
    return ["--data.model", str(Path(out) / "model")] if stage.reads_model and out is not None else []


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of model and data by their full names."""
    found: dict[str, Any] = {}

    def collect(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(f"{name}.{key}", inner)
        else:
            found[name] = value

    for section in ("model", "data"):
        collect(section, config.get(section, {}))
    return found
