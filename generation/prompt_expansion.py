"""Expansion of short prompts into long captions like those of training: `videolm generate --expand`."""

import re
from collections.abc import Callable
from pathlib import Path

from ..data.curation.captioner import Captioner
from ..data.curation.captioning import AUTHOR
from ..data.runtime.files import read_json, write_json
from ..data.sources.entry import LONG_CAPTION
from ..tasks.model_config import ModelConfig
from ..tokenizers.text.frozen_encoder import load_text_tokenizer

PROMPT = (
    "Rewrite the following short description of a video clip as one plain caption of at most 40 words, such "
    "as somebody would write who has seen the clip: what is seen and how it looks, what happens, the "
    "surroundings, the light and how the camera moves. Keep all that it says and contradict none of it. "
    "Answer with the caption alone.\n\n"
)


class Expander:
    """Texts to long captions that fit a model; each is kept in a file and not asked for again.

    The file is a clip's sidecar (data/sources/sidecars.py):
    {"caption": text, "long_caption": …, "captioner": …}.

    Args:
        captioner: that rewrites.
        model: folder of the model that is to read the captions.

    Raises:
        FileNotFoundError, ValueError: if the model has no text tokenizer.
    """

    def __init__(self, captioner: Captioner, model: Path):
        if not captioner.follows:
            raise ValueError(f"{captioner.name} describes pictures and rewrites no text; choose a chat model")
        self.captioner = captioner
        self.tokenizer = load_text_tokenizer(model / "text_tokenizer")
        self.most = ModelConfig.load(model).text_pieces

    def __call__(self, text: str, kept: Path) -> str:
        """The caption of a text.

        Raises:
            ValueError: if `kept` is another file, or there is no answer.
            ConnectionError: if the captioner cannot be reached.
        """
        asked = {"caption": text, AUTHOR: self.captioner.name}
        if kept.exists():
            stored = read_json(kept)
            if not isinstance(stored, dict) or not isinstance(stored.get(LONG_CAPTION), str):
                raise ValueError(f"{kept} is in the way of the expanded text; choose another --out")
            if stored.items() >= asked.items():
                return stored[LONG_CAPTION]
        caption = fitting(self.captioner(PROMPT + text), self._fits)
        write_json(kept, asked | {LONG_CAPTION: caption})
        return caption

    def _fits(self, text: str) -> bool:
        return self.tokenizer.count(text) <= self.most


def fitting(text: str, fits: Callable[[str], bool]) -> str:
    """As many sentences of a text from its beginning as fit, or words if not even the first one does.

    Raises:
        ValueError: if no word fits.
    """
    for between in (r"(?<=[.!?])\s+", r"\s+"):
        parts = re.split(between, text)
        while parts and not fits(" ".join(parts)):
            parts.pop()
        if parts:
            return " ".join(parts)
    raise ValueError(f"the text does not fit the model at all: {text[:60]!r}")
