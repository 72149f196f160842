"""The command that serves a model to other programs."""

from contextlib import closing

from ..app.server.options import Capacity, Service, check_packages, listening, read_tokens
from ..data.runtime.model_source import model_folder
from ..generation.run_request import Runtime


def serve(
    *,
    model: str | None = None,
    service: Service,
    capacity: Capacity,
    depth: str | None = None,
    runtime: Runtime,
) -> None:
    """Serve a model at /v1/videos, as OpenAI's clients and vLLM-Omni's nodes for ComfyUI speak.

    One queue, made in the order in which it came; a server that was stopped or killed goes on with its jobs
    when it starts again. docs/serving.md has the requests.

    Args:
        model: as for `videolm generate`.
        depth: for stylization: folder of a depth model of transformers; else depth is the same everywhere.
    """
    check_packages()
    folder = model_folder(model)
    tokens = read_tokens(service.tokens) if service.tokens is not None else []
    with closing(listening(service.host, service.port)) as listener:
        from ..app.server.serve import serve as serve_model

        serve_model(folder, service, capacity, runtime, depth, tokens, listener)
