"""Words of a command line as the arguments of a function and of the records that it takes."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from videolm.cli.arguments import Options, as_parsed, parse
from videolm.cli.commands_data import encode, synthesize


@dataclass(frozen=True)
class Size:
    """A size.

    Args:
        width: in pixels.
        height: in pixels.
    """

    width: int = 1
    height: int = 2


def draw(*, height: int = 5, size: Annotated[Size, Options(skip=("height",), width=3)]) -> None:
    """Draw.

    Args:
        height: of the picture.
    """


@pytest.mark.parametrize(
    ("words", "height", "size"),
    [("", 5, Size(3)), ("--width 7 --height 8", 8, Size(7)), ("--height 9", 9, Size(3))],
)
def test_a_parameter_keeps_its_value_beside_a_record_that_skips_its_name(words, height, size):
    assert parse(draw, "draw", words.split()) == {"height": height, "size": size}


def test_synthesize_and_encode_take_what_is_given():
    values = parse(synthesize, "synthesize", ["--out", "o", "--source", "synthetic-plain", "--clips", "3"])
    assert values["source"] == "synthetic-plain" and values["selection"].clips == 3
    words = ["src", "--model", "m", "--out", "o", "--clips", "3", "--shard-size", "7"]
    words = as_parsed([*words, "--where", "a=b", "--where", "c=d"])
    values = parse(encode, "encode", words)
    assert (values["clips"], values["settings"].shard_size) == (3, 7)
    assert values["selection"].source == "src" and [*values["selection"].where] == ["a=b", "c=d"]
