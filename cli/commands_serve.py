"""The commands that serve a model: to other programs, as a page, and as a world to play in."""

from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Annotated

from ..app.play.play_options import PlayOptions
from ..app.server.options import (
    PAGE,
    PLAY,
    SERVER,
    Capacity,
    Service,
    check_packages,
    listening,
    read_tokens,
)
from ..data.environments.record_settings import View
from ..data.runtime.model_source import model_folder
from ..generation.run_request import Runtime
from .arguments import Options


def serve(
    *,
    model: str | None = None,
    service: Service,
    capacity: Capacity,
    depth: str | None = None,
    runtime: Runtime,
) -> None:
    """Serve a model at /v1/videos, as OpenAI's clients and vLLM-Omni's nodes for ComfyUI speak.

    Jobs wait in one queue on disk; a server that was stopped or killed goes on with them when it starts again
    in the same folder. `videolm app` answers the same and shows a page as well. docs/serving.md has the
    requests.

    Args:
        model: as for `videolm generate`.
        depth: for stylization: folder of a depth model of transformers; else depth is the same everywhere.
    """
    folder, tokens, listener = _ready(model, service, SERVER)
    with closing(listener):
        from ..app.server.serve import serve as serve_model

        serve_model(folder, service, capacity, runtime, depth, tokens, listener)


def app(
    *,
    model: str | None = None,
    service: Annotated[Service, Options(port=7860, jobs=Path("runs/app"))],
    capacity: Capacity,
    depth: str | None = None,
    runtime: Runtime,
) -> None:
    """Open a page in which every task of a model can be tried; programs reach the same model at /v1/videos.

    Text, images, videos and sounds go in, a mask is painted on the first frame, frames are seen while they
    are made, and below each result stands the call that makes it again, in Python and as a command. The page
    loads nothing from elsewhere. What is made is kept in --jobs for --hours.

    Args:
        model: as for `videolm generate`.
        depth: for stylization: folder of a depth model of transformers; else depth is the same everywhere.
    """
    folder, tokens, listener = _ready(model, service, PAGE)
    with closing(listener):
        from ..app.page.serve_page import serve_page

        serve_page(folder, service, capacity, runtime, depth, tokens, listener)


def play(
    *,
    model: str,
    env: str | None = None,
    view: Annotated[View, Options(skip=("bins",))],
    starts: Path | None = None,
    options: PlayOptions,
    service: Annotated[
        Service, Options(skip=("jobs", "allow_fetch", "max_upload"), port=7870, max_upload=1)
    ],
    runtime: Runtime,
) -> None:
    """Open a page in which a world model is played with the keyboard, beside the real environment.

    Arrow keys and letters act, in both on the same key; the page shows which, and the rewards and ends that
    each announces. Games can be saved, as clips with actions like those of `videolm record`, and played
    again. docs/world-models.md has an example. Environments are the extra videolm[world].

    Args:
        model: as for `videolm generate`; one with the task world.
        env: the environment beside the dream, as for `videolm record`, whose first picture the dream begins
            with; its rate, and the size of its pictures but of minigrid, are the model's if not given.
        starts: without --env, what the dream begins with: coded episodes of `videolm encode`, a clip or a
            picture.
    """
    folder, tokens, listener = _ready(model, service, PLAY)
    with closing(listener):
        from ..app.play.serve_play import serve_play

        serve_play(folder, env, view, starts, options, service, runtime, tokens, listener)


def _ready(
    model: str | None, service: Service, packages: dict[str, str]
) -> tuple[Path, list[str], socket]:
    """What is refused before anything is loaded: the model's folder, the tokens, and where to listen."""
    check_packages(packages)
    folder = model_folder(model)
    tokens = read_tokens(service.tokens) if service.tokens is not None else []
    return folder, tokens, listening(service.host, service.port)
