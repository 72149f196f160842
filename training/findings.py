"""What the numbers of a training say, in plain lines: while it runs, and at its end what would help next.

Each line follows from a rule on the record of validations; a rule that does not hold says nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .validations import Quality, Validation, best_of, has_become_worse, scored

_PATIENCE = 3  # validations in a row that are worse than the best, before a training is said to be worse
_LAST_PART = 0.8  # where the last fifth of the steps begins
_LEAST_GAIN = 0.005  # nats a code; what captions help by less is nothing to see in a picture
_CAPTION_GAIN = "validation/caption_gain"

Means = Mapping[str, float]  # of metrics of the training, by name


@dataclass(frozen=True)
class Findings:
    """A training as its validations and logs show it.

    Args:
        quality: by which validations are compared.
        validations: on record, in their order.
        train: for each, the means of the training's metrics since the one before.
    """

    quality: Quality
    validations: Sequence[Validation]
    train: Sequence[Means]

    def warning(self) -> str | None:
        """What to say if validation has become worse."""
        if not has_become_worse(list(self.validations), self.quality, _PATIENCE):
            return None
        best, last = self._best, self._scored[-1]
        scores = f"{self._value(best):.2f} -> {self._shown(self._value(last))}"
        return f"validation is worse since step {best.step:,} ({scores}): {self._reason(best, last)}"

    def closing(self) -> list[str]:
        """What would help next; nothing of a training that was not validated."""
        if not self._scored:
            return []
        lines = [line for line in (self._course(), self._gap()) if line is not None]
        return [*lines, *caption_lines(self.validations[-1].scores)]

    @property
    def reached(self) -> str | None:
        """The best score, and when."""
        if not self._scored:
            return None
        score = self._shown(self._value(self._best))
        return f"{self.quality.words} of held-out clips: {score} at step {self._best.step:,}"

    @property
    def _scored(self) -> list[Validation]:
        return scored(list(self.validations), self.quality)

    @property
    def _best(self) -> Validation:
        best = best_of(list(self.validations), self.quality)
        assert best is not None
        return best

    def _course(self) -> str | None:
        """Whether the curve still rose at the end."""
        best, last = self._best, self._scored[-1]
        before = [each for each in self._scored if each.step <= _LAST_PART * last.step]
        if not before:
            return None
        loss = self.quality.gain(self._value(last), self._value(best))
        if loss > self.quality.noise:
            return f"worse by {self._shown(loss)} since step {best.step:,}: {self._reason(best, last)}"
        gain, begin = self.quality.gain(self._value(before[-1]), self._value(last)), f"{before[-1].step:,}"
        if gain > self.quality.noise:
            return f"still improving, by {self._shown(gain)} since step {begin}: more steps would help"
        return f"levelled off ({self._shown(gain)} gained since step {begin}): more steps would change little"

    def _reason(self, best: Validation, last: Validation) -> str:
        """Why validation has become worse: the training goes on to improve, or it does not."""
        levels = [self._levels(each) for each in (best, last)]
        if None not in levels:
            (then, _), (now, _) = levels  # type: ignore[misc]
            if self.quality.gain(then, now) < -self.quality.noise:
                return "so has the training itself; a lower learning rate or a longer warm-up would help"
        return "the model learns its clips by heart; more clips or fewer steps would help"

    def _gap(self) -> str | None:
        """Whether training clips are better known than held-out ones, at the last validation."""
        levels = self._levels(self._scored[-1])
        if levels is None or (gap := self.quality.gain(levels[1], levels[0])) <= self.quality.gap:
            return None
        return f"training clips are {self._shown(gap)} better than held-out ones: more clips would help"

    def _levels(self, validation: Validation) -> tuple[float, float] | None:
        train = self.train[list(self.validations).index(validation)]
        return self.quality.levels(train, validation.scores)

    def _value(self, validation: Validation) -> float:
        return validation.scores[self.quality.metric]

    def _shown(self, score: float) -> str:
        return f"{score:.2f} {self.quality.unit}".rstrip()


def caption_lines(scores: Mapping[str, float]) -> list[str]:
    """Whether captions help, where it was measured: by more than twice its standard error, and visibly."""
    gain, error = scores.get(_CAPTION_GAIN, math.nan), scores.get(f"{_CAPTION_GAIN}_error", math.nan)
    if not math.isfinite(gain):
        return []
    measured = f"{gain:.3f} ± {error:.3f}" if math.isfinite(error) else f"{gain:.3f}"
    if gain > _LEAST_GAIN and not gain <= 2 * error:
        return [f"captions help by {measured} nats a code, next to those of other clips"]
    return [f"captions do not help yet ({measured} nats a code): pictures do not follow them"]


def code_lines(scores: Mapping[str, float], train: Means, bits: float) -> list[str]:
    """How the codebook of a tokenizer is used.

    Args:
        train: means of the training's metrics, over its last steps.
        bits: of a code.
    """
    perplexity = scores.get("val/perplexity", math.nan)
    if not math.isfinite(perplexity):
        return []
    line = f"{perplexity:,.0f} codes in even use among held-out clips, of {2**bits:,.0f}"
    if "train/code_use" in train:
        line += f"; {train['train/code_use']:.1%} of all occur in training"
    if perplexity < 2 ** (bits / 2):
        line += ": few; a higher --model.entropy_weight would bring more into use"
    return [line]


def still_lines(psnr: float, still: Mapping[str, float]) -> list[str]:
    """A tokenizer's frames after the first one next to still pictures, in dB.

    Args:
        still: PSNR of predictions that need no tokenizer, by name.
    """
    if not still or not math.isfinite(psnr):
        return []
    name = max(still, key=lambda each: still[each])
    others = ", ".join(f"{each} {value:.2f}" for each, value in still.items())
    line = f"later frames {psnr:.2f} dB ({others})"
    if psnr < still[name]:
        line += f": not yet better than the {name}, so what moves is not coded yet"
    return [line]
