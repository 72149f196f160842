import pytest
import torch
from sounds import tone

from videolm.evaluation.audio_baselines import mu_law, randomly_quantized
from videolm.evaluation.metrics.sound_quality import si_sdr


@pytest.mark.parametrize("bits", range(1, 9))
def test_mu_law_has_as_many_values_as_its_bits_allow_the_closer_the_softer(bits):
    sound = torch.linspace(-1, 1, 20_001)[None]
    coded = mu_law(sound, bits)
    values = coded.unique()
    assert len(values) == 2**bits and values.abs().max() <= 1
    torch.testing.assert_close(mu_law(coded, bits), coded)
    steps = values[values > 0].diff()
    assert (steps.diff() > 0).all()


def test_mu_law_of_eight_bits_has_the_ratio_of_telephony_at_any_loudness():
    # The theory of mu-law, 6.02 b + 4.77 - 20 log10(ln(1 + mu)) = 38 dB, for all but the softest sounds.
    for loudness in (1.0, 0.3, 0.1):
        sound = loudness * tone(440) * 2
        assert float(si_sdr(mu_law(sound, 8)[None], sound[None])) == pytest.approx(38, abs=2)


def test_random_codebooks_lie_where_the_latents_do():
    latents = 5 + torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 0.1])
    errors = []
    for sizes in ((64,), (64, 64)):
        quantized = randomly_quantized(latents, sizes, torch.Generator().manual_seed(1))
        errors.append(float((quantized - latents).square().mean().sqrt()))
    one_level = randomly_quantized(latents, (64,), torch.Generator().manual_seed(1))
    assert 8 < len(one_level.unique(dim=0)) <= 64
    assert 0 < errors[1] < 0.8 * errors[0] < 0.1 * float(latents.std())
    still = latents[:1].expand(10, -1)
    torch.testing.assert_close(randomly_quantized(still, (4,), torch.Generator().manual_seed(1)), still)
