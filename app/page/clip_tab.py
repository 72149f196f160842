"""The tab of the page that makes clips: every task of the model with the inputs that it takes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ...data.runtime.typed_fields import from_fields
from ...tasks.masks import KINDS
from ..jobs.job import JobRequest
from . import painter
from .desk import Desk
from .file_fields import own_files
from .orders import MOST_CLIPS, Given
from .results import picture_of
from .results_column import ResultsColumn
from .sampling_fields import SamplingFields

_PAINTED = "what I paint"
_DEFAULT_SIZE = "as the model's clips"
_MEDIA = ("image", "video", "audio")
_FACTORS = {"no": None, "2 times": 2, "4 times": 4}


@dataclass
class _Fields:
    """The components of the form."""

    task: Any = None
    about: Any = None
    text: Any = None
    negative: Any = None
    image: Any = None
    video: Any = None
    audio: Any = None
    mask: Any = None
    painted: Any = None
    aspect: Any = None
    upscale: Any = None
    seed: Any = None
    count: Any = None


class ClipTab:
    """The form and what it does.

    Args:
        desk: the queue and all that asks it.
    """

    def __init__(self, desk: Desk):
        self.desk, self.fields = desk, _Fields()
        self.tasks = desk.model.config.tasks
        self._draw()
        self._wire()

    def _draw(self) -> None:
        fields, first = self.fields, self.tasks[0]
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                fields.task = gr.Dropdown(
                    list(self.tasks), value=first, label="Task", filterable=False, elem_id="task"
                )
                fields.about = gr.Markdown(self._about(first), elem_id="about")
                fields.text = gr.Textbox(label="Text", lines=2, elem_id="text", info="what is to be seen")
                self._draw_media()
                with gr.Row():
                    fields.seed = gr.Number(
                        0, label="Seed", precision=0, elem_id="seed", min_width=150,
                        info="of the first clip; each further one has the next",
                    )  # fmt: skip
                    fields.count = gr.Slider(
                        1, MOST_CLIPS, 1, step=1, label="Clips", elem_id="count", min_width=150,
                        buttons=[],
                    )  # fmt: skip
                self.sampling = SamplingFields("clip")
                self.sampling.show_usual(self.desk.model, first)
                fields.negative = self.sampling.negative
                with gr.Row():
                    self.make = gr.Button("Make", variant="primary", elem_id="make", min_width=100)
                    self.stop = gr.Button("Stop", elem_id="stop", min_width=100)
                    self.example = gr.Button(
                        "Example", elem_id="example", min_width=100, visible=self.desk.examples is not None
                    )
            self.results = ResultsColumn(self.desk, "", ("On the command line", "In Python"))
        self.number = gr.State(-1)

    def _draw_media(self) -> None:
        fields = self.fields
        takes = self._takes(self.tasks[0])
        fields.image = own_files(
            gr.Image(
                label="Image", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=200,
                elem_id="image", visible="image" in takes, buttons=[],
            )
        )  # fmt: skip
        fields.video = own_files(
            gr.Video(label="Video", sources=["upload"], height=220, elem_id="video", visible="video" in takes)
        )
        fields.audio = own_files(
            gr.Audio(
                label="Audio", type="filepath", sources=["upload"], elem_id="audio", buttons=[],
                visible="audio" in takes,
            )
        )  # fmt: skip
        fields.mask = gr.Radio(
            [*KINDS, _PAINTED], value="box", label="Paint anew", elem_id="mask", visible="mask" in takes
        )
        fields.painted = gr.HTML(
            None, html_template=painter.HTML, js_on_load=painter.SCRIPT, elem_id="painted", visible=False
        )
        sizes = {f"{each.height}x{each.width}": None for each in self.desk.model.config.formats}
        ratios = ("1:1", "16:9", "9:16", "4:3", "3:4")
        fields.aspect = gr.Dropdown(
            [_DEFAULT_SIZE, *sizes, *ratios], value=_DEFAULT_SIZE, label="Size", filterable=False,
            elem_id="aspect", visible=len(sizes) > 1,
            info="height x width, or the nearest to an aspect ratio",
        )  # fmt: skip
        stages = self.desk.model.upscaler.stages
        fields.upscale = gr.Radio(
            list(_FACTORS), value="no", label="Enlarge", elem_id="upscale", visible=bool(stages),
            info="by the model's stages of super-resolution",
        )  # fmt: skip

    def _wire(self) -> None:
        fields = self.fields
        private: dict[str, Any] = {"api_visibility": "private"}
        inputs = [
            fields.task, fields.text, fields.negative, fields.image, fields.video, fields.audio, fields.mask,
            fields.painted, fields.aspect, fields.upscale, fields.seed, fields.count,
            *self.sampling.components,
        ]  # fmt: skip
        self.results.make_with(self.make, self.stop, self.on_make, set(inputs))
        media = [fields.about, fields.text, fields.negative, fields.image, fields.video, fields.audio]
        fields.task.change(
            self.on_task, [fields.task],
            [*media, fields.mask, fields.painted, fields.aspect, self.number, *self.sampling.components],
            show_progress="hidden", **private,
        )  # fmt: skip
        shown = partial(
            gr.on, fn=self.on_mask, inputs=[fields.task, fields.mask, fields.video, fields.aspect],
            outputs=[fields.painted], show_progress="hidden", **private,
        )  # fmt: skip
        shown([fields.mask.change, fields.video.change])
        self.example.click(
            self.on_example, [fields.task, self.number],
            [self.number, fields.text, fields.image, fields.video, fields.audio], show_progress="hidden",
            **private,
        )  # fmt: skip

    def on_task(self, task: str) -> list[Any]:
        """Show the inputs of a task, empty those that it does not take."""
        takes = self._takes(task)
        updates: list[Any] = [self._about(task)]
        for name in ("text", "negative", *_MEDIA):
            is_taken = ("text" if name == "negative" else name) in takes
            updates.append(gr.update(visible=True) if is_taken else gr.update(visible=False, value=None))
        masks = getattr(self.desk.model.config.task(task).conditions, "masks", ("box",))
        updates.append(gr.update(visible="mask" in takes, value=masks[0]))
        updates.append(gr.update(visible=False, value=None))
        has_sizes = len(self.desk.model.config.formats) > 1 or self.desk.model.config.task(task).widens
        updates.append(gr.update(visible=has_sizes, value=_DEFAULT_SIZE))
        return [*updates, -1, *self.sampling.placeholders(self.desk.model, task)]

    def on_mask(self, task: str, mask: str, video: str | None, aspect: str) -> Any:
        """Show the first frame to paint on, if a mask is to be painted."""
        if mask != _PAINTED or "mask" not in self._takes(task) or video is None:
            return gr.update(visible=False, value=None)
        wanted = JobRequest(task, aspect=None if aspect == _DEFAULT_SIZE else aspect)
        try:
            frame = self.desk.orders.first_frame(Given(Path(video), Path(video).name), wanted)
        except (ValueError, OSError):
            return gr.update(visible=False, value=None)  # what is wrong with it is told when a clip is made
        return gr.update(visible=True, value={"picture": picture_of(frame.frames[0])})

    def on_example(self, task: str, number: int) -> list[Any]:
        """Fill in the next example of a task."""
        assert self.desk.examples is not None
        found = self.desk.examples.example(task, number + 1)
        media = [str(found.files[name]) if name in found.files else None for name in _MEDIA]
        return [number + 1, found.text, *media]

    def on_make(self, values: dict[Any, Any], request: gr.Request) -> Iterator[list[Any]]:
        """Order clips, and show them while they are made."""
        count = int(values[self.fields.count])

        def order() -> tuple[JobRequest, dict[str, Given], list[str]]:
            wanted, given = self._wanted(values)
            wanted = replace(wanted, media=tuple(given))
            calls = self.desk.calls(wanted, {role: file.name for role, file in given.items()}, count)
            return wanted, given, [calls.command, calls.python]

        yield from self.results.made(order, request, count)

    def _wanted(self, values: dict[Any, Any]) -> tuple[JobRequest, dict[str, Given]]:
        """The request that the form says, and its files."""
        fields = self.fields
        task = values[fields.task]
        takes = self._takes(task)
        given = {
            name: Given(Path(path), Path(path).name)
            for name in _MEDIA
            if name in takes and (path := values[getattr(fields, name)]) is not None
        }
        mask = values[fields.mask] if "mask" in takes else None
        aspect = values[fields.aspect]
        if mask == _PAINTED:
            mask, drawn = None, painter.painted_mask(values[fields.painted])
            if drawn is None:
                raise ValueError("nothing is painted yet; give a video and paint on its first frame")
            given["mask"] = Given(drawn, "mask.png")
        request = {
            "task": task,
            "text": (values[fields.text] or "").strip() or None if "text" in takes else None,
            "negative": (values[fields.negative] or "").strip() or None if "text" in takes else None,
            "mask": mask,
            "aspect": None if aspect == _DEFAULT_SIZE else aspect,
            "sampling": self.sampling.chosen([values[each] for each in self.sampling.components]),
            "seed": _whole(values[fields.seed]),
            "upscale": _FACTORS[values[fields.upscale]],
        }
        return from_fields(JobRequest, request, "the form"), given

    def _takes(self, task: str) -> tuple[str, ...]:
        return self.desk.model.config.task(task).takes

    def _about(self, task: str) -> str:
        """What a task is for, and what it takes."""
        found = self.desk.model.config.task(task)
        words = [name if name in found.needs else f"{name} (optional)" for name in found.takes]
        about = " ".join(found.description.split("\n\n")[0].split())
        return f"{about} Takes: {', '.join(words) or 'nothing'}."


def _whole(value: Any) -> int:
    if value is None:
        raise ValueError("the seed is empty; expected a whole number")
    return int(value)
