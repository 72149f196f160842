"""Fine-tuning: starting from the weights of a model folder, and low-rank adaptation (LoRA)."""

from dataclasses import fields
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...data.runtime.pretrained import read_config
from ...training.sharded_tensors import local, own_part
from ..model.transformer import LMConfig, PrefixLM
from ..vocabulary import Vocabulary


def start_from(model: PrefixLM, vocabulary: Vocabulary, folder: Path) -> None:
    """Load the weights of a model folder; tables and heads of new blocks keep their initial values.

    One weight is read at a time and, of a model that is divided among processes, what is held here of it.
    A model without memory (device "meta") is only checked.

    Args:
        vocabulary: of `model`: the blocks of the folder's vocabulary, and others after them.
        folder: with vocabulary.json and lm/.

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
    new = tuple(f"{part}.{name}." for name in added for part in ("heads", "tokens.tables"))
    state = model.state_dict()
    with safe_open(path, "pt") as file:
        stored_names = set(file.keys())
        missing = sorted(name for name in state.keys() - stored_names if not name.startswith(new))
        unknown = sorted(stored_names - state.keys())
        if missing or unknown:
            name = [*missing, *unknown][0]
            raise ValueError(f"{path} does not fit its config.json: {name} is missing or unknown")
        for name in sorted(stored_names):
            held = local(state[name])
            if held.numel() and not held.is_meta:
                held.copy_(file.get_slice(name)[own_part(state[name])])


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


def add_low_rank(model: PrefixLM, rank: int) -> None:
    """Freeze a model, except for low-rank changes of the matrices in its layers.

    Raises:
        ValueError: if the rank is not positive.
    """
    if rank < 1:
        raise ValueError(f"lora_rank is {rank}; expected at least 1")
    model.requires_grad_(False)
    for module in list(model.layers.modules()):
        if isinstance(module, nn.Linear):
            parametrize.register_parametrization(module, "weight", LowRank(module.weight, rank))


def merged_state(model: PrefixLM) -> dict[str, Tensor]:
    """The state dict of the plain model: parametrized weights (low-rank, shared bits) are summed up."""
    state = {name: value for name, value in model.state_dict().items() if ".parametrizations." not in name}
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            assert isinstance(module.weight, Tensor)
            state[f"{name}.weight"] = module.weight.detach()
    return state
