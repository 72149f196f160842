"""How ids are drawn: `Sampling` is what is asked for, `DrawSettings` what is done.

Sampling(guidance_scale=3)           the rest as the model recommends, else the defaults
    .settings(recommended)
DrawSettings(1.0, guidance_scale=3)  no open choice
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ...data.runtime.typed_fields import check_fields


@dataclass(frozen=True)
class DrawSettings:
    """How ids are drawn, with every choice made.

    With a factorized head every digit of a code is drawn in this way, unless `joint`.

    Args:
        temperature: divides the logits; 0 takes the most likely.
        top_k: keep so many of the most likely; None keeps all.
        top_p: keep the most likely until their probabilities reach this sum; None keeps all.
        guidance_scale: logits = unconditional + scale * (conditional - unconditional); 1 is off.
        guidance_schedule: `constant`; `linear` and `cosine` let the scale rise from 1 at the first position
            to guidance_scale at the last, `cosine` slowly at first.
        repetition_penalty: nats taken from the code that stands at the same place one latent earlier: above
            0 against pictures that freeze, below 0 against flicker.
        joint: draw whole codes instead of digits, of so many of the likeliest first digits (joint.py).
        decoding: `sequential`; `compiled`, the same by passes that are recorded (graphs.py) or, without
            CUDA, compiled (compiled.py); or `jacobi`, several positions in a pass and the same ids.
        window: positions that `jacobi` guesses at a time.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    guidance_scale: float = 1.0
    guidance_schedule: str = "constant"
    repetition_penalty: float = 0.0
    joint: int | None = None
    decoding: str = "sequential"
    window: int = 16

    def __post_init__(self) -> None:
        check_fields(self)
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; expected 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; expected 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; expected a number above 0 and at most 1")
        if self.guidance_scale < 0:
            raise ValueError(f"guidance_scale is {self.guidance_scale}; expected 0 or more (1 is off)")
        if self.guidance_schedule not in ("constant", "linear", "cosine"):
            raise ValueError(
                f"guidance_schedule is {self.guidance_schedule!r}; expected constant, linear or cosine"
            )
        if self.joint is not None and self.joint < 1:
            raise ValueError(f"joint is {self.joint}; expected 1 or more first digits")
        if self.decoding not in ("sequential", "compiled", "jacobi"):
            raise ValueError(f"decoding is {self.decoding!r}; expected sequential, compiled or jacobi")
        if self.window < 1:
            raise ValueError(f"window is {self.window}; expected 1 or more")


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; what is not given, as the model recommends for the task, else by the default.

    Args:
        temperature: below 1 likelier, above 1 more varied; 0 takes the likeliest. Default 1.
        top_k: draw from the k likeliest codes only; 0 draws from all. Default 0.
        top_p: draw from the likeliest codes that together have this probability; 1 draws from all. Default 1.
        guidance_scale: 1 is off; above, the text is followed more closely. Default 1.
        guidance_schedule: constant, or linear or cosine: from 1 at the first code to the scale at the last.
            Default constant.
        repetition_penalty: above 0 against clips that freeze, below 0 against flicker; in nats. Default 0.
        joint: let temperature, top_k and top_p act on whole codes, of this many likeliest first digits (64,
            for example); 0 lets them act digit by digit. Default 0.
        decoding: sequential; jacobi: the same clip in fewer passes, by guessing codes and checking them; or
            compiled: for GPUs, the same clip by passes that are recorded once and replayed. Default
            sequential.
        window: codes that jacobi guesses at a time. Default 16.
        recommended: false: what is not given is at its default, whatever the model recommends.

    Raises:
        ValueError: if a value is out of its range.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    guidance_scale: float | None = None
    guidance_schedule: str | None = None
    repetition_penalty: float | None = None
    joint: int | None = None
    decoding: str | None = None
    window: int | None = None
    recommended: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        self.settings()

    @property
    def given(self) -> dict[str, Any]:
        """The choices that are made, by the names of their fields."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        del values["recommended"]
        return values

    def settings(self, recommended: "Sampling | None" = None) -> DrawSettings:
        """Every choice made: by this, else by what is recommended, else by the defaults."""
        chosen = self.over(recommended) if recommended is not None and self.recommended else self
        given = chosen.given
        for name, everything in (("top_k", 0), ("top_p", 1), ("joint", 0)):
            if given.get(name) == everything:
                del given[name]
        return DrawSettings(**given)

    def over(self, other: "Sampling") -> "Sampling":
        """This, and where it leaves a choice open, the other's."""
        return replace(self, **other.given | self.given)

    def unguided(self) -> "Sampling":
        """This without guidance, for prompts without a text."""
        return replace(self, guidance_scale=1.0)

    def __str__(self) -> str:
        """The choices that are made: "temperature 0.5, guidance_scale 2"."""
        return ", ".join(choice_in_words(*choice) for choice in self.given.items())


def choice_in_words(name: str, value: Any) -> str:
    """A field and its value, such as "guidance_scale 2"."""
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
