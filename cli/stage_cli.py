"""The training commands: LightningCLI for one stage, with a run folder around it.

    videolm tokenizer fit --config demo --out runs/mine --trainer.max_steps 500

`--config` takes a YAML file or the name of one in configs/<stage>/ (config_files.py). A stage writes
config.yaml, metrics.csv, last.ckpt and samples/ to RUN/training/<stage>/, and its part of the model, that of
the best validation so far, to RUN/model/. A fit that was stopped goes on from its last.ckpt.
"""

import sys
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import yaml
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.plugins.environments import ClusterEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..data.runtime.files import replacing
from ..data.runtime.made_with import MadeWith
from ..data.runtime.one_writer import only_writer
from ..data.runtime.parsing import bounded_text, parse_yaml
from ..training.background_writing import BackgroundCheckpointIO
from ..training.best_model import BestModel
from ..training.callbacks import FitProgress, SecondInterrupt
from ..training.checkpoints import LAST, Found, WholeCheckpointIO, find_checkpoint, step_of
from ..training.loss_spikes import LossSpikes, SpikeSettings
from ..training.run_logs import csv_logger, quiet_lightning, wandb_logger
from ..training.run_news import RunNews
from ..training.run_settings import check_names, compared, refuse_changed
from ..training.step_budget import StepBudget, keep_steps, kept_steps, shorten_schedules
from ..training.step_times import StepTimes
from ..training.stop_signals import StopSignals
from ..training.strategies import FSDP2Strategy, environment_of, strategy_of
from ..training.validation_steps import ValidationSteps
from ..training.validations import Quality
from .checkpoint_options import add_checkpoint_arguments, checkpoint_callbacks
from .closing_words import closing_words
from .code_in_configs import refuse_task_files, restrict_classes
from .config_files import with_packaged_configs
from .init_from import value_of
from .model_export import TEXT, export_part, keep_beside
from .stages import STAGES, Stage


def fit(stage: str, arguments: list[str]) -> list[Path]:
    """Train one stage and write its part of the model; returns what was written."""
    with quiet_lightning(), ExitStack() as until_end:
        cli = StageCLI(STAGES[stage], "fit", arguments, until_end)
        if (checkpoint := cli.checkpoint.path) is not None:
            _check_loadable(checkpoint, cli.trainer)
            rank_zero_only(print)(f"going on from {checkpoint} at step {step_of(checkpoint)}", flush=True)
        _check_contents(cli, checkpoint)
        rank_zero_only(cli.save_config)()
        rank_zero_only(keep_beside)(cli.stage, cli.datamodule, cli.folder)
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
        cli.best.finish(cli.trainer, cli.model, cli.datamodule)
        model_folder = cli.out / "model"
        step = export_part(cli.stage, cli.best, cli.trainer, cli.model, cli.datamodule, model_folder)
        if cli.trainer.is_global_zero:
            data = cli.config["data"].as_dict()
            words = closing_words(cli.stage, cli.part, cli.trainer, cli.news, step, cli.out, data)
            print("\n".join(words), flush=True)
    return [cli.folder, model_folder / cli.part] if cli.trainer.is_global_zero else []


def validate(stage: str, arguments: list[str]) -> list[Path]:
    """Score the last checkpoint of one stage on held-out data and print the scores."""
    with quiet_lightning(), ExitStack() as until_end:
        cli = StageCLI(STAGES[stage], "validate", arguments, until_end)
        if (checkpoint := cli.checkpoint.path) is None:
            missing = cli.folder / LAST
            raise FileNotFoundError(f"no {missing}; train it first: videolm {stage} fit --out {cli.out}")
        _check_loadable(checkpoint, cli.trainer)
        scores = cli.trainer.validate(
            cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True, verbose=False
        )
        for name, value in sorted((name, value) for each in scores for name, value in each.items()):
            print(f"{name:32} {value:.4f}")
        report = cli.stage.report
        return [] if report is None else report(cli.model, cli.datamodule, cli.folder)


class StageCLI(LightningCLI):
    """LightningCLI for one stage and verb, writing into a run folder.

    Args:
        until_end: holds the lock of the stage's folder, of a fit.

    Attributes:
        checkpoint: to go on from.
        best: of a fit, keeps the model of the best validation.
        news: of a fit, says what it does.
        known_settings: names of those that are compared with the checkpoint's.
    """

    checkpoint: Found
    best: BestModel
    news: RunNews
    known_settings: AbstractSet[str] = frozenset()

    def __init__(
        self,
        stage: Stage,
        verb: Literal["fit", "validate"],
        arguments: list[str],
        until_end: ExitStack | None = None,
    ):
        self.stage = stage
        self.verb = verb
        self.until_end = until_end or ExitStack()
        module, datamodule = stage.classes()
        self.typed = arguments
        restrict_classes(arguments)
        if stage.starts is not None:
            arguments = stage.starts(arguments)
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
    def part(self) -> str:
        """What the export writes in RUN/model."""
        return getattr(self.model, "part", self.stage.part)

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
        add_checkpoint_arguments(parser)
        parser.add_argument(
            "--force_settings",
            nargs="*",
            type=str,
            default=[],
            metavar="NAME",
            help="settings, or groups of them, that a training that goes on may have others of than before",
        )
        parser.add_argument(
            "--keep_best",
            type=bool,
            default=True,
            help="the model of the best validation is exported; false exports that of the last step",
        )
        parser.add_argument(
            "--steps",
            type=StepBudget | None,
            help="steps by the number of clips, where trainer.max_steps is not given",
        )
        parser.add_argument(
            "--spikes",
            type=SpikeSettings,
            default=SpikeSettings(),
            help="what a spike of the loss is, and whether weights go back to the last checkpoint then",
        )
        if self.stage.starts is not None:
            parser.add_argument(
                "--init_from", type=Path | None, help="model folder to train on from, in a run of its own"
            )
        for source, target in self.stage.links:
            parser.link_arguments(source, target, apply_on="instantiate")
        for source, target in self.stage.same:
            parser.link_arguments(source, target)
        for source, target, function in self.stage.computed:
            parser.link_arguments(source, target, compute_fn=function)

    def before_instantiate_classes(self) -> None:
        refuse_task_files(self.config["data"].get("tasks") or (), self.typed)
        if self.verb == "fit":
            if rank_zero_only.rank == 0:  # pyright: ignore[reportFunctionMemberAccess]  # Lightning sets it
                self.until_end.enter_context(only_writer(self.folder))
            self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = find_checkpoint(self.folder)
        for line in self.checkpoint.torn:
            rank_zero_only(print)(f"passed over: {line}", file=sys.stderr, flush=True)
        text = self.folder / TEXT
        if self.stage.keeps_text and self.checkpoint.path is not None and text.is_dir():
            self.config["data"]["kept_text"] = text
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
            SecondInterrupt(),
        ]
        settings["plugins"] = self._plugins(settings)
        settings["callbacks"] += self._callbacks_of_fit() if self.verb == "fit" else []
        budget: StepBudget | None = self.config_init["steps"] if self.verb == "fit" else None
        spreads = budget is not None and type(settings["val_check_interval"]) is not int
        if spreads:
            settings["val_check_interval"] = 1  # until the number of steps is known
        trainer = Trainer(**settings)
        if budget is not None:
            self._budget_steps(trainer, budget, spreads)
        return trainer

    def _callbacks_of_fit(self) -> list[Callback]:
        quality: Quality = self.model.quality  # pyright: ignore[reportAssignmentType]  every stage's has one
        self.best = BestModel(self.folder, self.part, quality, self.config["keep_best"])
        self.news = RunNews(self.stage.name, self.datamodule.amount, self.best)
        checkpoints = checkpoint_callbacks(
            self.config.as_dict(), self.folder, quality, after=self.best.prune, export=self._export,
            signals=StopSignals(self.stage.name),
        )  # fmt: skip
        watching = (StepTimes(), LossSpikes(self.config_init["spikes"], self.folder), ValidationSteps())
        return [*self.stage.callbacks(), *watching, self.best, self.news, *checkpoints]

    def _export(self, trainer: Trainer) -> None:
        """Write the model as it is while the training goes on, as soon as there is one (`Quality.since`)."""
        if trainer.global_step > self.best.quality.since:
            folder = self.out / "model"
            export_part(self.stage, self.best, trainer, self.model, self.datamodule, folder)

    def _budget_steps(self, trainer: Trainer, budget: StepBudget, spreads: bool) -> None:
        """Set the number of steps by the number of clips, if it is not given.

        Args:
            spreads: validations over the steps, rather than by the trainer's interval.
        """
        budget.check()
        if trainer.max_steps < 0 and (trainer.max_epochs or 0) < 1:
            a_pass = self.datamodule.amount(trainer.world_size).steps_a_pass
            a_pass = None if a_pass is None else a_pass / trainer.accumulate_grad_batches
            steps = kept_steps(self.folder, budget, a_pass, goes_on=self.checkpoint.path is not None)
            trainer.fit_loop.epoch_loop.max_steps = steps
            shorten_schedules(self.model, steps)
            rank_zero_only(keep_steps)(self.folder, budget, steps)
        if spreads:
            steps = trainer.max_steps if trainer.max_steps > 0 else budget.most
            trainer.val_check_interval = budget.interval(steps) * trainer.accumulate_grad_batches

    def _plugins(self, settings: dict[str, Any]) -> list[Any]:
        """The given plugins and, where they leave it open, ours."""
        given = settings["plugins"] or []
        plugins = list(given) if isinstance(given, list | tuple) else [given]
        if not any(isinstance(each, ClusterEnvironment) for each in plugins):
            environment = environment_of(settings["devices"], settings["num_nodes"])
            plugins += [] if environment is None else [environment]
        is_sharded = isinstance(settings["strategy"], FSDP2Strategy)  # it writes its checkpoints itself
        if not is_sharded and not any(isinstance(each, CheckpointIO) for each in plugins):
            io = WholeCheckpointIO()
            in_background = self.verb == "fit" and self.config["checkpoint_in_background"]
            plugins.append(BackgroundCheckpointIO(io) if in_background else io)
        return plugins

    def save_config(self) -> None:
        config = self.config.clone()
        if self.stage.keeps_text:
            config["data"]["kept_text"] = None  # follows from the run folder, which may be moved
        with replacing(self.folder / "config.yaml") as temporary:
            self.parser.save(config, temporary, skip_none=False)

    def _refuse_other_settings(self) -> None:
        """A checkpoint goes on only with the settings that it was made with, or those that may change."""
        stored = self.folder / "config.yaml"
        if self.checkpoint.path is None or not stored.is_file():
            return
        before = compared(parse_yaml(bounded_text(stored), str(stored)) or {})
        now = compared(yaml.safe_load(self.parser.dump(self.config, skip_none=False)))
        self.known_settings = before.keys() | now.keys()
        for each in refuse_changed(self.folder, before, now, self.config["force_settings"]):
            rank_zero_only(print)(f"going on with {each}", flush=True)

    def _loggers(self) -> list[Logger]:
        loggers: list[Logger] = [csv_logger(self.folder, self.checkpoint.path)]
        if self.config["logger"] == "tensorboard":
            loggers.append(TensorBoardLogger(self.folder, name="", version=""))
        if self.config["logger"] == "wandb":
            goes_on = self.checkpoint.path is not None
            loggers.append(wandb_logger(self.folder, self.out.name, goes_on))
        return loggers


def _check_contents(cli: StageCLI, checkpoint: Path | None) -> None:
    """A language model goes on only with the contents of the data that it was begun with: codes and texts of
    others mean something else. Of a tokenizer it is said that its clips are others now.

    Checkpoints of earlier versions have no record, and go on.
    """
    contents = cli.datamodule.contents() if hasattr(cli.datamodule, "contents") else {}
    allowed = cli.config["force_settings"]
    if checkpoint is not None:
        check_names(allowed, cli.known_settings | contents.keys())
    if not contents:
        return
    record = MadeWith(cli.folder / "data.json", contents)
    found = record.found if checkpoint is not None else None
    if found is not None and cli.stage.reads_model:
        for each in refuse_changed(cli.folder, found, record.settings, allowed):
            rank_zero_only(print)(f"going on with {each}", flush=True)
    elif found is not None and not record.is_same:
        before, now = (values.get("clips", "other") for values in (found, record.settings))
        rank_zero_only(print)(
            f"the clips are not those that this training was begun with ({before} then, {now} now): "
            "it goes on with those of now",
            flush=True,
        )
        if checkpoint is not None and step_of(checkpoint) != cli.trainer.max_steps:
            rank_zero_only(cli.best.forget)()  # scores of other held-out clips cannot be compared
    rank_zero_only(record.write)()


def _check_loadable(checkpoint: Path, trainer: Trainer) -> None:
    if checkpoint.is_dir() and not isinstance(trainer.strategy, FSDP2Strategy):
        raise ValueError(
            f"{checkpoint} was written by a sharded training; go on with --trainer.strategy fsdp2, "
            "on any number of devices"
        )


def _defaults(stage: Stage, arguments: list[str]) -> list[str]:
    """Settings that follow from --out unless a config or an option says otherwise: these come first."""
    out = value_of(arguments, "--out")
    return ["--data.model", str(Path(out) / "model")] if stage.reads_model and out is not None else []
