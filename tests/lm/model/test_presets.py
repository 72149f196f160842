import pytest
import torch

from videolm.cli.config_files import packaged_config, read_config
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary


def preset(name: str) -> dict:
    return read_config(packaged_config(name, "lm"))["model"]


@pytest.mark.parametrize(
    ("name", "millions"), [("debug", 0.074), ("demo", 1.6), ("300m", 300), ("1b", 1000), ("8b", 8000)]
)
def test_presets_have_bodies_of_the_size_in_their_name(name, millions):
    settings = preset(name)["model"]
    settings |= {"rotary_dims": tuple(settings["rotary_dims"])}
    with torch.device("meta"):
        model = PrefixLM(LMConfig(**settings), Vocabulary.of_sizes())
    body = sum(parameter.numel() for parameter in model.layers.parameters())
    assert body == pytest.approx(millions * 1e6, rel=0.05)


def test_learning_rates_of_the_large_presets_follow_from_their_widths():
    large = [preset(name) for name in ("300m", "1b", "8b")]
    assert len({settings["learning_rate"] for settings in large}) == 1
    assert len({settings["adam_learning_rate"] * settings["model"]["dim"] for settings in large}) == 1
