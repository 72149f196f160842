"""The page of `videolm app` in a thread of its own, and what a test does in it through a browser."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

from browser import Page
from job_queues import wait_until

from videolm.app.jobs.job_queue import JobQueue
from videolm.app.page.calls import Caller
from videolm.app.page.serve_page import page_files, with_page
from videolm.app.page.sign_in import PATH
from videolm.app.server.http_app import Admittance
from videolm.app.server.options import Capacity, listening
from videolm.app.server.serve import server_of, started
from videolm.data.runtime.model_source import PACKAGED
from videolm.generation.run_request import Runtime


@dataclass
class PageServer:
    """A running page.

    Args:
        address: http://127.0.0.1:PORT.
        queue: behind it.
        files: uploads and examples.
    """

    address: str
    queue: JobQueue
    files: Path


@contextmanager
def page_server(model: Path, folder: Path, tokens: tuple[str, ...] = ()) -> Iterator[PageServer]:
    admittance, runtime = Admittance(tokens=tokens, sign_in=PATH), Runtime(device="cpu")
    with (
        started(model, folder, Capacity(), runtime, "none", admittance) as running,
        page_files(folder) as files,
        closing(listening("127.0.0.1", 0)) as listener,
    ):
        app = with_page(running, Caller(model, runtime, "none"), files, PACKAGED in model.parents)
        server = server_of(app, lifespan="on")
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield PageServer(f"http://127.0.0.1:{listener.getsockname()[1]}", running.queue, files)
        server.should_exit = True
        thread.join()


class Visitor:
    """Somebody who uses the page.

    Args:
        page: of a browser.
        server: whose page it shows.
    """

    def __init__(self, page: Page, server: PageServer):
        self.page, self.server = page, server
        page.open(server.address)
        page.wait(of("make"))

    def choose(self, field: str, choice: str) -> None:
        """One of a list or of several buttons."""
        if self.page.evaluate(f"!!{of(field, 'input[role=combobox]')}"):
            self.page.click(of(field, "input"))
            self.page.click(f"[...document.querySelectorAll('[role=option]')].find(it => "
                            f"it.innerText.trim().endsWith({dumps(choice)}))")  # fmt: skip
        else:
            self.page.click(f"[...document.querySelectorAll('#{field} label')].find(it => "
                            f"it.innerText.trim() == {dumps(choice)})")  # fmt: skip

    def fill(self, field: str, text: str) -> None:
        """A text, in place of the one that is there."""
        box = of(field, "textarea, input")
        self.page.wait(box)
        self.page.evaluate(f"{box}.focus(), {box}.select()")
        self.page.type(text)

    def give(self, field: str, path: Path) -> None:
        """A file."""
        self.page.wait(of(field, "input[type=file]"))
        self.page.give_files(of(field, "input[type=file]"), path)
        self.wait_for(field)

    def wait_for(self, field: str) -> None:
        """Until a field is filled: a text, or a medium that is shown."""
        shown = {"text": "textarea", "image": "img", "video": "video", "audio": "button[aria-label*=lay]"}
        has_text = "it.value.length > 5" if field == "text" else "true"
        self.page.wait(f"(it => it && {has_text})({of(field, shown[field])})")

    def open_tab(self, name: str) -> None:
        """A tab, which a narrow window may hide in a menu."""
        tabs = "[...document.querySelectorAll('button[role=tab]')]"
        is_seen = "it.checkVisibility({visibilityProperty: true})"
        visible = f"{tabs}.find(it => it.innerText == {dumps(name)} && {is_seen})"
        if not self.page.evaluate(f"!!{visible}"):
            self.page.click("document.querySelector('.overflow-menu > button')")
            self.page.click(f"[...document.querySelectorAll('.overflow-dropdown button')].find("
                            f"it => it.innerText.trim() == {dumps(name)})")  # fmt: skip
        else:
            self.page.click(visible)

    def press(self, button: str) -> None:
        self.page.click(of(button))

    def made(self) -> list[Any]:
        """Presses the button that makes clips; their jobs when they are finished and shown."""
        before = {job.id for job in self.server.queue.jobs()}
        self.press("make")
        self.page.wait(told("made.$"))
        return [job for job in self.server.queue.jobs() if job.id not in before]


def of(field: str, inner: str = "") -> str:
    """The element of an id, or one inside of it, as JavaScript."""
    selectors = ", ".join(f"#{field} {each}".strip() for each in inner.split(","))
    return f"document.querySelector({dumps(selectors)})"


def told(pattern: str) -> str:
    """Whether the sentence above the results fits a pattern, as JavaScript."""
    return f"/{pattern}/.test({of('results')}.innerText.split('\\n')[0].trim())"
