"""The id space: the only file that knows an offset.

    [ 256 special | visual codes | audio codes of level 0 | level 1 | ... | text pieces | actions | outcome ]
      0..127   structure, tasks and numbers, fixed here
      128..255 names given when a model is created (tasks of its own, sources, numbers above 64)

With 2^18 visual codes and 4 x 1024 audio codes these are VideoPoet's ranges (Kondratyuk et al. 2024,
arXiv:2312.14125, section 3.2): visual [256, 262400), audio [262400, 266496), then text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from ..data.runtime.files import read_json, write_json
from ..data.runtime.typed_fields import check_least, from_fields

STRUCTURE = (
    "pad", "bos", "eos", "bot_i", "eot_i", "bov_i", "eov_i", "boa_i", "eoa_i",
    "bov_o", "eov_o", "boa_o", "eoa_o", "text",
)  # fmt: skip
TASKS = (
    "VIDEO", "CONTINUE", "INPAINT", "OUTPAINT", "STYLIZE", "AUDIO", "VIDEO_FROM_AUDIO", "AUDIO_VIDEO",
    "WORLD",
)  # fmt: skip
NUMBERS = 64
_MOST_IDS = 2**32
_FIRST_TASK, _FIRST_NUMBER, _FIRST_CUSTOM, _NUM_SPECIAL = 32, 64, 128, 256


@dataclass(frozen=True)
class Block:
    """A range of ids with one meaning.

    `factors` splits a code into digits, the lowest first: (512, 512) reads a code of 18 bits as its low
    and its high nine bits. A block of one factor is a flat one.
    """

    name: str
    start: int
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        check_least(self, start=0, factors=1)
        if not self.factors or self.size > _MOST_IDS:
            raise ValueError(f"factors are {self.factors}; expected 1 to {_MOST_IDS} ids")

    @property
    def size(self) -> int:
        return prod(self.factors)

    @property
    def stop(self) -> int:
        return self.start + self.size

    def split(self, codes: Int[Tensor, "*shape"]) -> tuple[Int[Tensor, "*shape"], ...]:
        """The digits of each code, lowest first."""
        digits = []
        for factor in self.factors:
            digits.append(codes % factor)
            codes = codes // factor
        return tuple(digits)

    def join(self, digits: Sequence[Int[Tensor, "*shape"]]) -> Int[Tensor, "*shape"]:
        """The inverse of `split`."""
        codes = digits[-1]
        for digit, factor in zip(reversed(digits[:-1]), reversed(self.factors[:-1]), strict=True):
            codes = codes * factor + digit
        return codes


class Vocabulary:
    """Named blocks of ids; stored as name -> start, factors, and loaded rather than recomputed."""

    def __init__(self, blocks: Iterable[Block], custom: Iterable[str] = ()):
        self.blocks = tuple(blocks)
        self.custom = tuple(custom)
        end = 0
        for block in self.blocks:
            if block.start != end:
                raise ValueError(f"block {block.name!r} starts at {block.start}; expected {end}")
            end = block.stop
        names = [block.name for block in self.blocks]
        if names[:1] != ["special"] or self.blocks[0].size != _NUM_SPECIAL:
            raise ValueError(f"the first block must be 'special' with {_NUM_SPECIAL} ids")
        if len(set(names)) < len(names):
            raise ValueError(f"block names repeat: {names}")
        if len(self.custom) > _NUM_SPECIAL - _FIRST_CUSTOM:
            raise ValueError(
                f"{len(self.custom)} names given; there is room for {_NUM_SPECIAL - _FIRST_CUSTOM}"
            )
        self._special = (
            {name: index for index, name in enumerate(STRUCTURE)}
            | {name: _FIRST_TASK + index for index, name in enumerate(TASKS)}
            | {name: _FIRST_CUSTOM + index for index, name in enumerate(self.custom)}
        )
        if len(self._special) < len(STRUCTURE) + len(TASKS) + len(self.custom):
            raise ValueError(f"a given name is already a special token: {self.custom}")

    @classmethod
    def of_sizes(
        cls,
        visual: tuple[int, ...] = (512, 512),
        audio: tuple[int, ...] = (1024,) * 4,
        text: int = 0,
        custom: Iterable[str] = (),
    ) -> "Vocabulary":
        """The standard order of blocks.

        Args:
            visual: factors of a visual code, lowest first.
            audio: codebook size of each level of the audio codec.
            text: number of text pieces.
            custom: names of further special tokens.
        """
        sizes: list[tuple[str, tuple[int, ...]]] = [("special", (_NUM_SPECIAL,)), ("visual", visual)]
        sizes += [(audio_block(level), (size,)) for level, size in enumerate(audio)]
        if text:
            sizes.append(("text", (text,)))
        return cls(_consecutive(sizes), custom)

    def extended(
        self, blocks: Mapping[str, tuple[int, ...]], custom: Iterable[str] = ()
    ) -> "Vocabulary":
        """This vocabulary with further blocks and names at its end; ids stay what they are.

        Args:
            blocks: name -> factors.
        """
        added = _consecutive(blocks.items(), len(self))
        return Vocabulary((*self.blocks, *added), (*self.custom, *custom))

    def continues(self, other: "Vocabulary") -> bool:
        """Whether every id of `other` means the same here."""
        ours = (self.blocks[: len(other.blocks)], self.custom[: len(other.custom)])
        return ours == (other.blocks, other.custom)

    def __len__(self) -> int:
        return self.blocks[-1].stop

    def index(self, name: str) -> int:
        """Position of a block in `blocks`.

        Raises:
            ValueError: if there is no such block.
        """
        for index, block in enumerate(self.blocks):
            if block.name == name:
                return index
        raise ValueError(f"vocabulary has no block {name!r}; it has {[block.name for block in self.blocks]}")

    def block(self, name: str) -> Block:
        return self.blocks[self.index(name)]

    def special(self, name: str) -> int:
        """Id of a structure token, a task or a given name.

        Raises:
            ValueError: if there is no such token.
        """
        if name not in self._special:
            raise ValueError(f"no special token {name!r}; there are {sorted(self._special)}")
        return self._special[name]

    def number(self, value: int) -> int:
        """Id of a whole number (rows, columns or latents of a grid, frames per second): any from 1 to 64, and
        of the larger ones that were given to the model as names (`large_numbers`).

        Raises:
            ValueError: if it is none of these.
        """
        if (name := _number_name(value)) in self.custom:
            return self.special(name)
        if not 1 <= value <= NUMBERS:
            raise ValueError(
                f"{value} cannot be written as a token; expected 1 to {NUMBERS}, or a larger number that the "
                "model was made with"
            )
        return _FIRST_NUMBER + value - 1

    def ids(self, name: str, codes: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """Codes of one tokenizer to ids.

        Raises:
            ValueError: if a code is outside the block.
        """
        block = self.block(name)
        if codes.numel() and (codes.min() < 0 or codes.max() >= block.size):
            raise ValueError(
                f"{name} codes lie in [{int(codes.min())}, {int(codes.max())}]; expected [0, {block.size})"
            )
        return codes.long() + block.start

    def codes(self, name: str, ids: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The inverse of `ids`.

        Raises:
            ValueError: if an id belongs to another block.
        """
        block = self.block(name)
        if ids.numel() and (ids.min() < block.start or ids.max() >= block.stop):
            raise ValueError(
                f"ids lie in [{int(ids.min())}, {int(ids.max())}]; "
                f"expected {name}, [{block.start}, {block.stop})"
            )
        return ids - block.start

    def save(self, path: str | Path) -> None:
        blocks = {block.name: {"start": block.start, "factors": block.factors} for block in self.blocks}
        write_json(Path(path), {"blocks": blocks, "custom": self.custom})

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read a vocabulary.json.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it does not describe consecutive blocks.
        """
        stored = read_json(Path(path))
        try:
            blocks = [
                from_fields(Block, {"name": name} | entry, f"block {name!r}")
                for name, entry in stored["blocks"].items()
            ]
            custom = stored["custom"]
            if not isinstance(custom, list) or not all(isinstance(name, str) for name in custom):
                raise TypeError(f"its names are {custom!r}")
            return cls(blocks, custom)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a vocabulary: {error!r}") from error
        except ValueError as error:
            raise ValueError(f"{path} is not a vocabulary: {error}") from error


def large_numbers(values: Iterable[int]) -> list[str]:
    """Names of the numbers without a token of their own, to be given to a vocabulary; the smallest first."""
    return [_number_name(value) for value in sorted(set(values)) if value > NUMBERS]


def _number_name(value: int) -> str:
    return f"number:{value}"


def audio_block(level: int) -> str:
    """Name of the block that holds the audio codes of one level."""
    return f"audio_{level}"


def _consecutive(sizes: Iterable[tuple[str, tuple[int, ...]]], start: int = 0) -> list[Block]:
    blocks: list[Block] = []
    for name, factors in sizes:
        blocks.append(Block(name, start, factors))
        start = blocks[-1].stop
    return blocks
