"""A frozen text encoder: captions -> embeddings of their pieces (T5, Raffel et al. 2020, arXiv:1910.10683).

The text_tokenizer folder of a model then names the encoder and does not hold its weights:

    MODEL/text_tokenizer/config.json   {"kind": "text_encoder", "source": "/models/t5-v1_1-xl", ...}

If that folder moves, `source` may be changed by hand: the fingerprint tells whether it is the same encoder.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...data.runtime.confinement import is_confined, is_inside, places_of
from ...data.runtime.files import read_json, replacing, write_json
from ...data.runtime.hub import HubOptions
from ...data.runtime.model_source import part_folder
from ...data.runtime.notes import notify
from ...data.runtime.pretrained import CONFIG_VERSION, fingerprint, read_config
from ...data.runtime.transformers_loading import NO_CODE, quiet_transformers
from ..audio.torchaudio_guard import tolerate_torchaudio
from .kept_embeddings import KeptEmbeddings
from .sentencepiece_tokenizer import TextTokenizer

_KIND = "text_encoder"
_PIECES = ("spiece.model", "tokenizer.json")
_SAMPLED = 256  # numbers of each weight that count for the fingerprint; all of them would take minutes


@dataclass(frozen=True)
class TextEncoderConfig:
    """config.json of a text encoder.

    Args:
        source: folder of a T5 with its tokenizer, or its name on Hugging Face's hub.
        width: features of an embedding.
        fingerprint: of the encoder that the language model was trained with.
    """

    source: str
    width: int
    fingerprint: str


class TextEncoder:
    """Text to embeddings of its pieces; it never learns.

    Args:
        source: where it is from.
        pieces: transformers' tokenizer.
        model: transformers' T5EncoderModel.
        cache: folder in which embeddings are kept: those of `videolm embed` (kept_embeddings.py), and others
            each under a hash of its text.
    """

    def __init__(self, source: str, pieces: Any, model: Any, cache: Path | None = None):
        self.source, self.pieces, self.cache = source, pieces, cache
        self.model = model.eval().requires_grad_(False)

    @classmethod
    def open(cls, source: str, cache: Path | None = None) -> "TextEncoder":
        """The encoder of a T5, whose decoder is left out if it has one.

        Raises:
            FileNotFoundError: if the folder has no tokenizer.
            ValueError: if there is no such encoder, there or on the hub, or weights are missing.
        """
        folder, source = Path(source), cls.source_of(source)
        if folder.is_dir() and not any((folder / name).is_file() for name in _PIECES):
            raise FileNotFoundError(f"{folder} has no tokenizer of a T5 ({' or '.join(_PIECES)})")
        tolerate_torchaudio()
        from transformers import T5EncoderModel, T5Tokenizer

        local = folder.is_dir()
        try:
            with quiet_transformers():
                pieces = T5Tokenizer.from_pretrained(source, local_files_only=local, **NO_CODE)
                loaded: Any = T5EncoderModel.from_pretrained(
                    source, dtype=torch.float32, output_loading_info=True, local_files_only=local, **NO_CODE
                )
                model, report = loaded  # a pair, because of output_loading_info
        except Exception as error:  # transformers raises many types for what is absent or damaged
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"{source} gives no T5 encoder: {reason}") from error
        if report["missing_keys"]:
            raise ValueError(f"{source} lacks weights of a T5 encoder: {sorted(report['missing_keys'])[:3]}")
        return cls(source, pieces, model, cache)

    @staticmethod
    def source_of(name: str) -> str:
        """A folder by its whole path; a name on the hub as it is."""
        return str(Path(name).resolve()) if Path(name).is_dir() else name

    @property
    def width(self) -> int:
        return self.model.config.d_model

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with the pieces and the weights."""
        weights = {name: value.flatten()[:_SAMPLED] for name, value in self.model.state_dict().items()}
        return fingerprint({"pieces": self.pieces.get_vocab()}, weights)

    def encode(self, text: str, most: int | None = None) -> Float[Tensor, "pieces {self.width}"]:
        """Embeddings of a text and its end, none for an empty one, rounded to bfloat16 as they are kept.

        Args:
            most: pieces; what is beyond is not read.
        """
        if not text.strip():
            return torch.zeros(0, self.width)
        if self.cache is None:
            return self._encode(text, most)
        if (kept := self.kept.get(text, most)) is not None:
            return kept.float()
        name = hashlib.sha256(f"{most} {text}".encode()).hexdigest()
        path = self.cache / self.fingerprint / name[:2] / f"{name[2:34]}.safetensors"
        if path.is_file():
            return load_file(path)["embeddings"].float()
        embeddings = self._encode(text, most)
        with replacing(path) as temporary:
            save_file({"embeddings": embeddings.bfloat16()}, temporary)
        return embeddings

    @cached_property
    def kept(self) -> KeptEmbeddings:
        """Those of `videolm embed`; none without a cache."""
        return KeptEmbeddings(Path() if self.cache is None else self.packs)

    @property
    def packs(self) -> Path:
        """The folder of what is kept."""
        assert self.cache is not None
        return self.cache / self.fingerprint / "packs"

    def count(self, text: str) -> int:
        """Embeddings of a text, with its end."""
        return len(self.pieces(text).input_ids) if text.strip() else 0

    def after(self, text: str, most: int) -> str:
        """What `encode` with so many pieces does not read of a text: its end stays."""
        return self.pieces.decode(self.pieces(text).input_ids[max(most - 1, 0) :], skip_special_tokens=True)

    @torch.no_grad()
    def encode_batch(self, texts: Sequence[str], most: int) -> list[Tensor]:
        """As `encode`, of several texts that are not empty, read together; nothing is kept."""
        read = self.pieces(list(texts), truncation=True, max_length=most, padding=True, return_tensors="pt")
        read = read.to(self.model.device)
        states = self.model(input_ids=read.input_ids, attention_mask=read.attention_mask).last_hidden_state
        lengths = read.attention_mask.sum(1).tolist()
        return [own[:length].bfloat16().cpu() for own, length in zip(states, lengths, strict=True)]

    @torch.no_grad()
    def _encode(self, text: str, most: int | None) -> Tensor:
        ids = self.pieces(text, truncation=most is not None, max_length=most, return_tensors="pt").input_ids
        states = self.model(input_ids=ids.to(self.model.device)).last_hidden_state[0]
        return states.bfloat16().float().cpu()

    def to(self, device: torch.device | str) -> "TextEncoder":
        self.model.to(device)
        return self

    def save_pretrained(self, folder: str | Path) -> None:
        """Write where the encoder is."""
        with replacing(Path(folder)) as temporary:
            temporary.mkdir()
            header = {"kind": _KIND, "config_version": CONFIG_VERSION}
            stored = TextEncoderConfig(self.source, self.width, self.fingerprint)
            write_json(temporary / "config.json", header | asdict(stored))

    @classmethod
    def from_pretrained(cls, folder: str | Path, cache: Path | None = None) -> "TextEncoder":
        """Load the encoder that a folder of `save_pretrained` names.

        Raises:
            FileNotFoundError: if the folder is missing.
            ValueError: if the encoder is not there any more, is another, or is outside the model's folder
                where that is refused (--confine).
        """
        config = read_config(folder, _KIND, TextEncoderConfig)
        _say_where_it_is(Path(folder), config.source)
        encoder = cls.open(config.source, cache)
        if encoder.fingerprint != config.fingerprint:
            raise ValueError(
                f"the text encoder in {config.source} ({encoder.fingerprint}) is not the one that "
                f"{folder} names ({config.fingerprint})"
            )
        return encoder


def _say_where_it_is(folder: Path, source: str) -> None:
    """A model of somebody else may name any folder, or any model of the hub."""
    is_local = Path(source).is_dir()
    if is_local and is_inside(source, places_of(folder.parent)):
        return
    what = f"the folder {source}" if is_local else f"{source}, a model of Hugging Face's hub"
    said = f"{folder / 'config.json'} takes its text encoder from {what}, outside the model's own folder"
    if is_confined():
        raise ValueError(f"{said}; --confine refuses that")
    notify(said)


def load_text_tokenizer(
    model: str | Path, cache: Path | None = None, **hub: Unpack[HubOptions]
) -> TextTokenizer | TextEncoder:
    """What a text_tokenizer folder holds: pieces of our own, or a frozen encoder.

    Args:
        model: that folder, or a model that has it: a folder or a name, as `model_folder` takes them.
        cache: of an encoder.
        hub: for a name on Hugging Face's hub.

    Raises:
        FileNotFoundError, ValueError: as `from_pretrained` of the two.
    """
    folder = part_folder(model, "text_tokenizer", **hub)
    path = folder / "config.json"
    stored = read_json(path) if path.is_file() else None
    if isinstance(stored, dict) and stored.get("kind") == _KIND:
        return TextEncoder.from_pretrained(folder, cache)
    return TextTokenizer.from_pretrained(folder)
