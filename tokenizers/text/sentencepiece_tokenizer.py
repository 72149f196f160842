"""The text tokenizer: captions <-> ids of SentencePiece pieces.

Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909, section 3.2) in SentencePiece's form (Kudo and
Richardson 2018, arXiv:1808.06226), trained on the captions of the training set, so that nothing has to be
downloaded. A folder holds config.json and spiece.model, which SentencePiece itself reads.
"""

import hashlib
import io
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from ...data.runtime.checksums import record_checksums
from ...data.runtime.files import replacing, write_json
from ...data.runtime.pretrained import CONFIG_VERSION, read_config
from .natural_text import PieceReader, Reading, signs_apart, well_formed

_KIND = "text_tokenizer"
_MODEL_FILE = "spiece.model"
# Captions beyond SentencePiece's default of 4192 bytes would be left out without a word.
_LONGEST_CAPTION = 2**20


@dataclass(frozen=True)
class TextTokenizerConfig:
    """config.json of a text tokenizer.

    Args:
        seen: ids of the pieces that training captions hold, as in "259-300 305"; None, in folders of earlier
            versions, is not known.
        signs_apart: whether signs are words of their own; not so in folders of earlier versions.
    """

    vocab_size: int
    seen: str | None = None
    signs_apart: bool = False


# Signs of `signs_apart` that stand beside a word when a text is shown.
_CLOSING = re.compile(r" (?=[.,!?;:)\]])")


class TextTokenizer:
    """Text to pieces and back: case folded, without markers of beginning and end.

    Args:
        model: a serialised SentencePiece model.
        seen: ids of the pieces that occur in the captions of training; None if that is not known.
        apart: read signs as words of their own (`signs_apart`), so that a word has the same pieces whatever
            stands beside it.

    Raises:
        ValueError: if it is not one, or an id is not one of its pieces.
    """

    def __init__(self, model: bytes, seen: Collection[int] | None = None, apart: bool = False):
        self.model, self.apart = model, apart
        try:
            self.pieces = SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError("not a SentencePiece model") from error
        self.seen = None if seen is None else frozenset(seen)
        self._check_ids(sorted(self.seen or ()))

    @classmethod
    def train(cls, captions: Iterable[str], vocab_size: int) -> "TextTokenizer":
        """Learn the pieces of captions; the same captions give the same pieces.

        Args:
            captions: may be few; pieces that they do not fill are left out, and characters that they lack
                are spelled as bytes, for which 256 pieces are set aside.
            vocab_size: largest number of pieces.

        Raises:
            ValueError: if there are no words to learn from, or `vocab_size` is too small for the characters.
        """
        captions = [signs_apart(well_formed(caption)) for caption in captions if caption.strip()]
        if not captions:
            raise ValueError("there are no captions to train a text tokenizer on")
        written = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(captions),
                model_writer=written,
                # BPE keeps the words of a small, repetitive set of captions whole. The unigram model (Kudo
                # 2018, arXiv:1804.10959), SentencePiece's default, spells them letter by letter.
                model_type="bpe",
                vocab_size=vocab_size,
                hard_vocab_limit=False,
                byte_fallback=True,
                character_coverage=1.0,
                normalization_rule_name="nmt_nfkc_cf",
                max_sentence_length=_LONGEST_CAPTION,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,
                minloglevel=3,
            )
        except RuntimeError as error:
            raise ValueError(
                f"{len(captions)} captions do not make a text tokenizer of {vocab_size} pieces: {error}"
            ) from error
        return cls(written.getvalue(), (), apart=True).having_seen(captions)

    @property
    def vocab_size(self) -> int:
        return self.pieces.vocab_size()

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the pieces and with how a text is divided into them."""
        return hashlib.sha256(self.model + (b"apart" if self.apart else b"")).hexdigest()[:16]

    def having_seen(self, captions: Iterable[str]) -> "TextTokenizer":
        """The same tokenizer, of a model that learns from these captions too; what is not known stays so."""
        if self.seen is None:
            return self
        return TextTokenizer(self.model, self.seen.union(*map(self.encode, captions)), self.apart)

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """Ids of a text, as many as it needs or at most so many; none for an empty one."""
        text = well_formed(text)
        return self.pieces.encode(signs_apart(text) if self.apart else text)[:most]

    def count(self, text: str) -> int:
        """Pieces of a text."""
        return len(self.encode(text))

    def read(self, text: str) -> Reading:
        """A text as a prompt, in pieces that a training caption held; without the rest, which is named.

        Where these are not known, only bytes count as not seen: every character of the captions that the
        pieces were learnt from has a piece of its own.
        """
        text = well_formed(text)
        return self._reader(signs_apart(text) if self.apart else text)

    @cached_property
    def _reader(self) -> PieceReader:
        seen = self.seen
        if seen is None:
            seen = frozenset(index for index in range(self.vocab_size) if not self.pieces.is_byte(index))
        return PieceReader(self.pieces, seen)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, with its case folded.

        Raises:
            ValueError: if an id is not one of a piece.
        """
        self._check_ids(ids)
        text = self.pieces.decode(ids)
        return _CLOSING.sub("", text) if self.apart else text

    def _check_ids(self, ids: list[int]) -> None:
        outside = [index for index in ids if not 0 <= index < self.vocab_size]
        if outside:
            raise ValueError(f"ids {outside} are outside [0, {self.vocab_size})")

    def save_pretrained(self, folder: str | Path) -> None:
        with replacing(Path(folder)) as temporary:
            temporary.mkdir()
            header = {"kind": _KIND, "config_version": CONFIG_VERSION}
            seen = None if self.seen is None else _as_ranges(self.seen)
            config = TextTokenizerConfig(self.vocab_size, seen, self.apart)
            write_json(temporary / "config.json", header | asdict(config))
            (temporary / _MODEL_FILE).write_bytes(self.model)
            record_checksums(temporary)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "TextTokenizer":
        """Load a folder that `save_pretrained` wrote.

        Raises:
            FileNotFoundError: if the folder or a file in it is missing.
            ValueError: if it holds another kind of model, or one that does not fit its config.json.
        """
        config = read_config(folder, _KIND, TextTokenizerConfig)
        path = Path(folder) / _MODEL_FILE
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no {_MODEL_FILE}")
        try:
            tokenizer = cls(path.read_bytes(), apart=config.signs_apart)
        except ValueError as error:
            raise ValueError(f"{path} is {error}") from error
        if tokenizer.vocab_size != config.vocab_size:
            raise ValueError(
                f"{path} has {tokenizer.vocab_size} pieces; its config.json says {config.vocab_size}"
            )
        if config.seen is None:
            return tokenizer
        try:
            return cls(tokenizer.model, _of_ranges(config.seen), config.signs_apart)
        except ValueError as error:
            raise ValueError(f"{folder}/config.json has seen pieces that are none: {error}") from error


def _as_ranges(ids: Collection[int]) -> str:
    """Numbers as "3 7-9", in order."""
    ranges: list[list[int]] = []
    for index in sorted(ids):
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _of_ranges(written: str) -> set[int]:
    """The inverse of `_as_ranges`."""
    pairs = [(first, last or first) for first, _, last in (each.partition("-") for each in written.split())]
    return {index for first, last in pairs for index in range(int(first), int(last) + 1)}
