"""The part of a tab that shows what is made, and below it the call that makes the same."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, no_type_check

import gradio as gr

from ..jobs.job import JobRequest
from ..jobs.job_queue import NoSuchJob
from .desk import Desk
from .orders import Given
from .results import NOTHING, problem

# What is asked for, its files, and the calls that are shown.
Order = Callable[[], tuple[JobRequest, dict[str, Given], list[str]]]
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class ResultsColumn:
    """Made inside of a row, at its end.

    Args:
        group: the beginning of the ids of its elements; empty for none.
        titles: of the calls: of the command, of the Python lines, and of a file that they read.
    """

    def __init__(self, desk: Desk, group: str, titles: Sequence[str]):
        self.desk = desk
        prefix = f"{group}-" if group else ""
        names = ("command", "python", "file")[: len(titles)]
        with gr.Column(scale=6, min_width=320):
            self.shown = gr.HTML(NOTHING, elem_id=f"{prefix}results")
            with gr.Accordion(
                "The same without this page", elem_id=f"{prefix}calls", visible=False
            ) as self.calls:
                self.codes = [
                    gr.Code(
                        language={"command": "shell", "python": "python", "file": "yaml"}[name],  # type: ignore[arg-type]
                        label=title,
                        interactive=False,
                        elem_id=f"{prefix}{name}",
                        wrap_lines=True,
                        show_line_numbers=False,
                    )
                    for name, title in zip(names, titles, strict=True)
                ]
        self.ids = gr.State([])

    def make_with(
        self, make: gr.Button, stop: gr.Button, on_make: Callable[..., Any], inputs: set[Any]
    ) -> None:
        """Let buttons make clips and stop that."""
        outputs = [self.shown, self.ids, self.calls, *self.codes]

        # Gradio asks whether it is a generator function, which one that checks its types at each call is not,
        # and reads its annotations.
        @no_type_check
        def generate(values: dict[Any, Any], request: gr.Request) -> Iterator[list[Any]]:
            yield from on_make(values, request)

        del generate.__dict__["__no_type_check__"]
        make.click(generate, inputs, outputs, concurrency_limit=16, trigger_mode="once", **_PRIVATE)
        stop.click(self.on_stop, [self.ids], [], queue=False, **_PRIVATE)

    def made(self, order: Order, request: gr.Request, count: int = 1) -> Iterator[list[Any]]:
        """Order clips, and show them while they are made, as the outputs of the button."""
        owner = self.desk.owner(request)
        try:
            wanted, given, calls = order()
            jobs = self.desk.orders.submit(wanted, given, owner, count)
        except Exception as error:
            told = problem(self.desk.told(error))
            yield [told, [], gr.update(visible=False), *([""] * len(self.codes))]
            return
        ids = [job.id for job in jobs]
        for shown in self.desk.watched(ids, owner):
            yield [shown, ids, gr.update(visible=True), *calls]

    def on_stop(self, ids: list[str], request: gr.Request) -> None:
        """Cancel the clips that are being made."""
        owner = self.desk.owner(request)
        for name in ids:
            try:
                self.desk.queue.cancel(name, owner)
            except NoSuchJob:
                continue  # it has expired
