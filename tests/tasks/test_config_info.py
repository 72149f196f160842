"""`videolm info CONFIG`: what a training costs, told without training."""

import re

import pytest

from videolm.tasks.cli import main
from videolm.tasks.fitting import CONFIGS

PRESETS = sorted(path.stem for path in (CONFIGS / "lm").glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_packaged_config_is_described_by_its_name(name, capsys: pytest.CaptureFixture[str]):
    assert main(["info", f"lm/{name}"]) == 0
    text = capsys.readouterr().out
    assert "VideoPoet's, as there are no codes in" in text
    assert re.search(r"text_to_video +1,3\d\d +1,280 ", text)
