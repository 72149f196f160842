"""The interface of captioners, which describe clips and rewrite prompts: a local model, or a server.

    captioner = captioner_of("models/llava-1.5-7b-hf")
    captioner = captioner_of("http://localhost:8000/v1", "Qwen/Qwen2.5-VL-7B-Instruct")
    captioner("Describe the clip.", frames)        # pictures in order
    captioner("Say it in more words: a dog runs")  # a text alone
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import UInt8
from numpy import ndarray

Pictures = Sequence[UInt8[ndarray, "height width 3"]]


class Unanswered(ValueError):
    """There is no answer to this request; another one may have one."""


class Unusable(Unanswered):
    """The answer is no caption; asked in other words, there may be one."""


class Unreachable(ConnectionError):
    """There will be no answer to any request."""


@runtime_checkable
class Captioner(Protocol):
    """A model that answers a prompt with text.

    Attributes:
        name: of the model, for the record.
        at_once: requests that it can work on at a time.
        follows: whether it does what a prompt tells it; others describe a picture, and only go on from the
            words of a prompt.
    """

    name: str
    at_once: int
    follows: bool

    def __call__(self, prompt: str | None, pictures: Pictures = (), /) -> str:
        """The answer, on one line, checked (answers.py).

        Raises:
            Unanswered: if there is none to this prompt with these pictures.
            Unusable: if what comes is no caption.
            Unreachable: if there is none to anything.
        """
        ...
