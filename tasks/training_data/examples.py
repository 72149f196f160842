"""Examples: coded clips as sequences, each a pure function of its number.

step -> size, task, given latents (mixture.py) -> the next clip of those (clip_pools.py) -> caption
     -> its form (caption_variation.py) -> a window of a long clip (windows.py) -> Layout.pack
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch
from jaxtyping import Int

from ...data.codes.shards import CodedClip
from ...data.sources.caption_variation import varied
from ...lm.batch import Example
from ...lm.vocabulary import Vocabulary
from ...tokenizers.text.frozen_encoder import TextEncoder
from ...tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..layout import Layout
from ..spans import Lengths
from ..task import Task
from .clip_pools import Pools
from .coded_clips import SizedClips
from .mixture import Draw, Mixture, shuffled
from .windows import drawn_begin, from_latent


class ExampleMaker:
    """Coded clips to sequences.

    Args:
        lengths: of the sequences of each size without text.
        text_pieces: of a caption that are shown at most (`TextBudget`).
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        text_tokenizer: TextTokenizer | TextEncoder | None,
        lengths: Sequence[Lengths],
        text_pieces: int,
    ):
        self.vocabulary, self.text_pieces = vocabulary, text_pieces
        self.text_tokenizer = text_tokenizer
        self.lengths = lengths

    def layout(self, draw: Draw, num_pieces: int, clip: CodedClip | None = None) -> Layout:
        """The layout of an example.

        Args:
            clip: it is as long as this one, if that is shorter than clips of the size.
        """
        lengths = replace(self.lengths[draw.size], text=num_pieces, given=draw.given)
        if clip is not None and "visual" in clip.codes:
            lengths = lengths.of_latents(len(clip.codes["visual"]))
        return Layout.of(draw.task, self.vocabulary, lengths)

    def longest(self, draw: Draw, text_pieces: int | None = None) -> int:
        """Positions of an example with the longest text, or one of so many pieces."""
        has_text = draw.task.text != "none" and self.text_tokenizer is not None
        most = self.text_pieces if text_pieces is None else min(text_pieces, self.text_pieces)
        return len(self.layout(draw, most if has_text else 0))

    def example(self, draw: Draw, clip: CodedClip, caption: str | None) -> Example:
        text = self.text(draw.task, caption)
        return self.layout(draw, _count(text), clip).example(clip.codes | text)

    def prompt(self, draw: Draw, clip: CodedClip, caption: str | None) -> tuple[Layout, Example]:
        """The example with its outputs blank, and its layout."""
        text = self.text(draw.task, caption)
        layout = self.layout(draw, _count(text), clip)
        return layout, layout.prompt(clip.codes | text)

    def window(self, size: int, clip: CodedClip, random: np.random.Generator) -> CodedClip:
        """A clip that is longer than those of its size from one of its latents on, else the clip."""
        lengths, visual = self.lengths[size], clip.codes.get("visual")
        begin = 0 if visual is None else drawn_begin(len(visual), lengths.t, random)
        return replace(clip, codes=from_latent(clip.codes, lengths, begin)) if begin else clip

    def written(self, caption: str | None, form: int | None) -> str | None:
        """A caption in one of its forms; as it is where that would not be shown whole."""
        if caption is None or form is None or self.text_tokenizer is None:
            return caption
        text = varied(caption, form)
        return text if self.text_tokenizer.count(text) <= self.text_pieces else caption

    def text(self, task: Task, caption: str | None) -> dict[str, torch.Tensor]:
        """The part of a caption, pieces or their embeddings; none if there is no text."""
        if task.text == "none" or caption is None or self.text_tokenizer is None:
            return {}
        text = torch.as_tensor(self.text_tokenizer.encode(caption, self.text_pieces))
        return {"text": text} if len(text) else {}


def _count(text: dict[str, torch.Tensor]) -> int:
    return len(text["text"]) if text else 0


class TrainingExamples:
    """Examples by number, over each task's clips of each size in an order shuffled every pass.

    Args:
        clips: all clips.
        pools: numbers of those to train on.
    """

    def __init__(self, maker: ExampleMaker, mixture: Mixture, clips: SizedClips, pools: Pools):
        self.maker, self.mixture, self.clips, self.pools = maker, mixture, clips, pools
        self.order: dict[tuple[int, int], tuple[int, Int[np.ndarray, " pool"]]] = {}

    def example(self, draw: Draw, step: int, number: int, with_text: bool = True) -> Example:
        """The example of this number among those of its size in the whole run, which step `step` shows."""
        clip, caption = self.clips[self._index(draw, number)], None
        clip = self.maker.window(draw.size, clip, self.mixture.window_generator(step, number))
        if with_text:
            caption = self.mixture.caption(draw.task, step, number, clip.captions, clip.long_caption)
            caption = self.maker.written(caption, self.mixture.form(step, number))
        if draw.given is not None:  # an episode may be shorter than the window
            draw = replace(draw, given=min(draw.given, len(clip.codes["visual"]) - 1))
        if self.mixture.given_noise and "visual" in clip.codes:
            num_codes = prod(self.clips.formats[draw.size].factors)
            visual = self.mixture.noisy(draw, step, number, clip.codes["visual"], num_codes)
            clip = replace(clip, codes=clip.codes | {"visual": visual})
        return self.maker.example(draw, clip, caption)

    def _index(self, draw: Draw, number: int) -> int:
        """The clip of an example; pools of the same length share their order."""
        pool = self.pools.of[draw.task.name, draw.size]
        turn, position = divmod(number, len(pool))
        known = self.order.get((draw.size, len(pool)))
        if known is None or known[0] != turn:
            known = (turn, shuffled(self.mixture.seed, len(pool), turn))
            self.order[draw.size, len(pool)] = known
        return int(pool[known[1][position]])
