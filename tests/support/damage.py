"""Files with damage, made from a seeded chance: the same case is always the same damage."""

import random
from typing import Any

VALUES = (
    None, True, -1, 0, 3.5, float("nan"), 1e308, "", "x", "../x", "a\0b", [], [1], [None], {}, {"a": [{}]},
)  # fmt: skip
# Texts that break what reads them otherwise than random bytes do.
TEXTS = (
    b"[" * 20_000, b'{"a":' * 20_000, b"9" * 400, b"-1", b"1e999", b".nan", b"|-\n", b"&a [*a]", b"\\ud800",
    b"!!python/object/apply:os.abort []", b"\xff\xfe\x00", b"\x00", b"\x1b[2J", b"../../etc/passwd",
    b"\r\n", b'"',
)  # fmt: skip


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut off, with flipped bits, with a part overwritten, doubled or taken out."""
    kind, data = chance.randrange(5), bytearray(data)
    place = chance.randrange(len(data))
    if kind == 0:
        return bytes(data[:place])
    if kind == 1:
        for _ in range(chance.choice((1, 4, 16, 64))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)
    length = chance.randrange(1, 200)
    if kind == 2:
        data[place : place + length] = chance.randbytes(length)
    elif kind == 3:
        data[place:place] = data[max(0, place - length) : place]
    else:
        del data[place : place + length]
    return bytes(data)


def damaged_text(data: bytes, chance: random.Random) -> bytes:
    """As `damaged`, or with one of `TEXTS` put in."""
    if chance.random() < 0.5:
        return damaged(data, chance)
    place = chance.randrange(len(data))
    return data[:place] + chance.choice(TEXTS) + data[place + chance.randrange(8) :]


def with_another_value(value: Any, chance: random.Random, others: tuple[Any, ...] = ()) -> Any:
    """A JSON value with one of its parts, however deep, exchanged."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        return value | {key: with_another_value(value[key], chance, others)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [*value[:place], with_another_value(value[place], chance, others), *value[place + 1 :]]
    return chance.choice((*VALUES, *others, 2**70))
