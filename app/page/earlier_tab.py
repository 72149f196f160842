"""The tab of the page that shows what was made before, by this page or through the server."""

from typing import Any

import gradio as gr

from .desk import Desk
from .results import results

_MOST = 24


class EarlierTab:
    """The newest clips of whoever looks."""

    def __init__(self, desk: Desk):
        self.desk = desk
        self.shown = gr.HTML("", elem_id="earlier")

    def load_when(self, tab: gr.Tab) -> None:
        """Look anew whenever the tab is opened."""
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        tab.select(self.on_look, [], [self.shown], **hidden)

    def on_look(self, request: gr.Request) -> str:
        jobs = self.desk.queue.jobs(self.desk.owner(request))[::-1][:_MOST]
        if not jobs:
            return '<p class="told">Nothing was made yet.</p>'
        return results(jobs, self.desk.previews, told=False)
