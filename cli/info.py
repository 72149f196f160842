"""What `videolm info` prints, of a model folder or of a config (training_cost.py)."""

from math import prod
from pathlib import Path
from typing import Any

from ..data.runtime.files import read_object
from ..data.runtime.hub import split_name
from ..data.runtime.model_source import is_local, model_folder, source_name
from ..data.runtime.pretrained import refuse_sharded, weights_of
from ..tasks.model_config import PARTS, STAGES, ModelConfig, check_model, parts_of
from ..tasks.recommended_sampling import RecommendedSampling


def describe(model: str, assumed: dict[str, Any], verify: bool = False) -> str:
    """A model, as `model_folder` takes it, or a config of the language model by its path or name, or of
    super-resolution by its name (super-resolution/448x256) or path.

    Args:
        verify: compare all bytes of a folder with its checksums first.
        assumed: of a config, as `training_cost.Wanted`.

    Raises:
        FileNotFoundError: if there is neither.
        ValueError: if something is assumed of a folder, or as the two say themselves.
    """
    config = None if is_local(model) else _config_of(model)
    if config is not None:
        from .training_cost import Wanted, describe_config

        if _is_of_a_stage(config):
            from .super_resolution_cost import describe_stage

            return describe_stage(config, Wanted(**assumed))
        return describe_config(config, Wanted(**assumed))
    folder = model_folder(model)
    if assumed:
        option = next(iter(assumed)).replace("_", "-")
        raise ValueError(f"{folder} is a folder; --{option} is for a config of what is yet to be trained")
    if verify:
        check_model(folder, verify=True)
    return describe_folder(folder)


def _config_of(model: str) -> Path | None:
    """The config of that name, if it cannot be a name on the hub either."""
    from .config_files import packaged_config

    stage, _, name = model.partition("/")
    if stage == "super-resolution":
        return packaged_config(name, stage)
    try:
        return packaged_config(model.removeprefix("lm/"), "lm")
    except FileNotFoundError as error:
        if split_name(model) is not None:
            return None
        raise FileNotFoundError(f"no model folder {model} and {error}") from error


def _is_of_a_stage(config: Path) -> bool:
    """Whether a config is of super-resolution: its transformer has blocks, the language model layers."""
    from .config_files import read_config

    model = read_config(config).get("model")
    sizes = model.get("model") if isinstance(model, dict) else None
    return isinstance(sizes, dict) and "blocks" in sizes


def describe_folder(folder: Path) -> str:
    """Sizes, parts and settings of a model folder, or settings of one part.

    Raises:
        FileNotFoundError: if there is no such folder, or nothing of ours in it.
        ValueError: if it is a sharded checkpoint.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder {folder}")
    refuse_sharded(folder)
    parts = [name for name in parts_of(folder) if (folder / name).is_dir()]
    if not parts and not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds neither a model nor a part of one")
    has_config = (folder / "config.json").is_file()
    if has_config and read_object(folder / "config.json").get("kind") == STAGES:
        own = (_settings(name, folder / name) for name in parts)
        return "\n\n".join([_settings(folder.name, folder), *own])
    blocks = []
    if parts and has_config:
        config = ModelConfig.load(folder)
        blocks += [_in_words(source_name(folder), folder, config), _sizes(config)]
        if (recommended := RecommendedSampling.load(folder)).tasks:
            lines = (f"  {task:24} {sampling}" for task, sampling in recommended.tasks.items())
            blocks.append("\n".join(["recommended sampling", *lines]))
    elif has_config:
        blocks.append(_settings(folder.name, folder))
    if (folder / "vocabulary.json").is_file():
        blocks.append(_vocabulary(folder))
    blocks += [_settings(name, folder / name) for name in parts]
    missing = [name for name in PARTS if parts and name not in parts]
    if missing:
        blocks.append(f"not there: {', '.join(missing)}")
    return "\n\n".join(blocks)


def _in_words(name: str, folder: Path, config: ModelConfig) -> str:
    """What a model is and does, in sentences."""
    clips = config.clips
    parts = {part: weights_of(folder / part)[0] for part in parts_of(folder)}
    codes = sum(prod(clips.shapes[kind]) for kind in clips.shapes if kind not in clips.variants)
    sound = f", with sound at {clips.sample_rate} Hz" if clips.has_audio else ", without sound"
    reads = f"Of a text it reads {config.text_pieces} pieces" if config.text_tokenizer else "It reads no text"
    each = ", ".join(f"{part} {count:,}" for part, count in parts.items() if count)
    lines = [
        f"{name}: a video language model of {sum(parts.values()):,} parameters ({each})",
        f"  It makes clips of {clips.num_frames} frames of {clips.width}x{clips.height} pixels at "
        f"{clips.fps:g} per second{sound}: {codes} codes.",
        f"  {reads}.",
        f"  Its tasks ({len(config.tasks)}): {', '.join(config.tasks)}.",
    ]
    stages = [Path(part).name for part in parts if Path(part).parent.name == STAGES]
    if stages:
        lines.append(f"  It enlarges clips to {', '.join(stages)} (frames x height x width).")
    if config.source:
        lines.append(f"  All of its sequences are of the source {config.source}.")
    for part, fingerprint in (("video", clips.video_tokenizer), ("audio", clips.audio_tokenizer)):
        if fingerprint:
            lines.append(f"  Its {part} tokenizer has the fingerprint {fingerprint}.")
    return "\n".join(lines)


def _settings(name: str, folder: Path) -> str:
    lines = [name]
    if count := weights_of(folder)[0]:
        lines[0] += f"  {count:,} parameters"
    path = folder / "config.json"
    if path.is_file():
        for key, value in read_object(path).items():
            lines += _lines(key, value) if key != "other_sizes" else []
    return "\n".join(lines)


def _lines(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"  {key}:", *(f"    {name:22} {each}" for name, each in value.items())]
    if isinstance(value, list):
        value = ", ".join(str(each) for each in value)
    return [f"  {key:24} {value}"]


def _sizes(config: ModelConfig) -> str:
    lines = ["sizes of clips, the default first"]
    for clips in config.formats:
        kinds = [kind for kind in clips.shapes if kind not in clips.variants]
        codes = [f"{'x'.join(map(str, clips.shapes[kind]))} {kind} codes" for kind in kinds]
        lines.append(f"  {clips.name:24} {', '.join(codes)}")
    return "\n".join(lines)


def _vocabulary(folder: Path) -> str:
    from ..lm.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    lines = [f"vocabulary  {len(vocabulary):,} ids"]
    lines += [f"  {block.name:24} {block.start} to {block.stop - 1}" for block in vocabulary.blocks]
    return "\n".join(lines)
