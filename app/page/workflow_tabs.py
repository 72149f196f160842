"""The tabs of the page that run the model several times: long videos with a script, and chains of tasks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ...data.runtime.parsing import parse_yaml
from ...data.runtime.typed_fields import from_fields
from ...generation.chain.chain_file import FIELDS
from ..jobs.job import CHAIN, INPUT, LONG_VIDEO, JobRequest
from .desk import Desk
from .file_fields import own_files
from .orders import Given
from .results_column import ResultsColumn
from .sampling_fields import SamplingFields, number_of

_MOST_LETTERS = 20_000  # of a chain
_SCRIPT = "a red square moves right\na red square spins"
_CHAIN = """seed: 0
steps:
  - name: picture
    task: text_to_image
    text: a red square
  - name: film
    task: image_to_video
    image: picture
    text: a red square moves right
  - name: sound
    task: video_to_audio
    video: film
"""


class LongTab:
    """The form of videos that are longer than a clip."""

    def __init__(self, desk: Desk):
        self.desk = desk
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                gr.Markdown(
                    "Each part goes on from the last frames of the one before it. A line of the script is "
                    "what is to be seen in the next part; the last one holds until the end."
                )
                self.script = gr.Textbox(_SCRIPT, label="Script", lines=4, elem_id="script")
                with gr.Row():
                    self.seconds = gr.Textbox(
                        label="Seconds", elem_id="long-seconds", min_width=150, max_lines=1,
                        placeholder="as the script",
                    )  # fmt: skip
                    self.seed = gr.Number(0, label="Seed", precision=0, elem_id="long-seed", min_width=150)
                self.start = {
                    "image": own_files(
                        gr.Image(
                            label="First frame (optional)", type="filepath", image_mode=None, height=180,
                            sources=["upload", "clipboard"], elem_id="long-image", buttons=[],
                        )
                    ),
                    "video": own_files(
                        gr.Video(label="Goes on from (optional)", sources=["upload"], height=180,
                                 elem_id="long-video")
                    ),
                }  # fmt: skip
                self.silent = gr.Checkbox(False, label="Without sound", elem_id="long-silent")
                self.sampling = SamplingFields("long")
                make, stop = _buttons("long")
            self.results = ResultsColumn(desk, "long", ("On the command line", "In Python", "The script"))
        inputs = {self.script, self.seconds, self.seed, self.silent, *self.start.values()}
        inputs |= {self.sampling.negative, *self.sampling.components}
        self.results.make_with(make, stop, self.on_make, inputs)

    def on_make(self, values: dict[Any, Any], request: gr.Request) -> Iterator[list[Any]]:
        """Order a long video, and show how far it is."""

        def order() -> tuple[JobRequest, dict[str, Given], list[str]]:
            wanted, given = self._wanted(values)
            names = {role: file.name for role, file in given.items()}
            calls = self.desk.caller.of_long(wanted, names)
            return wanted, given, [calls.command, calls.python, calls.file]

        yield from self.results.made(order, request)

    def _wanted(self, values: dict[Any, Any]) -> tuple[JobRequest, dict[str, Given]]:
        fields = self.start.items()
        given = {name: Given(Path(path), Path(path).name) for name, each in fields if (path := values[each])}
        lines = [line.strip() for line in (values[self.script] or "").splitlines()]
        request = {
            "task": LONG_VIDEO,
            "script": [{"text": line} for line in lines if line and not line.startswith("#")],
            "seconds": number_of(values[self.seconds], "Seconds"),
            "negative": (values[self.sampling.negative] or "").strip() or None,
            "silent": bool(values[self.silent]),
            "sampling": self.sampling.chosen([values[each] for each in self.sampling.components]),
            "seed": int(values[self.seed] or 0),
        }
        return from_fields(JobRequest, request, "the form"), given


class ChainTab:
    """The form of chains: their YAML, and one file that their steps may take."""

    def __init__(self, desk: Desk):
        self.desk = desk
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                gr.Markdown(
                    "Each step is led by results of earlier ones, named by their steps; a file that is given "
                    f"below is called `{INPUT}`. A step takes what `videolm chain --help` says."
                )
                self.steps = gr.Textbox(_CHAIN, label="Steps", lines=14, elem_id="steps")
                self.start = {
                    "image": own_files(
                        gr.Image(
                            label="Input: an image", type="filepath", image_mode=None, height=160,
                            sources=["upload", "clipboard"], elem_id="chain-image", buttons=[],
                        )
                    ),
                    "video": own_files(
                        gr.Video(label="Or a video", sources=["upload"], height=160, elem_id="chain-video")
                    ),
                    "audio": own_files(
                        gr.Audio(label="Or a sound", type="filepath", sources=["upload"],
                                 elem_id="chain-audio", buttons=[])
                    ),
                }  # fmt: skip
                make, stop = _buttons("chain")
            self.results = ResultsColumn(desk, "chain", ("On the command line", "In Python", "chain.yaml"))
        self.results.make_with(make, stop, self.on_make, {self.steps, *self.start.values()})

    def on_make(self, values: dict[Any, Any], request: gr.Request) -> Iterator[list[Any]]:
        """Order a chain, and show how far it is."""

        def order() -> tuple[JobRequest, dict[str, Given], list[str]]:
            wanted, given = self._wanted(values)
            calls = self.desk.caller.of_chain(wanted, next((each.name for each in given.values()), None))
            return wanted, given, [calls.command, calls.python, calls.file]

        yield from self.results.made(order, request)

    def _wanted(self, values: dict[Any, Any]) -> tuple[JobRequest, dict[str, Given]]:
        text = values[self.steps] or ""
        if len(text) > _MOST_LETTERS:
            raise ValueError(f"the chain has more than {_MOST_LETTERS:,} characters")
        content = parse_yaml(text, "the chain")
        if not isinstance(content, dict) or not content.keys() <= set(FIELDS):
            raise ValueError(f"the chain is none; expected {', '.join(FIELDS)}")
        fields = self.start.items()
        given = {name: Given(Path(path), Path(path).name) for name, each in fields if (path := values[each])}
        request = content | {"task": CHAIN}
        return from_fields(JobRequest, request, "the chain"), given


def _buttons(group: str) -> tuple[gr.Button, gr.Button]:
    with gr.Row():
        make = gr.Button("Make", variant="primary", elem_id=f"{group}-make", min_width=100)
        return make, gr.Button("Stop", elem_id=f"{group}-stop", min_width=100)
