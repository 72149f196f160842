"""What tests of scores share."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def codec(model_folder: Path) -> Any:
    """The audio codec of the tiny model."""
    from videolm.tokenizers.audio.codec import AudioTokenizer

    return AudioTokenizer.from_pretrained(model_folder / "audio_tokenizer")
