"""The fields of the page that say how codes are drawn: an empty one is as the model recommends."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import gradio as gr

from ...data.runtime.typed_fields import shown
from ...generation.pipeline import VideoLM
from ...lm.decoding.sampling import DrawSettings

# Name -> label and explanation; the order is that of the page.
_NUMBERS = {
    "temperature": ("Temperature", "below 1 likelier, above 1 more varied"),
    "guidance_scale": ("Guidance scale", "above 1 the text is followed more closely"),
    "top_k": ("Top k", "draw from the k likeliest codes; 0: from all"),
    "top_p": ("Top p", "draw from the likeliest that have this probability; 1: from all"),
    "repetition_penalty": ("Repetition penalty", "above 0 against freezing, below 0 against flicker"),
}
_WHOLE = ("top_k",)
_SCHEDULES = ("constant", "linear", "cosine")
_RECOMMENDED = "recommended"


class SamplingFields:
    """Their components, which are made where this is made.

    Args:
        group: of the page, for the ids of the fields.
    """

    def __init__(self, group: str):
        self.schedule: Any = None
        self.numbers: dict[str, gr.Textbox] = {}
        with gr.Accordion("Sampling", open=False, elem_id=f"{group}-sampling"):
            self.negative = gr.Textbox(
                label="Not",
                info="what is not to be seen; acts with a guidance scale above 1",
                elem_id=f"{group}-negative",
            )
            self._draw(group)

    def _draw(self, group: str) -> None:
        with gr.Row():
            for name, (label, told) in _NUMBERS.items():
                # No gr.Number, in which an empty field becomes 0.
                self.numbers[name] = gr.Textbox(
                    label=label, info=told, max_lines=1, min_width=180, elem_id=f"{group}-{name}"
                )
            self.schedule = gr.Dropdown(
                [_RECOMMENDED, *_SCHEDULES],
                value=_RECOMMENDED,
                label="Guidance schedule",
                info="whether guidance rises along the clip",
                filterable=False,
                min_width=180,
                elem_id=f"{group}-guidance_schedule",
            )

    @property
    def components(self) -> list[Any]:
        return [*self.numbers.values(), self.schedule]

    def placeholders(self, model: VideoLM, task: str) -> list[Any]:
        """Updates of the components that show what a task's fields are when they are empty."""
        usual = model.settings(task)
        return [gr.update(placeholder=_shown(usual, name)) for name in self.numbers] + [gr.update()]

    def show_usual(self, model: VideoLM, task: str) -> None:
        """Show from the beginning what a task's fields are when they are empty."""
        usual = model.settings(task)
        for name, field in self.numbers.items():
            field.placeholder = _shown(usual, name)

    def chosen(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """The fields of `Sampling` that are filled in.

        Args:
            values: of the components.

        Raises:
            ValueError: if one is no number.
        """
        *texts, schedule = values
        numbers = dict(zip(self.numbers, texts, strict=True))
        given: dict[str, Any] = {
            name: number_of(text, _NUMBERS[name][0], whole=name in _WHOLE) for name, text in numbers.items()
        }
        given["guidance_schedule"] = None if schedule == _RECOMMENDED else schedule
        return {name: value for name, value in given.items() if value is not None}


def number_of(text: str | None, label: str, *, whole: bool = False) -> float | None:
    """The number in a field; None if it is empty.

    Raises:
        ValueError: if something else stands there.
    """
    text = (text or "").strip()
    if not text:
        return None
    kind = "a whole number" if whole else "a number"
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise ValueError(f"{label} is {shown(text)}; expected {kind}, or nothing") from None
    if not isfinite(number):
        raise ValueError(f"{label} is {shown(text)}; expected {kind}, or nothing")
    return number


def _shown(usual: DrawSettings, name: str) -> str:
    everything = {"top_k": 0, "top_p": 1}
    value = getattr(usual, name)
    return f"{everything.get(name) if value is None else value:g}"
