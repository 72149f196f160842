"""Fine-tuning: starting from the weights of a model folder, and low-rank adaptation (LoRA)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...data.runtime.pretrained import read_config
from ...training.sharded_tensors import local, own_part
from ..model.transformer import LMConfig, PrefixLM
from ..vocabulary import Vocabulary


@dataclass(frozen=True)
class NewParts:
    """What a model has to learn from nothing, beside what it has from a folder.

    Args:
        modules: by name: tables and heads of blocks that the folder lacks, and heads that are zero there.
        special_ids: of names that the folder's vocabulary lacks, such as a source's.
    """

    modules: tuple[str, ...] = ()
    special_ids: tuple[int, ...] = ()


def start_from(model: PrefixLM, vocabulary: Vocabulary, folder: Path) -> NewParts:
    """Load the weights of a model folder; tables and heads of new blocks keep their initial values.

    One weight is read at a time and, of a model that is divided among processes, what is held here of it.
    A model without memory (device "meta") is only checked.

    Args:
        vocabulary: of `model`: the blocks of the folder's vocabulary, and others after them.
        folder: with vocabulary.json and lm/.

    Returns:
        what is new, or was never trained.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if sizes or vocabulary are others.
    """
    stored = Vocabulary.load(folder / "vocabulary.json")
    if not vocabulary.continues(stored):
        raise ValueError(
            f"the vocabulary of {folder} does not fit these tokenizers: it has {_named(stored)}; "
            f"expected {_named(vocabulary)}, where only blocks at the end may be new"
        )
    _check_sizes(model.config, read_config(folder / "lm", PrefixLM.kind, LMConfig), folder)
    path = folder / "lm" / "model.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{folder / 'lm'} has no model.safetensors")
    known = {block.name for block in stored.blocks}
    added = [block.name for block in vocabulary.blocks if block.name not in known]
    new = [f"{part}.{name}" for name in added for part in ("heads", "tokens.tables")]
    state = model.state_dict()
    with torch.device("cpu"), safe_open(path, "pt") as file:  # also where the model is made without memory
        stored_names = set(file.keys())
        missing = sorted(name for name in state.keys() - stored_names if not _is_inside(name, new))
        unknown = sorted(stored_names - state.keys())
        if missing or unknown:
            name = [*missing, *unknown][0]
            raise ValueError(f"{path} does not fit its config.json: {name} is missing or unknown")
        digits = {name: f"heads.{name}.digits.0.weight" for name in model.heads if name in known}
        # A softmax moves every row, so one tells whether a head was trained.
        new += [f"heads.{name}" for name, weight in digits.items() if not file.get_slice(weight)[:1].any()]
    for name in sorted(stored_names):
        _read(path, name, state[name])
    ids = tuple(vocabulary.special(name) for name in vocabulary.custom[len(stored.custom) :])
    return NewParts(tuple(new), ids)


def _read(path: Path, name: str, weight: Tensor) -> None:
    """Fill what is held here of a weight, if it has memory."""
    held = local(weight)
    if held.numel() and not held.is_meta:
        # Opened for each: what has been read of an open file stays in the memory of the process.
        with safe_open(path, "pt") as file:
            held.copy_(file.get_slice(name)[own_part(weight)])


def _is_inside(name: str, modules: Iterable[str]) -> bool:
    """Whether a parameter belongs to one of the modules of these names."""
    return any(name.startswith(f"{module}.") for module in modules)


def _check_sizes(wanted: LMConfig, stored: LMConfig, folder: Path) -> None:
    different = [
        f"{field.name} {getattr(stored, field.name)}, not {getattr(wanted, field.name)}"
        for field in fields(LMConfig)
        if getattr(stored, field.name) != getattr(wanted, field.name)
    ]
    if different:
        raise ValueError(f"the model of {folder} has {'; '.join(different)}")


def _named(vocabulary: Vocabulary) -> str:
    return ", ".join(f"{block.name} {block.size}" for block in vocabulary.blocks)


class LowRank(nn.Module):
    """A matrix plus the product of two thin ones, which starts at zero (Hu et al. 2021, arXiv:2106.09685)."""

    def __init__(self, weight: Float[Tensor, "rows columns"], rank: int):
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
        return weight + self.up @ self.down


class NewRows(nn.Module):
    """A table of which some rows are learnt, and the others stay as they are."""

    index: Tensor

    def __init__(self, table: Float[Tensor, "rows dim"], rows: Sequence[int]):
        super().__init__()
        self.register_buffer("index", torch.tensor(rows), persistent=False)
        self.rows = nn.Parameter(table.detach()[list(rows)].clone())

    def forward(self, table: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        return table.index_copy(0, self.index, self.rows)


def add_low_rank(model: PrefixLM, rank: int, new: NewParts = NewParts()) -> None:
    """Freeze a model, except for low-rank changes of the matrices in its layers and for what is new in it.

    Neither a changed matrix nor the gradient of a frozen one is made in a step: inputs go through the thin
    matrices beside it. A matrix is summed up when it is read as `weight`, as exporting does.

    Raises:
        ValueError: if the rank is not positive.
    """
    if rank < 1:
        raise ValueError(f"lora_rank is {rank}; expected at least 1")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_is_inside(name, new.modules))
    if new.special_ids:
        special = model.blocks[0]
        table = model.tokens.tables.get_submodule(f"{special.name}.digits.0")
        rows = NewRows(table.get_parameter("weight"), [each - special.start for each in new.special_ids])
        parametrize.register_parametrization(table, "weight", rows)
    for module in list(model.layers.modules()):
        if isinstance(module, nn.Linear):
            parametrize.register_parametrization(module, "weight", LowRank(module.weight, rank))
            module.forward = partial(_low_rank_product, module)  # pyright: ignore[reportAttributeAccessIssue]


def _low_rank_product(linear: nn.Module, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch _"]:
    """features (W + up down)^T, without the sum."""
    change = linear.get_submodule("parametrizations.weight.0")
    frozen = linear.get_parameter("parametrizations.weight.original")
    assert isinstance(change, LowRank)
    return F.linear(features, frozen) + F.linear(F.linear(features, change.down), change.up)


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the plain model: parametrized weights (low-rank, shared bits) are summed up."""
    state = {name: value for name, value in model.state_dict().items() if ".parametrizations." not in name}
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            assert isinstance(module.weight, Tensor)
            state[f"{name}.weight"] = module.weight.detach()
    return state
