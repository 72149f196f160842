"""What one GPU makes of it: generation, training, tokenizers and attention. A line of JSON a measurement.

    python -m benchmarks.gpu decode 1b              # a guided clip; --engine: other kernels, not recorded
    python -m benchmarks.gpu llama 1b               # Hugging Face's Llama of the same body
    python -m benchmarks.gpu train 300m             # steps of `lm fit`; --eager: nothing compiled
    python -m benchmarks.gpu tokenizer compact-128  # coding, and steps of `tokenizer fit`
    python -m benchmarks.gpu attention

Bodies are those of configs/lm/*.yaml with random weights. Times are wall-clock seconds between two moments
at which the GPU has nothing to do, the least of several. With `--lock FILE` several of these commands may
run side by side: one is timed, the others compile. `--tiny` tries a command out on a CPU.

Model-FLOPs utilisation is `lm.training.costs.training_flops` (products of layers and heads, and attention to
what has to be seen; backward twice forward; nothing computed again) by the seconds and the card's peak for
dense bfloat16 (`lm.training.throughput.PEAK_FLOPS`: 989 TFLOP/s of an H100 or H200).
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from .gpu_meter import (
    DEVICE,
    TEXT,
    VIDEO,
    Meter,
    batch_of,
    body_of,
    clock,
    layout_of,
    model_of,
    vocabulary_of,
)
from .measuring import command

GUIDANCE = 3.0
# rows, positions; 16 heads of 64 on 4 of keys and values, as the 300m body has them
ATTENTION = ((8, 1344), (8, 2688), (4, 5248))


def main() -> None:
    arguments = parse()
    torch.manual_seed(0)
    arguments.run(Meter(arguments.lock, arguments.tiny, arguments.profile), arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--lock", type=Path, help="file that is locked while something is timed")
    shared.add_argument("--profile", type=Path, help="add tables of the kernels that take most time to this")
    shared.add_argument("--tiny", action="store_true", help="small sizes, to try the command out")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, names in (
        ("decode", decode, ("300m", "1b")),
        ("llama", llama, ("300m", "1b")),
        ("train", train, ("300m", "1b")),
        ("tokenizer", tokenizer, ("compact-128", "magvit2-128")),
        ("attention", attention, ()),
    ):
        added = commands.add_parser(name, parents=[shared])
        added.set_defaults(run=run)
        if names:
            added.add_argument("name", choices=names)
        if name == "decode":
            engines = ("kernels", "serial-kernels", "layers", "one-by-one")
            added.add_argument("--engine", choices=engines, default="kernels", help="how a position is read")
        if name == "tokenizer":
            added.add_argument("--only-coding", action="store_true", help="no training")
        if name == "train":
            added.add_argument("--eager", action="store_true", help="compile nothing")
            added.add_argument("--rows", type=int, help="of a batch, in place of the config's")
    return parser.parse_args()


def decode(meter: Meter, arguments: argparse.Namespace) -> None:
    """A clip of 1,280 codes, guided, one at a time, in bfloat16."""
    from videolm.lm.decoding import graphs
    from videolm.lm.decoding.generate import Generation
    from videolm.lm.decoding.sampling import DrawSettings

    from .decoders import read_bytes

    model = model_of(arguments.name, meter.tiny).to(torch.bfloat16).eval()
    layout = layout_of(VIDEO, meter.tiny)
    given, without = batch_of(layout, 1), batch_of(layout.without_text(), 1)
    rate, config = bandwidth(meter), model.config
    cache = 2 * 2 * 2 * config.layers * config.kv_heads * config.head_dim  # a column of two rows
    bound = (read_bytes(model) + cache * len(layout) / 2) / rate

    def generation(decoding: str, **how: Any) -> Generation:
        sampling = DrawSettings(guidance_scale=GUIDANCE, decoding=decoding, **how)
        return Generation(model, given, sampling, [torch.Generator(DEVICE).manual_seed(0)], without)

    def run(codes: int, decoding: str, **how: Any) -> None:
        for count in generation(decoding, **how):
            if count == codes:
                break

    def measure(engine: str, codes: int, decoding: str, **how: Any) -> None:
        start = clock()
        run(codes, decoding, **how)
        first_run = clock() - start
        whole = meter.seconds(partial(run, codes, decoding, **how), repeats=2)
        first = meter.seconds(partial(run, 1, decoding, **how), repeats=2)
        token = (whole - first) / (codes - 1)
        meter.report(
            what="decode", body=arguments.name, engine=engine, codes=codes, seconds=whole,
            ms_a_code=token * 1e3, first_code_ms=first * 1e3, share_of_bound=bound / token,
            first_run_s=first_run, copied_gb_per_s=rate / 1e9,
        )  # fmt: skip

    codes = int(layout.weight.sum())
    if arguments.engine == "one-by-one":
        measure("one by one", codes // 20, "sequential")
        return
    if arguments.engine == "layers":
        graphs._body_of = lambda decoder: partial(graphs._read_column, decoder)
    if arguments.engine == "serial-kernels":
        from videolm.lm.decoding import kernels

        kernels.early = lambda device: {"EARLY": False}
    measure(f"recorded, {arguments.engine}", codes, "compiled")
    profiled = iter(generation("compiled"))
    for _ in range(codes // 2):
        next(profiled)
    with meter.kernels(f"{arguments.name}, 8 guided codes, {arguments.engine}"):
        for _ in range(8):
            next(profiled)
    if arguments.engine == "kernels":
        measure("recorded, kernels, top-p 0.95", codes, "compiled", top_p=0.95)


def bandwidth(meter: Meter) -> float:
    """Bytes a second, read and written, of a large copy."""
    source = torch.ones(2**20 if meter.tiny else 2**30, dtype=torch.bfloat16, device=DEVICE)
    target = torch.empty_like(source)
    return 2 * source.nbytes / meter.seconds(lambda: target.copy_(source), calls=5)


def llama(meter: Meter, arguments: argparse.Namespace) -> None:
    """Hugging Face's body of the same sizes with a full softmax over as many ids, greedy."""
    from transformers import LlamaConfig, LlamaForCausalLM

    body, size = body_of(arguments.name, meter.tiny), len(vocabulary_of(meter.tiny))
    config = LlamaConfig(
        hidden_size=body.dim, num_hidden_layers=body.layers, num_attention_heads=body.heads,
        num_key_value_heads=body.kv_heads, intermediate_size=body.hidden, vocab_size=size,
        max_position_embeddings=8192, tie_word_embeddings=True,
    )  # fmt: skip
    with DEVICE:
        model = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    ids = torch.randint(size, (2, TEXT + 8), device=DEVICE)

    def run(count: int, rows: int, **how: Any) -> None:
        given, options = ids[:rows], {"do_sample": False, "eos_token_id": None, "pad_token_id": 0} | how
        model.generate(
            given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=count,
            min_new_tokens=count,
            **options,
        )

    def measure(engine: str, count: int, rows: int, **how: Any) -> None:
        start = clock()
        run(count, rows, **how)
        first_run = clock() - start
        # Always as many, for which alone something was compiled; the prompt is little beside them.
        token = meter.seconds(partial(run, count, rows, **how), repeats=2) / count
        meter.report(
            what="decode", body=arguments.name, engine=engine, codes=count, seconds_of_1280=1280 * token,
            ms_a_code=token * 1e3, first_run_s=first_run,
        )  # fmt: skip

    some, many = (8, 12) if meter.tiny else (32, 640)
    guidance = {"guidance_scale": GUIDANCE, "negative_prompt_ids": ids[1:]}
    measure("llama, dynamic cache, its guidance", some, 1, **guidance)
    measure("llama, dynamic cache, two rows", some, 2)
    measure("llama, static cache, compiled, two rows", many, 2, cache_implementation="static")


def train(meter: Meter, arguments: argparse.Namespace) -> None:
    from .gpu_training import train_language_model

    train_language_model(meter, arguments.name, arguments.eager, arguments.rows)


def tokenizer(meter: Meter, arguments: argparse.Namespace) -> None:
    from .gpu_training import code_clips, train_tokenizer

    code_clips(meter, arguments.name)
    if not arguments.only_coding:
        train_tokenizer(meter, arguments.name)


def attention(meter: Meter, arguments: argparse.Namespace) -> None:
    """Prefix attention beside PyTorch's under a boolean mask; errors are against float32."""
    from videolm.lm.model.prefix_attention import FlexAttention, prefix_mask

    from .attention import batch_of as examples

    for rows, positions in ((2, 40),) if meter.tiny else ATTENTION:
        batch = examples(rows, positions, TEXT).to(DEVICE)
        queries, keys, values, upstream = (
            torch.randn(rows, positions, heads, 64, dtype=torch.bfloat16, device=DEVICE).transpose(1, 2)
            for heads in (16, 4, 4, 16)
        )
        parts = [part.requires_grad_() for part in (queries, keys, values)]
        flex, mask = FlexAttention(batch), prefix_mask(batch)
        forms = {
            "flex": lambda own, flex=flex: flex(0, *own),
            "mask": lambda own, mask=mask: F.scaled_dot_product_attention(
                *own, attn_mask=mask, enable_gqa=True
            ),
        }
        if DEVICE.type == "cpu":  # which has no backward pass of it
            del forms["flex"]
        read = {name: attend(parts) for name, attend in forms.items()}
        gradients = {name: torch.autograd.grad(own, parts, upstream) for name, own in read.items()}
        wide = [part.detach().float().requires_grad_() for part in parts]
        exact = [forms["mask"](wide)]
        exact += torch.autograd.grad(exact[0], wide, upstream.float())
        for name, attend in forms.items():
            forward = meter.seconds(partial(_without_gradient, attend, parts), repeats=9, calls=5)
            both = meter.seconds(partial(_with_gradient, attend, parts, upstream), repeats=9, calls=5)
            errors = [
                float(((own.float() - best).norm() / best.norm()).detach())
                for own, best in zip((read[name], *gradients[name]), exact, strict=True)
            ]
            meter.report(
                what="attention", form=name, rows=rows, positions=positions, prefix=TEXT,
                forward_ms=forward * 1e3, forward_backward_ms=both * 1e3,
                error=errors[0], gradient_error=max(errors[1:]),
            )  # fmt: skip


@torch.no_grad()
def _without_gradient(attend: Callable[..., torch.Tensor], parts: list[torch.Tensor]) -> None:
    attend(parts)


def _with_gradient(
    attend: Callable[..., torch.Tensor], parts: list[torch.Tensor], upstream: torch.Tensor
) -> None:
    torch.autograd.grad(attend(parts), parts, upstream)


if __name__ == "__main__":
    command(main)
