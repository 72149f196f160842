"""Small vocabularies, examples and models shared by the language model's tests."""

from dataclasses import replace

import pytest
import torch

from videolm.lm.batch import Batch, Example
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary

SMALL = LMConfig(dim=32, layers=2, heads=4, kv_heads=2, hidden=48, rotary_dims=(4, 2, 2), segments=4)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.of_sizes(visual=(4, 8), audio=(6, 5), text=10)


@pytest.fixture
def make_example(vocabulary):
    """An example `bos VIDEO text | bov visual eov boa audio eoa eos`; `given` visual codes are forced."""

    def make(text: int = 3, grid=(2, 2, 2), audio: int = 2, given: int = 0, seed: int = 0) -> Example:
        generator = torch.Generator().manual_seed(seed)
        rows = []  # of (id, block, segment, place, forced)

        def add(name: str, segment: int, place=(0.0, 0.0, 0.0), forced: bool = False) -> None:
            block = vocabulary.block(name)
            drawn = int(torch.randint(block.start, block.stop, (), generator=generator))
            rows.append((drawn, name, segment, place, forced))

        def mark(name: str) -> None:
            rows.append((vocabulary.special(name), "special", 0, (0.0, 0.0, 0.0), True))

        mark("bos")
        mark("VIDEO")
        for index in range(text):
            add("text", 1, (float(index - text), 0.0, 0.0), True)
        prefix_length = len(rows)
        mark("bov_o")
        t, h, w = grid
        for index in range(t * h * w):
            place = (float(index // (h * w)), float(index // w % h), float(index % w))
            add("visual", 2, place, index < given)
        mark("eov_o")
        mark("boa_o")
        for level in range(2 if audio else 0):
            for index in range(audio):
                add(f"audio_{level}", 3, (index * 0.1, float(level), 0.0))
        mark("eos")
        ids, names, segment, place, forced = zip(*rows, strict=True)
        is_forced = torch.tensor(forced)
        weight = (~is_forced).float()
        weight[:prefix_length] = 0
        return Example(
            ids=torch.tensor(ids),
            block=torch.tensor([vocabulary.index(name) for name in names]),
            segment=torch.tensor(segment),
            coordinates=torch.tensor(place),
            forced=is_forced,
            weight=weight,
            prefix_length=prefix_length,
            task="text_to_video" if text else "unconditional",
        )

    return make


@pytest.fixture
def make_batch(make_example):
    """A batch of examples with text of the given lengths."""

    def make(*texts: int, **options) -> Batch:
        return Batch.collate([make_example(text, seed=seed, **options) for seed, text in enumerate(texts)])

    return make


@pytest.fixture
def make_model(vocabulary):
    """A small model whose every weight is random (heads and residual branches start at zero otherwise)."""

    def make(head: str = "factorized", scale: float = 0.3) -> PrefixLM:
        torch.manual_seed(0)
        model = PrefixLM(replace(SMALL, head=head), vocabulary)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=scale)
        return model.eval()

    return make
