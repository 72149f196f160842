"""The entropy loss of lookup-free quantisation, forward and backward, against vector-quantize-pytorch.

    python -m benchmarks.lfq                        # 1,280 tokens of 18 bits: the library needs 9.4 GB
    python -m benchmarks.lfq --grid 1 16 16         # 256 tokens
    python -m benchmarks.lfq --exact --grid 1 8 8   # errors of both against float64, without the clock

Both compute E[H(q(z))], H(E[q(z)]) and the commitment loss of the same latents at the same temperature. The
library holds a probability for every token and code; `videolm.tokenizers.video.lfq` multiplies the
distributions of two halves of the bits.
"""

import argparse
import json
from collections.abc import Callable
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from .measuring import (
    Record,
    available_memory,
    command,
    cpu_seconds,
    machine,
    markdown_table,
    peak_memory,
    reset_peak_memory,
    run_each,
)

OURS, LIBRARY = "videolm", "vector-quantize-pytorch"
COMMITMENT_WEIGHT = 0.25
INVERSE_TEMPERATURE = 100.0
_LIBRARY_BYTES = 32  # for each token and code: probabilities, logarithms and gradients in float32
_WARM_UP_TOKENS = 4

Latents = Float[Tensor, "batch t h w bits"]
Terms = dict[str, Float[Tensor, ""]]


def main() -> None:
    arguments = parse()
    if arguments.contestant:
        print(json.dumps(measure(arguments.contestant, tuple(arguments.grid), arguments.bits)))
        return
    if arguments.exact:
        print(markdown_table(errors(tuple(arguments.grid), arguments.bits)))
        return
    needed = _LIBRARY_BYTES * prod(arguments.grid) * 2**arguments.bits
    if available_memory() < needed:
        raise ValueError(
            f"{LIBRARY} needs about {needed / 1e9:.1f} GB; {available_memory() / 1e9:.1f} GB are available"
        )
    print(json.dumps(machine(threads=1)))
    options = ["--bits", str(arguments.bits), "--grid", *map(str, arguments.grid)]
    ours, library = run_each("benchmarks.lfq", [OURS, LIBRARY], options)
    print(markdown_table([ours, library]))
    print(comparison(ours, library))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lfq", description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=int, nargs=3, default=[5, 16, 16], metavar=("T", "H", "W"))
    parser.add_argument("--bits", type=int, default=18)
    parser.add_argument("--exact", action="store_true", help="compare both with the definition in float64")
    parser.add_argument("--contestant", choices=(OURS, LIBRARY), help="measure this one in this process")
    return parser.parse_args()


def measure(contestant: str, grid: tuple[int, ...], bits: int) -> Record:
    """CPU seconds, extra peak memory and values of one contestant."""
    torch.set_num_threads(1)
    loss_terms = {OURS: ours, LIBRARY: library}[contestant](bits)
    latents = _latents(grid, bits).requires_grad_()
    _loss(loss_terms(latents[:, :1, :1, :_WARM_UP_TOKENS])).backward()
    latents.grad = None
    before = reset_peak_memory()
    seconds, terms = cpu_seconds(lambda: _forward_backward(loss_terms, latents))
    return {
        "contestant": contestant,
        "tokens": prod(grid),
        "cpu_seconds": round(seconds, 4),
        "extra_mb": round((peak_memory() - before) / 1e6, 1),
        **{name: value.item() for name, value in terms.items()},
        "gradient_norm": latents.grad.norm().item(),
    }


def ours(bits: int) -> Callable[[Latents], Terms]:
    from videolm.tokenizers.video.lfq import commitment, entropies

    def terms(latents: Latents) -> Terms:
        sample, batch = entropies(latents, temperature=1 / INVERSE_TEMPERATURE)
        return {"sample_entropy": sample, "batch_entropy": batch, "commitment": commitment(latents)}

    return terms


def library(bits: int) -> Callable[[Latents], Terms]:
    from vector_quantize_pytorch import LFQ

    quantizer = LFQ(dim=bits, codebook_size=2**bits, commitment_loss_weight=COMMITMENT_WEIGHT).train()

    def terms(latents: Latents) -> Terms:
        channels_first = latents.movedim(-1, 1)
        _, parts = quantizer(channels_first, inv_temperature=INVERSE_TEMPERATURE, return_loss_breakdown=True)
        return {
            "sample_entropy": parts.per_sample_entropy,
            "batch_entropy": parts.batch_entropy,
            "commitment": parts.commitment,
        }

    return terms


def comparison(ours: Record, library: Record) -> str:
    """The ratios in words."""
    differences = {
        name: abs(ours[name] - library[name]) / abs(library[name])
        for name in ("sample_entropy", "batch_entropy", "commitment", "gradient_norm")
    }
    largest = max(differences, key=differences.__getitem__)
    return (
        f"{library['cpu_seconds'] / ours['cpu_seconds']:.0f} times faster, "
        f"1/{library['extra_mb'] / ours['extra_mb']:.0f} of the memory; "
        f"the largest relative difference is {differences[largest]:.1e}, of {largest}"
    )


def errors(grid: tuple[int, ...], bits: int) -> list[Record]:
    """Relative errors of the entropies and of their gradients (of the norm of the difference)."""
    latents = _latents(grid, bits)
    true_entropies, true_gradients = _with_gradients(definition(bits), latents.double())
    rows = []
    for name, terms in ((OURS, ours(bits)), (LIBRARY, library(bits))):
        row: Record = {"contestant": name, "tokens": prod(grid), "bits": bits}
        values, gradients = _with_gradients(terms, latents)
        for term in true_entropies:
            row[term] = abs(values[term] / true_entropies[term] - 1)
            difference = gradients[term].double() - true_gradients[term]
            row[f"gradient of {term}"] = (difference.norm() / true_gradients[term].norm()).item()
        rows.append(row)
    return rows


def definition(bits: int) -> Callable[[Latents], Terms]:
    """The entropies as they are defined, over all codes of the codebook, in the precision of the latents."""

    def terms(latents: Latents) -> Terms:
        codebook = ((torch.arange(2**bits)[:, None] >> torch.arange(bits)) & 1).to(latents) * 2 - 1
        logarithms = (2 * INVERSE_TEMPERATURE * latents.flatten(0, -2) @ codebook.T).log_softmax(-1)
        mean = logarithms.exp().mean(0)
        return {
            "sample_entropy": -(logarithms.exp() * logarithms).sum(-1).mean(),
            "batch_entropy": -(mean * (mean + torch.finfo(mean.dtype).tiny).log()).sum(),
        }

    return terms


def _with_gradients(
    loss_terms: Callable[[Latents], Terms], latents: Latents
) -> tuple[dict[str, float], dict[str, Latents]]:
    """The two entropies and the gradient of each."""
    latents = latents.clone().requires_grad_()
    terms = loss_terms(latents)
    names = ("sample_entropy", "batch_entropy")
    gradients = {name: torch.autograd.grad(terms[name], latents, retain_graph=True)[0] for name in names}
    return {name: terms[name].item() for name in names}, gradients


def _latents(grid: tuple[int, ...], bits: int) -> Latents:
    return torch.randn(1, *grid, bits, generator=torch.Generator().manual_seed(0))


def _loss(terms: Terms) -> Float[Tensor, ""]:
    return terms["sample_entropy"] - terms["batch_entropy"] + COMMITMENT_WEIGHT * terms["commitment"]


def _forward_backward(loss_terms: Callable[[Latents], Terms], latents: Latents) -> Terms:
    terms = loss_terms(latents)
    _loss(terms).backward()
    return terms


if __name__ == "__main__":
    command(main)
