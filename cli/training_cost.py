"""The cost of training a language model, from its config alone: what `videolm info CONFIG` prints.

Nothing is trained or loaded. Without shards, sizes are those of VideoPoet (Kondratyuk et al. 2024,
arXiv:2312.14125): 2^18 visual codes, 4 x 1024 audio codes, clips of 17 frames.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import ArgumentParser

from ..data.codes.bucketed_shards import holds_shards, read_shards
from ..data.codes.clip_format import ClipFormat
from ..data.environments.action_space import ActionDimension, ActionSpace
from ..data.media.timing import audio_latents, video_latents
from ..data.runtime.text_table import text_table
from ..lm.batch import Batch
from ..lm.model.transformer import LMConfig, PrefixLM
from ..lm.training.costs import Parameters, forward_flops, training_flops
from ..lm.training.lightning_module import LanguageModelTraining
from ..lm.training.memory import Plan, memory_of
from ..lm.vocabulary import Vocabulary, large_numbers
from ..tasks.layout import Layout
from ..tasks.spans import AudioOrder, Lengths
from ..tasks.task import Task, load_task
from ..tasks.text_budget import LEAST_PIECES, LEAST_VOCABULARY
from ..tasks.training_data.encode_shards import sizes_of
from ..tasks.training_data.lm_datamodule import LMDataModule
from .batch_choice import FILLED, memory_of_device, most_rows
from .code_in_configs import refuse_task_files, restrict_classes
from .config_files import read_config

_STRATEGIES: dict[str, Literal["ddp", "fsdp2"]] = {
    "auto": "ddp", "ddp": "ddp", "DDPStrategy": "ddp", "fsdp2": "fsdp2", "FSDP2Strategy": "fsdp2",
}  # fmt: skip
_VIDEOPOET_SIZE = (17, 128, 128)
_TEMPORAL_STRIDE, _SPATIAL_STRIDE = 4, 8
_SAMPLE_RATE, _HOP_LENGTH = 16_000, 320
_POSITIONS_A_STEP = 10**6


@dataclass(frozen=True)
class Wanted:
    """Settings that replace those of the config; None keeps the config's.

    Args:
        batch_size: rows; "auto" takes the most that fit a device.
        device_memory: GiB of a device, for "auto"; of the GPU here if not given.
        size: FRAMESxHEIGHTxWIDTH of the clips, for VideoPoet's tokenizers.
    """

    devices: int | None = None
    strategy: str | None = None
    precision: str | None = None
    batch_size: int | Literal["auto"] | None = None
    device_memory: float | None = None
    activation_checkpointing: int | None = None
    size: str | None = None

    def __post_init__(self) -> None:
        for name in ("devices", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} is {value}; expected 1 or more")
        if self.device_memory is not None and self.batch_size != "auto":
            raise ValueError("device_memory is for --batch-size auto")


def describe_config(path: Path, wanted: Wanted) -> str:
    """Parameters, sequences with their operations, and the memory of each device.

    Raises:
        ValueError: if it is not a config of `videolm lm fit`, or nothing can be trained as is wanted.
    """
    model, data, trainer = _read(path)
    refuse_task_files(data["tasks"])
    tasks = [load_task(name) for name in data["tasks"]]
    formats, origin = _formats(data, wanted.size)
    formats = [_acted(each) for each in formats] if any(task.has_actions for task in tasks) else formats
    clips = formats[0]
    custom = large_numbers(number for each in formats[1:] for number in each.grid)
    custom += [data["source_name"]] if data["source_name"] else []
    # What the captions decide if nothing is said is at least this.
    pieces = data["text_vocab_size"] or LEAST_VOCABULARY
    vocabulary = Vocabulary.of_sizes(clips.factors, clips.codebook_sizes, pieces, custom)
    if clips.action_space is not None:
        vocabulary = vocabulary.extended(clips.action_space.blocks)
    with torch.device("meta"):
        training = LanguageModelTraining(vocabulary=vocabulary, **model)
    text = data["text_pieces"] or LEAST_PIECES
    examples = _examples(tasks, vocabulary, formats, data["audio_order"], text)
    setting = setting_of(model, trainer, wanted)
    row_tokens = data["row_tokens"] * (data["batching"] == "packed")
    budget = None if wanted.batch_size else data["batch_tokens"]

    def largest(rows: int) -> tuple[dict[str, int], Plan]:
        """The batch that takes most memory, and what it takes."""
        plans = [_plan(each, vocabulary, rows, row_tokens, budget, setting) for each in examples.values()]
        costs = [memory_of(training, vocabulary, plan) for plan in plans]
        return max(zip(costs, plans, strict=True), key=lambda pair: sum(pair[0].values()))

    chosen: list[str] = []
    if wanted.batch_size == "auto":
        total = wanted.device_memory or memory_of_device()
        rows = most_rows(lambda rows: sum(largest(rows)[0].values()), int(total * 2**30 * FILLED))
        memory, plan = largest(rows)
        chosen = _chosen(plan, total)
    else:
        memory, plan = largest(wanted.batch_size or data["batch_size"])
    parts = (
        _parameters(training.model),
        _vocabulary(vocabulary, formats, origin),
        _sequences(training.model, vocabulary, examples, text),
        memory_lines(memory, plan, training.optimizer, f"{plan.rows} rows of {plan.positions:,} positions")
        + chosen,
    )
    return "\n\n".join("\n".join(lines) for lines in parts)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of model, data and trainer."""
    stage = LanguageModelTraining, LMDataModule
    model, data, trainer = settings_of(path, "lm", *stage, sizes=LMConfig, from_data="vocabulary")
    return model | {"compile": False}, data, trainer  # compiled layers cost what others do


def settings_of(
    path: Path, stage: str, module: type, datamodule: type, *, sizes: type, from_data: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of model, data and trainer of a config; the first two as their signatures say, with defaults.

    Weights to start from change nothing of the costs, and are left out.

    Args:
        stage: whose config it has to be.
        sizes: class of the model's sizes.
        from_data: the parameter that the module has from its data.

    Raises:
        ValueError: if it is a config of something else.
    """
    config = read_config(path)
    if not {"model", "data"} <= config.keys():
        raise ValueError(
            f"{path} is not a config of `videolm {stage} fit`: it has no sections model and data"
        )
    restrict_classes(())
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(module, "model", skip={from_data}, instantiate=False)
    parser.add_class_arguments(datamodule, "data", instantiate=False)
    given = {"model": config["model"], "data": {"model": ""} | config["data"]}
    parsed = parser.parse_object(given).as_dict()
    model = parsed["model"] | {"model": sizes(**parsed["model"]["model"]), "init_from": None}
    return model, parsed["data"], config.get("trainer") or {}


def _formats(data: dict[str, Any], size: str | None) -> tuple[list[ClipFormat], str]:
    """What the sequences are made of, and where that is known from."""
    shards = data["shards"]
    if size is not None:
        return [videopoet_format(*each, 8.0) for each in sizes_of(size)], "VideoPoet's tokenizers"
    if shards is not None and holds_shards(Path(shards)):
        return [reader.clips for reader in read_shards(shards)], f"of {shards}"
    if shards is not None:
        usual = videopoet_format(*_VIDEOPOET_SIZE, 8.0)
        return [usual], f"VideoPoet's, as there are no codes in {shards} yet"
    sizes = (data["num_frames"], data["height"], data["width"], data["fps"])
    return [videopoet_format(*sizes)], "VideoPoet's tokenizers"


def _acted(clips: ClipFormat) -> ClipFormat:
    """Clips with actions; where it is not known of which, with one of 8 choices for each frame."""
    if clips.action_space is not None:
        return clips
    space = ActionSpace((ActionDimension("action", choices=8),), rate=clips.fps)
    return replace(clips, actions=space.to_json())


def videopoet_format(num_frames: int, height: int, width: int, fps: float) -> ClipFormat:
    """Clips as VideoPoet's tokenizers code them."""
    if height % _SPATIAL_STRIDE or width % _SPATIAL_STRIDE:
        raise ValueError(f"frames of {height}x{width}: expected multiples of {_SPATIAL_STRIDE}")
    grid = (video_latents(num_frames, _TEMPORAL_STRIDE), height // _SPATIAL_STRIDE, width // _SPATIAL_STRIDE)
    return ClipFormat(
        height, width, num_frames, fps, grid, _TEMPORAL_STRIDE, (512, 512), "",
        codebook_sizes=(1024,) * 4,
        audio_frames=audio_latents(num_frames, fps, _SAMPLE_RATE, _HOP_LENGTH),
        sample_rate=_SAMPLE_RATE,
        hop_length=_HOP_LENGTH,
    )  # fmt: skip


def _examples(
    tasks: Sequence[Task],
    vocabulary: Vocabulary,
    formats: Sequence[ClipFormat],
    audio_order: AudioOrder,
    text: int,
) -> dict[str, Batch]:
    """One sequence of each task and size, by their names, with so many pieces of text."""
    latents, examples = [clips.grid[0] for clips in formats], {}
    for task in tasks:
        for size in task.fitting(latents):
            lengths = Lengths.of_format(formats[size], audio_order, default=formats[0])
            lengths = replace(lengths, text=text if task.text != "none" else 0)
            name = task.name if len(formats) == 1 else f"{task.name} {formats[size].name}"
            examples[name] = _example(task, vocabulary, lengths)
    return examples


def _example(task: Task, vocabulary: Vocabulary, lengths: Lengths) -> Batch:
    """One sequence of a task."""
    layout = Layout.of(task, vocabulary, lengths)
    codes = {name: torch.zeros(shape, dtype=torch.long) for name, shape in layout.shapes.items()}
    return Batch.collate([layout.pack(codes)])


def setting_of(model: dict[str, Any], trainer: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """How the plan of every batch is to be carried out."""
    strategy = wanted.strategy or trainer.get("strategy", "auto")
    name = strategy.get("class_path", "") if isinstance(strategy, dict) else str(strategy)
    name = name.rpartition(".")[2]
    if name not in _STRATEGIES:
        raise ValueError(f"strategy is {name!r}; memory is known of auto, ddp and fsdp2")
    every = wanted.activation_checkpointing
    return {
        "devices": wanted.devices or _num_devices(trainer.get("devices", 1)) * trainer.get("num_nodes", 1),
        "strategy": _STRATEGIES[name],
        "precision": str(wanted.precision or trainer.get("precision", "32-true")),
        "activation_checkpointing": model["activation_checkpointing"] if every is None else every,
    }


def _num_devices(devices: Any) -> int:
    if isinstance(devices, list):
        return len(devices)
    if not str(devices).isdigit() or int(devices) < 1:
        raise ValueError(f"the config leaves open how many devices there are ({devices!r}); give --devices")
    return int(devices)


def _plan(
    example: Batch,
    vocabulary: Vocabulary,
    rows: int,
    row_tokens: int,
    batch_tokens: int | None,
    setting: dict[str, Any],
) -> Plan:
    """Rows of one task: an example in each, or as many as fill `row_tokens` positions.

    With `batch_tokens` there are as many rows as hold so many positions.
    """
    length = int(example.length)
    if batch_tokens is not None:
        rows = max(batch_tokens // length, 1)
    positions = row_tokens or length
    blocks = Counter(_target_block(example).tolist())
    targets = {
        vocabulary.blocks[index].name: count * rows * positions // length for index, count in blocks.items()
    }
    return Plan(rows, positions, targets, **setting)


def _target_block(example: Batch) -> torch.Tensor:
    return example.block[example.weight > 0]


def _parameters(model: PrefixLM) -> list[str]:
    parts = Parameters.of(model)
    lines = [f"{parts.total:,} parameters"]
    rows = [(name, f"{getattr(parts, name):,}") for name in ("body", "embeddings", "heads")]
    return lines + table_lines(rows)


def _vocabulary(vocabulary: Vocabulary, formats: Sequence[ClipFormat], origin: str) -> list[str]:
    sizes = " or ".join(f"{clips.num_frames} frames of {clips.height}x{clips.width}" for clips in formats)
    lines = [f"{len(vocabulary):,} ids, clips of {sizes} at {formats[0].fps:g} fps ({origin})"]
    return lines + table_lines([(block.name, f"{block.size:,}") for block in vocabulary.blocks])


def _sequences(
    model: PrefixLM, vocabulary: Vocabulary, examples: dict[str, Batch], text: int
) -> list[str]:
    """A line for each task; operations in training by position, in generation by generated code."""
    lines = [
        f"sequences with {text} pieces of text; GFLOPs to train on a position and to generate a code "
        "(twice as many with guidance)"
    ]
    rows = []
    for name, example in examples.items():
        length, targets = int(example.length), _target_block(example)
        trained = float(training_flops(model, example, targets)) / length / 1e9
        generated = float(forward_flops(model, example, targets)) / len(targets) / 1e9
        rows.append((name, f"{length:,}", f"{len(targets):,}", f"{trained:.3g}", f"{generated:.3g}"))
    return lines + table_lines(rows, ("", "positions", "generated", "training", "generation"))


def memory_lines(held: dict[str, int], plan: Plan, optimizer: str, batch: str) -> list[str]:
    """What each device holds.

    Args:
        batch: of one process, in words.
    """
    way = f"{plan.strategy}, " if plan.devices > 1 else ""
    every = plan.activation_checkpointing
    recomputed = f", activations of every {every}. layer recomputed" if every > 1 else ""
    recomputed = ", all layers' activations recomputed" if every == 1 else recomputed
    lines = [
        f"memory of each of {plan.devices} devices in GiB ({way}{plan.precision}, {optimizer}, "
        f"{batch}{recomputed})"
    ]
    sizes = {name: size for name, size in held.items() if size} | {"together": sum(held.values())}
    return lines + table_lines([(name, f"{size / 2**30:.2f}") for name, size in sizes.items()])


def _chosen(plan: Plan, total: float) -> list[str]:
    """What "auto" has chosen, and how many of these batches make a step of about a million positions."""
    positions = plan.rows * plan.positions * plan.devices
    batches = max(round(_POSITIONS_A_STEP / positions), 1)
    return [
        f"batch_size {plan.rows} is the most that fits {FILLED:g} of {total:g} GiB; with "
        f"accumulate_grad_batches {batches} a step has {batches * positions:,} positions"
    ]


def table_lines(rows: Sequence[Sequence[str]], names: Sequence[str] = ()) -> list[str]:
    return text_table(rows, names, widths=(22,), indent=2)
