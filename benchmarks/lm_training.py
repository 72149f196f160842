"""One training step of the language model against Hugging Face's Llama and x-transformers. Minutes, 12 GB.

    python -m benchmarks.lm_training                         # all contestants that are installed
    python -m benchmarks.lm_training --contestants videolm hf --length 256

8 layers of width 640, 266,496 ids, one row of 1,280 positions that are all predicted, float32, one thread,
CPU seconds of a process for each. All take AdamW's fused step but `videolm-muon`, which takes its own.
Memory is what the process holds at its peak, and what of it came during the step (activations and gradients).
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from .decoders import DIM, HEADS, HIDDEN, LAYERS, VOCABULARY, records_of
from .measuring import Record, command, machine, markdown_table, peak_memory, reset_peak_memory, run_each

Parts = tuple[nn.Module, Callable[[], Tensor]]
"""A model, and a function that gives its loss on one batch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, default=1280)
    parser.add_argument("--steps", type=int, default=2, help="measured steps; the fastest counts")
    arguments = parser.parse_args()
    if arguments.contestant:
        print(json.dumps(measure(arguments.contestant, arguments.length, arguments.steps)))
        return
    names = [name for name in arguments.contestants if _is_installed(name)]
    print(json.dumps(machine(threads=1)))
    options = ["--length", str(arguments.length), "--steps", str(arguments.steps)]
    records = run_each("benchmarks.lm_training", names, options)
    print(markdown_table([_against(record, records) for record in records]))


def measure(name: str, length: int, steps: int) -> Record:
    """CPU seconds and memory of the fastest of `steps` steps after a first one."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, loss_of = CONTESTANTS[name](length)
    optimizer = _muon(model) if name == "videolm-muon" else torch.optim.AdamW(model.parameters(), fused=True)
    _step(loss_of, optimizer)
    held = reset_peak_memory()
    taken = min((_step(loss_of, optimizer) for _ in range(steps)), key=sum)
    return {
        "contestant": name,
        "parameters M": sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        "s a step": sum(taken),
        "forward s": taken[0],
        "backward s": taken[1],
        "optimizer s": taken[2],
        "peak GB": peak_memory() / 1e9,
        "of it in the step GB": (peak_memory() - held) / 1e9,
    }


def _step(loss_of: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> tuple[float, float, float]:
    times = [time.process_time()]
    loss = loss_of()
    times.append(time.process_time())
    loss.backward()
    times.append(time.process_time())
    optimizer.step()
    optimizer.zero_grad()
    times.append(time.process_time())
    forward, backward, update = (after - before for before, after in pairwise(times))
    return forward, backward, update


def hugging_face(length: int) -> Parts:
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
            intermediate_size=HIDDEN, vocab_size=VOCABULARY, tie_word_embeddings=True,
        )
    )  # fmt: skip
    ids = torch.randint(VOCABULARY, (1, length))
    return model, lambda: model(ids, labels=ids, use_cache=False).loss


def x_transformers(length: int) -> Parts:
    from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

    decoder = Decoder(
        dim=DIM, depth=LAYERS, heads=HEADS, attn_dim_head=DIM // HEADS, attn_flash=True, ff_swish=True,
        ff_glu=True, ff_mult=HIDDEN / DIM, ff_no_bias=True, rotary_pos_emb=True, use_rmsnorm=True,
    )  # fmt: skip
    network = TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=length, attn_layers=decoder, tie_embedding=True,
        use_abs_pos_emb=False,
    )  # fmt: skip
    model = AutoregressiveWrapper(network)
    ids = torch.randint(VOCABULARY, (1, length + 1))
    return model, lambda: model(ids)


def videolm(head: str) -> Callable[[int], Parts]:
    """This project's model: normed queries and keys, rotary axes, places, prefix attention, z-loss."""

    def contestant(length: int) -> Parts:
        from videolm.lm.model.transformer import LMConfig, PrefixLM
        from videolm.lm.training.loss import loss_of
        from videolm.lm.vocabulary import Vocabulary

        config = LMConfig(DIM, LAYERS, HEADS, HEADS, HIDDEN, rotary_dims=(16, 24, 24), head=head)
        model = PrefixLM(config, Vocabulary.of_sizes())
        batch = records_of(prefix=1, count=length)
        return model, lambda: loss_of(model, batch, z_loss=1e-4).mean

    return contestant


CONTESTANTS: dict[str, Callable[[int], Parts]] = {
    "hf": hugging_face,
    "x-transformers": x_transformers,
    "videolm": videolm("factorized"),
    "videolm-muon": videolm("factorized"),
    "videolm-full": videolm("full"),
}


def _muon(model: nn.Module) -> torch.optim.Optimizer:
    from videolm.training.muon import Muon, parameter_groups

    matrices = [module for module in model.layers.modules() if isinstance(module, nn.Linear)]
    return Muon(parameter_groups(matrices, model))


def _against(record: Record, records: list[Record]) -> Record:
    """The record with how many times less time and memory than each peer it takes."""
    peers = {each["contestant"]: each for each in records if not each["contestant"].startswith("videolm")}
    ratios = {
        f"{peer}: times {label}": each[key] / record[key]
        for peer, each in peers.items()
        for key, label in (("s a step", "s"), ("peak GB", "GB"), ("of it in the step GB", "GB in the step"))
    }
    return record | ratios


def _is_installed(name: str) -> bool:
    return name != "x-transformers" or importlib.util.find_spec("x_transformers") is not None


if __name__ == "__main__":
    command(main)
