"""Pieces of a caption that a model reads, and pieces of its text tokenizer: both follow from the captions.

The embedded corpus has 150 words and signs and captions of up to 40 pieces: 64 pieces of 1024 are enough. A
caption of 20 words in plain English takes about 30 pieces of 4096, and some 60 of 512.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

# Kondratyuk et al. 2024, arXiv:2312.14125, section 3.1, and what models stored before there was a setting.
LEAST_PIECES = 64
MOST_PIECES = 512
_PERCENTILE, _STEP = 98, 16
LEAST_VOCABULARY, _MOST_VOCABULARY = 512, 8192
# Byte-pair encoding needs about one merge on the way to a word beside the word itself; bytes come on top.
_BYTES, _PIECES_A_WORD = 256, 2
_WORDS = re.compile(r"\w+|[^\w\s]")  # signs are words of their own, as for the tokenizer


@dataclass(frozen=True)
class TextBudget:
    """The pieces of a caption that a model reads.

    Args:
        pieces: at most so many of each caption.
        captions: that were counted.
        longer: of these, which have more pieces and are cut.
        usual: pieces that most captions have at most: two standard deviations above the mean.
    """

    pieces: int
    captions: int = 0
    longer: int = 0
    usual: int = 0

    @classmethod
    def of_captions(cls, counts: Sequence[int], pieces: int | None = None) -> "TextBudget":
        """The budget for captions of so many pieces.

        Args:
            counts: pieces of each caption.
            pieces: in place of what follows from them: the 98th percentile in steps of 16, from 64 to 512.

        Raises:
            ValueError: if `pieces` is not positive.
        """
        if pieces is not None and pieces < 1:
            raise ValueError(f"text_pieces is {pieces}; expected 1 or more")
        if pieces is None:
            usual = float(np.percentile(counts, _PERCENTILE)) if counts else 0.0
            pieces = min(max(ceil(usual / _STEP) * _STEP, LEAST_PIECES), MOST_PIECES)
        usual = ceil(np.mean(counts) + 2 * np.std(counts)) if counts else 0
        return cls(pieces, len(counts), sum(count > pieces for count in counts), min(usual, pieces))

    def __str__(self) -> str:
        if not self.longer:
            return f"all {self.captions:,} captions fit in {self.pieces} pieces of text"
        # Rounded down: what is cut must not look as if it fitted.
        share = int(1000 * (self.captions - self.longer) / self.captions) / 10
        return (
            f"{share:g} % of {self.captions:,} captions fit in {self.pieces} pieces of text; "
            f"{self.longer:,} are cut there"
        )


def vocabulary_size(captions: Sequence[str]) -> int:
    """Pieces of a text tokenizer: 512 up to 128 different words and signs in captions, 8192 from 1,921 on."""
    words = {word for caption in captions for word in _WORDS.findall(caption.casefold())}
    wanted = _BYTES + _PIECES_A_WORD * len(words)
    size = LEAST_VOCABULARY
    while size < min(wanted, _MOST_VOCABULARY):
        size *= 2
    return size
