"""Decoding in parallel gives the ids of sequential decoding, in fewer passes where guesses are good."""

from dataclasses import replace

import pytest
import torch

from videolm.lm.batch import Batch
from videolm.lm.decoding.decoder import Decoder
from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.sampling import DrawSettings


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.fixture
def passes(monkeypatch):
    """A list that fills with the columns wanted of each pass."""
    seen = []
    original = Decoder.read

    def watched(decoder, stop, wanted=1):
        seen.append(wanted)
        return original(decoder, stop, wanted)

    monkeypatch.setattr(Decoder, "read", watched)
    return seen


@pytest.mark.parametrize("head", ["factorized", "full"])
@pytest.mark.parametrize(
    "sampling",
    [
        DrawSettings(),
        DrawSettings(temperature=0.0),
        DrawSettings(temperature=0.5, top_p=0.9),
        DrawSettings(top_k=3, guidance_scale=2.0, guidance_schedule="linear"),
        DrawSettings(guidance_scale=3.0, repetition_penalty=-1.0),
        DrawSettings(temperature=0.5, joint=2, top_p=0.8, guidance_scale=2.0),
    ],
)
@pytest.mark.parametrize(("window", "given"), [(2, 0), (5, 5), (64, 0)])
def test_ids_are_those_of_sequential_decoding(make_model, make_batch, head, sampling, window, given):
    model = make_model(head).double()
    texts, how = (3, 6, 3), {"grid": (3, 2, 3), "given": given}
    without = make_batch(0, 0, 0, **how) if sampling.guidance_scale != 1 else None
    batch = make_batch(*texts, **how)
    expected = generate(model, batch, sampling, generators(0, 1, 2), without)
    parallel = replace(sampling, decoding="jacobi", window=window)
    assert torch.equal(generate(model, batch, parallel, generators(0, 1, 2), without), expected)


def test_codes_follow_the_models_distribution(make_model, make_example):
    """2,048 rows: how often pairs of neighbours are drawn, by chi-square against sequential decoding."""
    model, rows = make_model(scale=0.15), 2048
    batch = Batch.collate([make_example(3, grid=(1, 1, 2), audio=0)] * rows)
    counts = []
    for sampling, seed in ((DrawSettings(decoding="jacobi", window=2), 0), (DrawSettings(), rows)):
        ids = generate(model, batch, sampling, generators(*range(seed, seed + rows)))
        first, second = (ids[:, 6:8] - 256).unbind(1)
        counts.append(torch.bincount(first // 4 * 8 + second // 4, minlength=64).double())
    one, other = counts
    kept = one + other >= 10
    chi_square = ((one - other) ** 2 / (one + other))[kept].sum()
    # Mean and variance of chi-square: degrees of freedom and twice that.
    assert chi_square < kept.sum() + 4 * (2 * kept.sum()) ** 0.5


def test_a_model_that_does_not_look_at_codes_is_done_in_a_few_passes(make_model, make_batch, passes):
    """Its second guess is right wherever it stands: 18 codes in windows of 7 take the prompt and 3 passes."""
    model = make_model().double()
    for table in model.tokens.tables["visual"].digits:
        torch.nn.init.zeros_(table.weight)
    batch = make_batch(3, grid=(2, 3, 3), audio=0)
    generate(model, batch, DrawSettings(decoding="jacobi", window=7), generators(0))
    assert len(passes) <= 7
    passes.clear()
    generate(model, batch, DrawSettings(), generators(0))
    assert len(passes) == 18


def test_still_pictures_are_guessed_from_the_latent_before(make_model, make_batch, passes):
    """With a strong wish to repeat, all but the first latent is right at the first guess."""
    model = make_model().double()
    batch = make_batch(3, grid=(4, 2, 2), audio=0)
    still = DrawSettings(temperature=0.0, repetition_penalty=-1000.0, decoding="jacobi", window=4)
    assert len(make_model().heads["visual"].digits) == 2
    full = make_model("full").double()
    generate(full, batch, still, generators(0))
    assert len(passes) <= 4 + 3
    assert model is not full
