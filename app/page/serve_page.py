"""`videolm app`: the page and the server of /v1/videos, with one model and one queue, until it is stopped."""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...data.runtime.model_source import PACKAGED
from ...generation.run_request import Runtime
from ..server.options import Capacity, Service
from ..server.serve import Started, address_of, admittance_of, server_of, started
from .calls import Caller
from .own_sources import OwnSources
from .sign_in import PATH, add_sign_in

# Read by gradio when it is imported or makes a page.
_SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_SSR_MODE": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def serve_page(
    model: Path,
    service: Service,
    capacity: Capacity,
    runtime: Runtime,
    depth: str | None,
    tokens: Sequence[str],
    listener: socket.socket,
) -> None:
    """Show the page until a signal ends it; arguments and errors as `serve`."""
    admittance = admittance_of(service, tokens, PATH)
    with (
        started(model, service.jobs, capacity, runtime, depth, admittance) as running,
        page_files(service.jobs) as files,
    ):
        app = with_page(running, Caller(model, runtime, depth), files, PACKAGED in model.parents)
        address = address_of(service, listener, admittance)
        print(f"open {address} in a browser (programs: {address}/v1); Ctrl-C ends it", flush=True)
        server_of(app, lifespan="on").run(sockets=[listener])


@contextmanager
def page_files(jobs: Path) -> Iterator[Path]:
    """A folder for uploads and examples beside the jobs, empty at its start and gone at its end."""
    folder = jobs.resolve() / "page"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "uploads").mkdir(parents=True)
    (folder / "examples").mkdir()
    before = {name: os.environ.get(name) for name in (*_SETTINGS, "GRADIO_TEMP_DIR")}
    os.environ |= _SETTINGS | {"GRADIO_TEMP_DIR": str(folder / "uploads")}
    try:
        yield folder
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def with_page(running: Started, caller: Caller, files: Path, has_examples: bool) -> OwnSources:
    """The server's application with the page at its root.

    Args:
        files: as `page_files` gives them.
        has_examples: show the embedded corpus as examples.
    """
    from .desk import Desk
    from .examples import Examples
    from .page import mount, page

    admission, intake = running.reader.admission, running.reader.intake
    examples = Examples(admission.model, files / "examples") if has_examples else None
    desk = Desk(running.queue, admission, intake, running.previews, caller, examples)
    add_sign_in(running.app, running.admittance.tokens)
    blocks = page(desk, running.reader.name)
    mount(running.app, blocks, files / "examples", running.admittance.most_bytes)
    return OwnSources(running.app)
