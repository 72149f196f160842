"""Texts of prompts as the language model reads them, and what is said of those that it cannot read whole."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..data.runtime.notes import Note, notify
from ..tokenizers.text.frozen_encoder import TextEncoder
from ..tokenizers.text.sentencepiece_tokenizer import TextTokenizer

_NAMED = 12  # words of a note
_SHOWN = 60  # characters of what is cut off


class TextNote(Note):
    """What of some texts the model does not read; several make one.

    Args:
        left_out: words and characters that training never showed.
        read_as: words in place of which a shorter one is read.
        cut: the ends of texts that are too long.
        pieces: that the model reads of each.
    """

    def __init__(
        self,
        left_out: tuple[str, ...] = (),
        read_as: tuple[tuple[str, str], ...] = (),
        cut: tuple[str, ...] = (),
        pieces: int = 0,
    ):
        self.left_out, self.read_as, self.cut, self.pieces = (
            tuple(dict.fromkeys(left_out)), tuple(dict.fromkeys(read_as)), tuple(dict.fromkeys(cut)), pieces,
        )  # fmt: skip
        super().__init__(self._message())

    def __add__(self, other: "TextNote") -> "TextNote":
        return TextNote(
            self.left_out + other.left_out,
            self.read_as + other.read_as,
            self.cut + other.cut,
            max(self.pieces, other.pieces),
        )

    def _message(self) -> str:
        parts = []
        if self.left_out:
            parts.append(f"left out of the text, since training never showed it: {_named(self.left_out)}")
        if self.read_as:
            pairs = tuple(f"{word} as {stem}" for word, stem in self.read_as)
            parts.append(f"read for what training never showed: {_named(pairs)}")
        if self.cut:
            end = self.cut[0] if len(self.cut[0]) <= _SHOWN else f"{self.cut[0][:_SHOWN]}…"
            those = "the text is" if len(self.cut) == 1 else f"{len(self.cut)} texts are"
            parts.append(f"{those} longer than the {self.pieces} pieces that are read; cut off: “{end}”")
        return "; ".join(parts)


@dataclass
class TextNotes:
    """Collects what is to be said of several texts, to say it once."""

    left_out: list[str] = field(default_factory=list)
    read_as: list[tuple[str, str]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def say(self, pieces: int) -> None:
        """Warn, if there is anything to say."""
        if self.left_out or self.read_as or self.cut:
            note = TextNote(tuple(self.left_out), tuple(self.read_as), tuple(self.cut), pieces)
            notify(note)


class PromptReader:
    """Texts to what the language model reads: pieces, or their embeddings.

    Args:
        tokenizer: None for a model without text.
        most: pieces that it reads of a text.
    """

    def __init__(self, tokenizer: TextTokenizer | TextEncoder | None, most: int):
        self.tokenizer, self.most = tokenizer, most

    def __call__(self, text: str, notes: TextNotes | None = None) -> Tensor:
        """The text as far as the model knows its words and reads it.

        Args:
            notes: to which what is not read is added.

        Raises:
            ValueError: if the model reads no text, or knows nothing of this one.
        """
        read = self.read(text, notes)
        if not len(read):
            raise ValueError(f"training never showed any word of the text {text[:_SHOWN]!r}; use other words")
        return read

    def read(self, text: str, notes: TextNotes | None = None) -> Tensor:
        """As a call, but a text of which the model knows nothing is empty."""
        notes = notes or TextNotes()
        if self.tokenizer is None:
            raise ValueError("this model was trained without captions; it takes no text")
        if isinstance(self.tokenizer, TextEncoder):
            if self.tokenizer.count(text) > self.most:
                notes.cut.append(self.tokenizer.after(text, self.most))
            return self.tokenizer.encode(text, self.most)
        reading = self.tokenizer.read(text)
        notes.left_out += reading.left_out
        notes.read_as += reading.read_as
        if len(reading.ids) > self.most:
            notes.cut.append(self.tokenizer.decode(reading.ids[self.most :]))
        return torch.tensor(reading.ids[: self.most], dtype=torch.int64)


def _named(words: tuple[str, ...]) -> str:
    named = ", ".join(f"“{word[:_SHOWN]}”" for word in words[:_NAMED])
    more = len(words) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
