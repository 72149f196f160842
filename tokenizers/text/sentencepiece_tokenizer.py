"""The text tokenizer: captions <-> ids of SentencePiece pieces.

Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909, section 3.2) in SentencePiece's form (Kudo and
Richardson 2018, arXiv:1808.06226), trained on the captions of the training set, so that nothing has to be
downloaded. A folder holds config.json and spiece.model, which SentencePiece itself reads.
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from ...data.runtime.files import replacing, write_json
from ...data.runtime.pretrained import CONFIG_VERSION, read_config

_KIND = "text_tokenizer"
_MODEL_FILE = "spiece.model"
# Captions beyond SentencePiece's default of 4192 bytes would be left out without a word.
_LONGEST_CAPTION = 2**20


@dataclass(frozen=True)
class TextTokenizerConfig:
    """config.json of a text tokenizer."""

    vocab_size: int


class TextTokenizer:
    """Text to pieces and back: lower-cased, without markers of beginning and end.

    Args:
        model: a serialised SentencePiece model.

    Raises:
        ValueError: if it is not one.
    """

    def __init__(self, model: bytes):
        self.model = model
        try:
            self.pieces = SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError("not a SentencePiece model") from error

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
        captions = [caption for caption in captions if caption.strip()]
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
        return cls(written.getvalue())

    @property
    def vocab_size(self) -> int:
        return self.pieces.vocab_size()

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the pieces."""
        return hashlib.sha256(self.model).hexdigest()[:16]

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """Ids of a text, as many as it needs or at most so many; none for an empty one."""
        return self.pieces.encode(text)[:most]

    def decode(self, ids: list[int]) -> str:
        """The text of ids, in lower case.

        Raises:
            ValueError: if an id is not one of a piece.
        """
        outside = [index for index in ids if not 0 <= index < self.vocab_size]
        if outside:
            raise ValueError(f"ids {outside} are outside [0, {self.vocab_size})")
        return self.pieces.decode(ids)

    def save_pretrained(self, folder: str | Path) -> None:
        with replacing(Path(folder)) as temporary:
            temporary.mkdir()
            header = {"kind": _KIND, "config_version": CONFIG_VERSION}
            write_json(temporary / "config.json", header | asdict(TextTokenizerConfig(self.vocab_size)))
            (temporary / _MODEL_FILE).write_bytes(self.model)

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
            tokenizer = cls(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is {error}") from error
        if tokenizer.vocab_size != config.vocab_size:
            raise ValueError(
                f"{path} has {tokenizer.vocab_size} pieces; its config.json says {config.vocab_size}"
            )
        return tokenizer
