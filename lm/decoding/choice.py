"""From hidden states to ids, digit by digit, inside the block of the vocabulary that a position allows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..model.heads import Head
from ..vocabulary import Block
from .decoder import Decoder
from .drawing import FIRST_CANDIDATES, Noise, draw, guidance_scales, guided
from .joint import choose_jointly
from .sampling import DrawSettings


class Chooser:
    """Chooses ids for sampled positions, a function of hidden states, ids before them, and noise.

    Args:
        generators: one for every row that is chosen for; with guidance as many unconditional rows follow.
    """

    def __init__(self, decoder: Decoder, settings: DrawSettings, generators: list[torch.Generator]):
        self.decoder, self.settings = decoder, settings
        self.model, self.rows = decoder.model, decoder.rows
        self.count = len(generators)
        device = self.rows.ids.device
        self.columns = torch.tensor(self.rows.sampled, dtype=torch.long, device=device)
        self.scales = guidance_scales(settings, len(self.rows.sampled)).to(device)
        numbers = [sum(self.block(index).factors) for index in range(len(self.rows.sampled))]
        self.noise = Noise(generators, numbers, device)
        self.before: Tensor | None = None
        if settings.repetition_penalty:
            self.before = torch.tensor(self.rows.at_same_place([1]), device=device)

    def block(self, index: int) -> Block:
        """The block of a sampled position."""
        return self.model.blocks[self._number(index)]

    def fill(self, index: int) -> None:
        """Read up to a sampled position and fill in its column."""
        column = self.rows.sampled[index]
        chosen = self(self.decoder.read(column), index)
        self.rows.ids[:, column] = chosen.squeeze(1).repeat(len(self.rows.ids) // len(chosen))

    def stop_of_run(self, index: int) -> int:
        """Behind the last sampled position in an unbroken row of columns of one block with this one."""
        sampled, stop = self.rows.sampled, index + 1
        while stop < len(sampled) and sampled[stop] == sampled[stop - 1] + 1:
            if self._number(stop) != self._number(index):
                break
            stop += 1
        return stop

    def waits(self, index: int) -> bool:
        """Whether a choice at a sampled position depends on values read back: top_p of many classes does."""
        *_, last = factors = self.block(index).factors
        most = max(factors)
        if self.settings.joint is not None and len(factors) > 1:
            most = max(most, self.settings.joint * last)
        return self.settings.top_p is not None and min(self.settings.top_k or most, most) > FIRST_CANDIDATES

    def __call__(
        self, hidden: Float[Tensor, "rows positions dim"], first: int
    ) -> Int[Tensor, "chosen positions"]:
        """Ids for the sampled positions from the one of index `first` on, all of one block.

        Args:
            hidden: of the columns before them.
        """
        stop = first + hidden.shape[1]
        noise = self.noise.at(first, stop) if self.settings.temperature else None
        indices = torch.arange(first, stop, device=hidden.device)
        return self.choose(hidden, self._number(first), indices, noise)

    def choose(
        self,
        hidden: Float[Tensor, "rows positions dim"],
        number: int,
        indices: Int[Tensor, " positions"],
        noise: Float[Tensor, "chosen positions numbers"] | None,
    ) -> Int[Tensor, "chosen positions"]:
        """`__call__` with everything that differs between positions in tensors.

        Args:
            number: of the block.
            indices: of the sampled positions.
        """
        block = self.model.blocks[number]
        scale = None
        if len(hidden) > self.count:
            scale = self.scales[indices].repeat(self.count)[:, None]
        avoided = self._avoided(self.columns[indices], block)
        penalty = None if avoided is None else (avoided, self.settings.repetition_penalty)
        flat = None if noise is None else noise.flatten(0, 1)
        head = self.model.head(block.name)
        ids = choose(head, block, hidden.flatten(0, 1), flat, self.settings, scale, penalty)
        return ids.view(self.count, -1)

    def _number(self, index: int) -> int:
        return self.rows.block_of[self.rows.sampled[index]]

    def _avoided(self, columns: Int[Tensor, " positions"], block: Block) -> Int[Tensor, " chosen"] | None:
        """Ids that stood at the same places one latent before; -1 where there are none."""
        if self.before is None:
            return None
        source = self.before[columns]
        held = self.rows.ids[: self.count, source.clamp(min=0)]
        fits = (source >= 0) & (held >= block.start) & (held < block.stop)
        return held.where(fits, -1).flatten()


def choose(
    head: Head,
    block: Block,
    hidden: Float[Tensor, "rows dim"],
    noise: Float[Tensor, "chosen numbers"] | None,
    settings: DrawSettings,
    scale: Float[Tensor, "chosen 1"] | None = None,
    penalty: tuple[Int[Tensor, " chosen"], float] | None = None,
) -> Int[Tensor, " chosen"]:
    """An id of the block for every chosen row.

    Args:
        hidden: the conditional rows and, with guidance, as many unconditional ones below.
        noise: as many numbers as the block's digits have classes together; None: the most likely.
        scale: of the guidance; None: there is none.
        penalty: for every row an id, or -1, and the nats that are taken from its last digit.
    """
    parts = [None] * len(block.factors) if noise is None else noise.split(block.factors, dim=-1)
    predict = _Predict(head, block, hidden, scale, penalty)
    if settings.joint is not None and len(parts) > 1:
        return block.start + block.join(choose_jointly(predict, block.factors, parts, settings))
    digits: list[Tensor] = []
    for part in parts:
        digits.append(draw(predict(digits), part, settings))
    return block.start + block.join(digits)


@dataclass(frozen=True, eq=False)
class _Predict:
    """Guided and penalised logits of a digit after the known ones; the arguments are those of `choose`."""

    head: Head
    block: Block
    hidden: Float[Tensor, "rows dim"]
    scale: Float[Tensor, "chosen 1"] | None
    penalty: tuple[Int[Tensor, " chosen"], float] | None

    def __call__(self, known: Sequence[Tensor], beginnings: int = 1) -> Float[Tensor, "expanded classes"]:
        """Each row stands for `beginnings` rows, whose known digits differ."""
        copies = 1 if self.scale is None else 2
        hidden = _expanded(self.hidden, beginnings)
        logits = self.head.logits(hidden, [digit.repeat(copies) for digit in known])
        if self.scale is not None:
            logits = guided(logits, _expanded(self.scale, beginnings))
        if self.penalty is not None and len(known) == len(self.block.factors) - 1:
            ids, nats = self.penalty
            logits = _penalised(logits, known, self.block, _expanded(ids, beginnings), nats)
        return logits


def _expanded(rows: Tensor, times: int) -> Tensor:
    return rows if times == 1 else rows.repeat_interleave(times, dim=0)


def _penalised(
    logits: Tensor, digits: Sequence[Tensor], block: Block, ids: Tensor, nats: float
) -> Float[Tensor, "rows classes"]:
    """The last digit's logits, less `nats` where it would complete one of the ids."""
    *earlier, last = block.split((ids - block.start).clamp(min=0))
    applies = ids >= 0
    for chosen, digit in zip(digits, earlier, strict=True):
        applies = applies & (chosen == digit)
    return logits.scatter_add(1, last[:, None], -nats * applies[:, None].to(logits.dtype))
