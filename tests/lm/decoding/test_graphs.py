"""Positions that are recorded once and replayed; here, without a GPU, what would be recorded is called."""

import pytest
import torch

from videolm.lm.decoding import graphs
from videolm.lm.decoding.choice import Chooser
from videolm.lm.decoding.decoder import Decoder
from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.rows import Rows
from videolm.lm.decoding.sampling import DrawSettings


def generators(count):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


@pytest.fixture
def replayed(monkeypatch):
    """Counts what is replayed; a step is called once before, as in a recording."""
    calls = []

    def recorded(step):
        step()
        return lambda: (calls.append(step), step())

    monkeypatch.setattr(graphs, "recorded", recorded)
    monkeypatch.setattr(graphs, "_SHORTEST", 2)
    return calls


@pytest.mark.parametrize(
    "sampling",
    [
        DrawSettings(temperature=0.0),
        DrawSettings(),
        DrawSettings(top_k=3, guidance_scale=2.0, guidance_schedule="cosine"),
        DrawSettings(top_p=0.8, repetition_penalty=2.0),
        DrawSettings(joint=2, temperature=0.7),
    ],
    ids=["greedy", "plain", "guided", "penalty", "joint"],
)
def test_ids_are_those_of_sequential_decoding(make_model, make_batch, replayed, sampling):
    model = make_model().double()
    how = {"grid": (20, 2, 2), "given": 3, "audio": 5}
    batch, without = make_batch(3, 6, 3, **how), make_batch(0, 0, 0, **how)
    expected = generate(model, batch, sampling, generators(3), without)
    batches = [batch] if sampling.guidance_scale == 1 else [batch, without]
    with torch.no_grad():
        decoder = Decoder(model, Rows.align(model, batches))
        chooser = Chooser(decoder, sampling, generators(3))
        counts = list(graphs.decide_by_graphs(decoder, chooser))
    assert counts == list(range(1, 80 - 3 + 10 + 1))
    assert torch.equal(decoder.rows.ids_of(batch), expected)
    # All but the first position of each of three blocks.
    assert len(replayed) == 77 + 10 - 3


def test_a_choice_that_looks_at_numbers_is_not_recorded(make_model, make_batch, replayed, monkeypatch):
    """Top-p over many classes takes more of them until they suffice."""
    from videolm.lm.decoding import choice

    monkeypatch.setattr(choice, "FIRST_CANDIDATES", 5)
    batch = make_batch(3, grid=(3, 2, 2), audio=4)
    model = make_model().double()
    decoder = Decoder(model, Rows.align(model, [batch]))
    chooser = Chooser(decoder, DrawSettings(top_p=0.9), generators(1))
    list(graphs.decide_by_graphs(decoder, chooser))
    assert len(replayed) == 3  # audio codes of the second level are 5, of the first 6, digits 4 and 8
