"""Somebody else's audio codec as the audio tokenizer of a model folder.

videolm audio adopt descript/dac_16khz --out runs/mine         4 of 12 levels of 1024 codes, 50 latents/s
videolm audio adopt kyutai/mimi --out runs/mine                8 of 32 levels of 2048 codes, 12.5 latents/s
videolm audio adopt facebook/encodec_24khz --out runs/mine     4 of 32 levels of 1024 codes, 75 latents/s
videolm audio adopt encodec_24khz-d7cc33bc.th --out runs/mine  the same from the package encodec's own file

The first levels of a residual codec are a codec by themselves. Adoption keeps as many as the language model
shall learn and drops the others. The result is a plain folder of transformers, and its codes are the first
levels of the whole codec's codes.
"""

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .protocol import AudioCodec, as_codec
from .transformers_folder import FILES, encodec_bandwidth, read_codec


@dataclass(frozen=True)
class _Levels:
    """How a kind of codec counts its levels.

    Args:
        default: kept if nobody says how many.
        count: levels by its configuration.
        limit: write fewer into it.
    """

    default: int
    count: Callable[[Any], int]
    limit: Callable[[Any, int], None]


def adopt(source: str, target: str | Path, levels: int | None = None) -> AudioCodec:
    """Write the first levels of a codec as a folder that `load_audio_tokenizer` reads.

    Args:
        source: a folder of transformers' EncodecModel, DacModel or MimiModel; or its name on Hugging Face's
            hub, from where config.json and model.safetensors are fetched; or a checkpoint (.th) of the
            package `encodec`.
        target: folder to write; there must be nothing yet.
        levels: that are kept; by default 4, as many as VideoPoet has, and 8 of Mimi, as many as Moshi has.

    Raises:
        FileNotFoundError: if the source is missing.
        ValueError: if it is no codec that there is an adapter for or has fewer levels, or the target exists.
    """
    if Path(target).exists():
        raise ValueError(f"{target} is there already; remove it, or name another run")
    tokenizer = as_codec(first_levels(_read(source), levels))
    tokenizer.save_pretrained(target)
    return tokenizer


def first_levels(model: Any, levels: int | None = None) -> Any:
    """A codec of transformers cut to its first levels, with their weights.

    Raises:
        ValueError: if there are not so many levels, or the codec cannot do with so few.
    """
    kind = _LEVELS[model.config.model_type]
    there = kind.count(model.config)
    # Mimi wants at least one level beside its semantic ones.
    least = 1 + getattr(model.config, "num_semantic_quantizers", 0)
    levels = min(kind.default, there) if levels is None else levels
    if not least <= levels <= there:
        raise ValueError(f"levels is {levels}; expected {least} to {there}, as the codec has {there}")
    config = deepcopy(model.config)
    kind.limit(config, levels)
    shorter = type(model)(config)
    weights = model.state_dict()
    shorter.load_state_dict({name: weights[name] for name in shorter.state_dict()})
    return shorter.eval()


def _read(source: str) -> Any:
    """One of transformers' codecs from wherever the user has it."""
    path = Path(source)
    if path.is_file():
        from .encodec_package import read_checkpoint

        return read_checkpoint(path)
    return read_codec(path if path.is_dir() else _fetched(source))


def _fetched(name: str) -> Path:
    """The folder in transformers' cache with a model of the hub."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise FileNotFoundError(f"there is no {name}; expected a folder or a name such as descript/dac_16khz")
    from transformers.utils import cached_file

    try:
        paths = [cached_file(name, file) for file in FILES]
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise FileNotFoundError(f"there is no folder {name}, and the hub gives none: {reason}") from error
    return Path(str(paths[0])).parent


def _limit_dac(config: Any, levels: int) -> None:
    config.n_codebooks = levels


def _limit_mimi(config: Any, levels: int) -> None:
    config.num_quantizers = levels


def _limit_encodec(config: Any, levels: int) -> None:
    config.target_bandwidths = [encodec_bandwidth(levels, config.codebook_nbits, config.frame_rate)]


_LEVELS = {
    "dac": _Levels(4, lambda config: config.n_codebooks, _limit_dac),
    "mimi": _Levels(8, lambda config: config.num_quantizers, _limit_mimi),
    "encodec": _Levels(4, lambda config: config.num_quantizers, _limit_encodec),
}
