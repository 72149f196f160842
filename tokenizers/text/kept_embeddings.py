"""Embeddings of many texts in a few files, made in batches before a training (`videolm embed`).

    CACHE/<fingerprint of the encoder>/packs/<hash>.safetensors
        digest       uint8 (texts 16)        start of the SHA-256 of each text
        cut          int32 (texts)           pieces to which it was cut; 0 if it is whole
        starts       int64 (texts + 1)       where its embeddings begin
        embeddings   bfloat16 (pieces width)

Files are mapped, so that all processes of a machine share what they read. What each process holds are 16
bytes a text, shared too where it was forked off the one that opened them.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...data.runtime.files import replacing

_TOGETHER = 4096  # texts of a file
_DIGEST_BYTES = 16


class KeptEmbeddings:
    """What a folder of packs holds, by text.

    Args:
        folder: of the packs of one encoder; it may be missing.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._paths = sorted(folder.glob("*.safetensors"))
        self._open: dict[int, dict[str, Tensor]] = {}
        digests = [_tensors(path, "digest")["digest"].numpy() for path in self._paths]
        packs = [np.full(len(each), number, np.int32) for number, each in enumerate(digests)]
        rows = [np.arange(len(each), dtype=np.int32) for each in digests]
        keys = np.concatenate([_starts_of(each) for each in digests]) if digests else np.zeros(0, np.uint64)
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._packs, self._rows = (
            np.concatenate(each)[order] if each else np.zeros(0, np.int32) for each in (packs, rows)
        )

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, text: str, most: int | None) -> Tensor | None:
        """The embeddings of a text in bfloat16, as of `TextEncoder.encode`; None if they are not kept."""
        digest = _digest(text)
        key = np.frombuffer(digest, np.uint64, 1)[0]
        first, last = (int(np.searchsorted(self._keys, key, side)) for side in ("left", "right"))
        for place in range(first, last):
            pack, row = self._pack(int(self._packs[place])), int(self._rows[place])
            if pack["digest"][row].numpy().tobytes() != digest:
                continue
            cut, first, last = (int(each) for each in (pack["cut"][row], *pack["starts"][row : row + 2]))
            if cut == most or (not cut and (most is None or last - first <= most)):
                return pack["embeddings"][first:last]
        return None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}  # another process maps the files itself

    def _pack(self, number: int) -> dict[str, Tensor]:
        if number not in self._open:
            self._open[number] = _tensors(self._paths[number])
        return self._open[number]


def write_packs(
    folder: Path, texts: Sequence[str], encode: Callable[[Sequence[str]], list[Tensor]], most: int
) -> Iterator[int]:
    """Write packs of these texts; gives how many are done, after each pack.

    Args:
        texts: different ones, which are not kept yet.
        encode: gives the embeddings of some.
        most: pieces to which longer ones are cut.
    """
    for start in range(0, len(texts), _TOGETHER):
        part = texts[start : start + _TOGETHER]
        embeddings = encode(part)
        lengths = [len(each) for each in embeddings]
        tensors = {
            "digest": torch.from_numpy(np.frombuffer(b"".join(map(_digest, part)), np.uint8).copy()),
            "cut": torch.tensor([most if length >= most else 0 for length in lengths], dtype=torch.int32),
            "starts": torch.tensor([0, *lengths]).cumsum(0),
            "embeddings": torch.cat(embeddings).bfloat16(),
        }
        tensors["digest"] = tensors["digest"].view(-1, _DIGEST_BYTES)
        name = hashlib.sha256(tensors["digest"].numpy().tobytes()).hexdigest()[:32]
        with replacing(folder / f"{name}.safetensors") as temporary:
            save_file(tensors, temporary)
        yield start + len(part)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]


def _starts_of(digests: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64)[:, 0]


def _tensors(path: Path, *names: str) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in names or file.keys()}
