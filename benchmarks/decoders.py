"""The contestants of `benchmarks.decode`: one body of the same sizes in each library.

Every one generates n ids after the same number of given ones, in up to three modes: `greedy`, `guided`
(a conditional and an unconditional row, logits combined at every token) and `top-p` (0.95).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

LAYERS, DIM, HEADS, HIDDEN = 8, 640, 10, 2400
VOCABULARY = 2**18 + 4 * 1024 + 256
CACHE_BYTES = 2 * LAYERS * DIM * 4  # of keys and values of one position of one row, with HEADS key heads
TOP_P, GUIDANCE = 0.95, 3.0
UNCONDITIONAL = 20  # positions that the unconditional row lacks: a text

Run = Callable[[int], object]


@dataclass(frozen=True)
class Contestant:
    """
    Args:
        modes: name -> (generate so many ids, rows that go through the body together).
        weight_bytes: bytes of the weights that each token needs.
        cache_bytes: bytes of keys and values of one position of one row.
    """

    modes: dict[str, tuple[Run, int]]
    weight_bytes: int
    cache_bytes: int = CACHE_BYTES


def build(name: str, prefix: int, most: int) -> Contestant:
    """The contestant `name`, ready to go on from `prefix` ids by up to `most`."""
    return CONTESTANTS[name](prefix, most)


def hugging_face(cache: str) -> Callable[[int, int], Contestant]:
    """Llama through `generate`, with the cache of that name and its own guidance and top-p."""

    def contestant(prefix: int, most: int) -> Contestant:
        model = llama()
        ids, without = torch.randint(VOCABULARY, (2, 1, prefix)).unbind(0)

        def mode(**options: Any) -> Run:
            how = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0} | options
            if cache == "static":
                how["cache_implementation"] = "static"
            return lambda count: model.generate(ids, max_new_tokens=count, min_new_tokens=count, **how)

        modes = {"greedy": (mode(), 1)}
        if cache == "dynamic":
            negative = without[:, UNCONDITIONAL:]
            modes["guided"] = (mode(guidance_scale=GUIDANCE, negative_prompt_ids=negative), 2)
            modes["top-p"] = (mode(do_sample=True, top_p=TOP_P, top_k=0), 1)
        return Contestant(modes, _bytes(model))  # tied: the table of embeddings is the head

    return contestant


def llama() -> Any:
    """The body as transformers' LlamaForCausalLM, with a full softmax."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=DIM,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        intermediate_size=HIDDEN,
        vocab_size=VOCABULARY,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    model.generation_config.disable_compile = True
    return model


def x_transformers(prefix: int, most: int) -> Contestant:
    from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

    decoder = Decoder(
        dim=DIM,
        depth=LAYERS,
        heads=HEADS,
        attn_dim_head=DIM // HEADS,
        attn_flash=True,
        ff_swish=True,
        ff_glu=True,
        ff_mult=HIDDEN / DIM,
        ff_no_bias=True,
        rotary_pos_emb=True,
        use_rmsnorm=True,
    )
    network = TransformerWrapper(
        num_tokens=VOCABULARY,
        max_seq_len=8192,
        attn_layers=decoder,
        tie_embedding=True,
        use_abs_pos_emb=False,
    )
    model = AutoregressiveWrapper(network).eval()
    ids = torch.randint(VOCABULARY, (1, prefix))
    greedy = lambda count: model.generate(ids, count, temperature=0.0, cache_kv=True)  # noqa: E731
    return Contestant({"greedy": (greedy, 1)}, _bytes(model))


def videolm(head: str, kv_heads: int = HEADS, int8: bool = False) -> Callable[[int, int], Contestant]:
    """This project's model: normed queries and keys, three rotary axes, places, heads of every block."""

    def contestant(prefix: int, most: int) -> Contestant:
        from videolm.lm.decoding.generate import generate
        from videolm.lm.decoding.quantized import quantize
        from videolm.lm.decoding.sampling import DrawSettings

        model = prefix_lm(head, kv_heads)
        if int8:
            quantize(model)

        def mode(**options: Any) -> Run:
            sampling = DrawSettings(**options)

            def run(count: int) -> object:
                given = [records_of(length, count) for length in (prefix, prefix - UNCONDITIONAL)]
                without = given[1] if sampling.guidance_scale != 1 else None
                return generate(model, given[0], sampling, [torch.Generator()], without)

            return run

        modes = {
            "greedy": (mode(temperature=0.0), 1),
            "guided": (mode(temperature=0.0, guidance_scale=GUIDANCE), 2),
            "top-p": (mode(top_p=TOP_P), 1),
        }
        return Contestant(modes, read_bytes(model), CACHE_BYTES * kv_heads // HEADS)

    return contestant


def prefix_lm(head: str = "factorized", kv_heads: int = HEADS) -> Any:
    """The body as a `PrefixLM` whose heads are not zero."""
    from videolm.lm.model.transformer import LMConfig, PrefixLM
    from videolm.lm.vocabulary import Vocabulary

    config = LMConfig(DIM, LAYERS, HEADS, kv_heads, HIDDEN, rotary_dims=(16, 24, 24), head=head)
    model = PrefixLM(config, Vocabulary.of_sizes()).eval()
    for linear in model.heads["visual"].digits:
        nn.init.normal_(linear.weight, std=DIM**-0.5)
    return model


def read_bytes(model: Any) -> int:
    """Bytes of the weights of a `PrefixLM` that each visual code reads."""
    codes = model.heads["visual"]
    read = [model.layers, model.norm, codes.digits, *(each.hidden for each in codes.later)]
    return sum(map(_bytes, read))


CONTESTANTS: dict[str, Callable[[int, int], Contestant]] = {
    "hf-dynamic": hugging_face("dynamic"),
    "hf-static": hugging_face("static"),
    "x-transformers": x_transformers,
    "videolm": videolm("factorized"),
    "videolm-int8": videolm("factorized", int8=True),
    "videolm-2-kv-heads": videolm("factorized", kv_heads=2),
    "videolm-full": videolm("full"),
    "videolm-full-int8": videolm("full", int8=True),
}


def records_of(prefix: int, count: int, rows: int = 1) -> Any:
    """Rows of `prefix` given visual codes and `count` to sample, on a grid of 16 x 16."""
    from videolm.lm.batch import Batch, Example

    length = prefix + count
    place = torch.arange(length)
    forced = place < prefix
    return Batch.collate(
        [
            Example(
                ids=torch.randint(256, VOCABULARY - 4 * 1024, (length,)),
                block=torch.ones(length, dtype=torch.long),
                segment=torch.zeros(length, dtype=torch.long),
                coordinates=torch.stack([place // 256, place // 16 % 16, place % 16], -1).float(),
                forced=forced,
                weight=(~forced).float(),
                prefix_length=prefix,
                task="benchmark",
            )
            for _ in range(rows)
        ]
    )


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))
