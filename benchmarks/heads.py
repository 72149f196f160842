"""Output heads against each other: the same small body, data, order and steps; nats per held-out code.

    python -m benchmarks.heads codes/*.safetensors --out heads.jsonl      # all heads, three seeds each
    python -m benchmarks.heads runs/demo/shards --heads full factorized --seeds 0 --share 0.25

The codes come from `benchmarks.head_codes`, or from folders of `videolm encode`, whose last fortieth is then
held out. Every head reads the hidden states of a body of its own, which reads codes by their digits whatever
the head is:

    full         one softmax over all codes
    factorized   p(low digit | h), then p(high digit | h, low) through a gated block: the product's head
    linear       the same, but the low digit only adds to the logits of the high one
    independent  p(low digit | h) p(high digit | h)

A run that stands in --out already, with the same settings, is not repeated.
"""

import argparse
import json
import time
from collections.abc import Sequence
from math import prod
from pathlib import Path
from statistics import mean

import torch
from jaxtyping import Int
from safetensors import safe_open
from torch import Tensor, nn

from videolm.data.codes.shards import ShardReader
from videolm.lm.batch import Batch
from videolm.lm.model.heads import Head
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.loss import loss_of
from videolm.lm.vocabulary import Vocabulary
from videolm.tokenizers.video.protocol import bit_factors
from videolm.training.gradients import clip_gradients
from videolm.training.muon import Muon, parameter_groups
from videolm.training.schedule import scheduled

from .measuring import Record, command, machine, markdown_table

Codes = Int[Tensor, "clips t h w"]

WARM_UP = 0.05
"""Share of the steps over which the learning rates rise."""
SHARDS_HELD_OUT = 40
"""One of so many clips of a folder of shards."""
_VISUAL = 1  # index of the block of visual codes


class Full(Head):
    """One softmax over all codes."""

    def __init__(self, factors: tuple[int, ...], dim: int):
        super().__init__((prod(factors),), dim)
        self.factors = factors

    def loss(
        self, hidden: Tensor, digits: Sequence[Tensor], weight: Tensor, z_loss: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        low, high = digits
        return super().loss(hidden, [low + self.factors[0] * high], weight, z_loss)


class Independent(Head):
    """The digits know nothing of each other."""

    def __init__(self, factors: tuple[int, ...], dim: int):
        super().__init__(factors, dim)
        self.later = nn.ModuleList()

    def _features(self, hidden: Tensor, known: Sequence[Tensor]) -> Tensor:
        return hidden


class Linear(Head):
    """An embedding of the low digit is added to what the high digit is read from."""

    def __init__(self, factors: tuple[int, ...], dim: int):
        super().__init__(factors, dim)
        self.later = nn.ModuleList([nn.Embedding(factors[0], dim)])

    def _features(self, hidden: Tensor, known: Sequence[Tensor]) -> Tensor:
        return hidden + self.later[0](known[0]) if known else hidden


HEADS: dict[str, type[Head]] = {
    "full": Full, "factorized": Head, "linear": Linear, "independent": Independent,
}  # fmt: skip


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    training, validation, codebook_size = read_codes(arguments.codes)
    training = training[: arguments.clips]
    settings = {
        "codes": training.numel(), "bits": codebook_size.bit_length() - 1, "dim": arguments.dim,
        "layers": arguments.layers, "batch": arguments.batch, "share": arguments.share,
        "learning_rate": arguments.learning_rate, "adam_learning_rate": arguments.adam_learning_rate,
    }  # fmt: skip
    print(json.dumps(machine(threads=1) | settings | {"validation codes": validation.numel()}))
    frequency = frequency_nats(training, validation, codebook_size)
    print(f"knowing only how frequent each code is: {frequency:.3f} nats")
    done = read_records(arguments.out, settings)
    for seed in arguments.seeds:
        for name in arguments.heads:
            if (name, seed) in done:
                continue
            factors = bit_factors(codebook_size)
            record = run(name, seed, training, validation, factors, settings, arguments.device)
            done[name, seed] = record
            print(json.dumps(record), flush=True)
            if arguments.out:
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(settings | record) + "\n")
    print(markdown_table(summary(list(done.values()))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heads", description=__doc__.splitlines()[0])
    parser.add_argument("codes", type=Path, nargs="+", help="files of head_codes, or folders of shards")
    parser.add_argument("--heads", nargs="+", default=list(HEADS), choices=HEADS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="a file of finished runs, one a line")
    parser.add_argument("--clips", type=int, help="train on so many of the clips")
    parser.add_argument("--share", type=float, default=1.0, help="of the codes of a batch that are predicted")
    parser.add_argument("--batch", type=int, default=64, help="clips")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--learning-rate", type=float, default=0.02, help="of the matrices in the layers")
    parser.add_argument("--adam-learning-rate", type=float, default=0.01, help="of everything else")
    return parser.parse_args()


def read_codes(paths: Sequence[Path]) -> tuple[Codes, Codes, int]:
    """Codes to train on and to validate with, and how many there could be."""
    training, validation, sizes = zip(*map(_read_folder_or_file, paths), strict=True)
    if len(set(sizes)) > 1:
        raise ValueError(f"{', '.join(map(str, paths))} have codebooks of {sorted(set(sizes))} codes")
    return torch.cat(training), torch.cat(validation), sizes[0]


def _read_folder_or_file(path: Path) -> tuple[Codes, Codes, int]:
    if path.is_dir():
        reader = ShardReader(path)
        codes = torch.stack([reader[index].codes["visual"] for index in range(len(reader))])
        held_out = max(1, len(codes) // SHARDS_HELD_OUT)
        return codes[:-held_out], codes[-held_out:], prod(reader.clips.factors)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; benchmarks.head_codes makes such files")
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if "codebook_size" not in metadata:
            raise ValueError(f"{path} was not written by benchmarks.head_codes")
        size = int(metadata["codebook_size"])
        return file.get_tensor("training"), file.get_tensor("validation"), size


def read_records(path: Path | None, settings: Record) -> dict[tuple[str, int], Record]:
    """The finished runs of these settings by head and seed."""
    if path is None or not path.is_file():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    same = [record for record in records if settings.items() <= record.items()]
    return {(record["head"], record["seed"]): record for record in same}


def frequency_nats(training: Codes, validation: Codes, codebook_size: int) -> float:
    """Cross-entropy of the validation codes under the frequencies of the training codes (plus a half)."""
    counts = torch.bincount(training.flatten(), minlength=codebook_size).double() + 0.5
    return -(counts / counts.sum()).log()[validation.flatten()].mean().item()


def run(
    name: str,
    seed: int,
    training: Codes,
    validation: Codes,
    factors: tuple[int, ...],
    settings: Record,
    device: str = "cpu",
) -> Record:
    """Train a body with one head on every clip once, then validate."""
    model = model_of(name, seed, factors, settings["dim"], settings["layers"]).to(device)
    random = torch.Generator().manual_seed(seed)
    batches = torch.randperm(len(training), generator=random).split(settings["batch"])
    linear = [module for module in model.layers.modules() if isinstance(module, nn.Linear)]
    optimizer = Muon(
        parameter_groups(linear, model), settings["learning_rate"], settings["adam_learning_rate"]
    )
    rates = scheduled(optimizer, round(WARM_UP * len(batches)), len(batches))["lr_scheduler"]["scheduler"]
    start = time.process_time()
    for clips in batches:
        batch = batch_of(training[clips], settings["share"], random).to(device)
        loss_of(model, batch).mean.backward()
        clip_gradients([model], 1.0, None)
        optimizer.step()
        optimizer.zero_grad()
        rates.step()
    return {
        "head": name,
        "seed": seed,
        "nats": nats_of(model, validation, settings["batch"], device),
        "steps": len(batches),
        "head parameters": sum(weight.numel() for weight in model.heads["visual"].parameters()),
        "body parameters": sum(weight.numel() for weight in model.layers.parameters()),
        "cpu seconds": round(time.process_time() - start),
    }


def model_of(name: str, seed: int, factors: tuple[int, ...], dim: int, layers: int) -> PrefixLM:
    """The model, with this head in place of its own; bodies of one seed start alike."""
    torch.manual_seed(seed)
    config = LMConfig(dim, layers, heads=2, kv_heads=1, hidden=2 * dim, rotary_dims=(8, 8, 8), segments=1)
    model = PrefixLM(config, Vocabulary.of_sizes(visual=factors, audio=()))
    if name != "factorized":
        model.heads["visual"] = head = HEADS[name](factors, dim)
        for digit in head.digits:
            nn.init.zeros_(digit.weight)
        for later in head.later:
            nn.init.normal_(later.weight, std=0.5)
    return model


def batch_of(codes: Codes, share: float = 1.0, random: torch.Generator | None = None) -> Batch:
    """Clips one a row after a token that begins them, with a share of their codes to predict."""
    clips, length = len(codes), 1 + codes[0].numel()
    vocabulary = Vocabulary.of_sizes(audio=())
    ids = torch.full((clips, length), vocabulary.special("bos"))
    ids[:, 1:] = codes.flatten(1) + vocabulary.blocks[_VISUAL].start
    block = torch.full((clips, length), _VISUAL)
    block[:, 0] = 0
    weight = (torch.rand(clips, length, generator=random) < share).float()
    weight[:, 0] = 0
    place = torch.cartesian_prod(*(torch.arange(size) for size in codes.shape[1:])).float()
    place = torch.cat([torch.zeros(1, 3), place])
    ones = torch.ones(clips, dtype=torch.long)
    return Batch(
        ids, block, torch.zeros_like(ids), place.expand(clips, -1, -1), block == 0, weight,
        row=torch.arange(clips), start=0 * ones, prefix_length=ones, length=length * ones,
        tasks=("unconditional",) * clips,
    )  # fmt: skip


@torch.inference_mode()
def nats_of(model: PrefixLM, codes: Codes, batch: int, device: str = "cpu") -> float:
    """Mean nats of every code of the clips."""
    nats = [loss_of(model, batch_of(clips).to(device)).nats for clips in codes.split(batch)]
    return torch.cat(nats).double().mean().item()


def summary(records: Sequence[Record]) -> list[Record]:
    """A row for each head: nats of each seed, and the difference to the full head's of the same seeds."""
    nats: dict[str, dict[int, float]] = {}
    for record in records:
        nats.setdefault(record["head"], {})[record["seed"]] = record["nats"]
    full = nats.get("full", {})
    rows = []
    for name in HEADS:
        if name not in nats:
            continue
        own = nats[name]
        shared = [own[seed] - full[seed] for seed in own if seed in full]
        rows.append(
            {
                "head": name,
                "nats a code": mean(own.values()),
                "of each seed": " ".join(f"{own[seed]:.4f}" for seed in sorted(own)),
                "spread": max(own.values()) - min(own.values()),
                "above full": mean(shared) if shared else None,
                "head parameters": next(each["head parameters"] for each in records if each["head"] == name),
                "cpu s a run": mean(each["cpu seconds"] for each in records if each["head"] == name),
            }
        )
    return rows


if __name__ == "__main__":
    command(main)
