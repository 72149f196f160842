"""`videolm play`: one world model, until it is stopped."""

import socket
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from ...data.environments.record_settings import View
from ...data.runtime.made_with import whole_path
from ...data.runtime.notes import Note
from ...data.runtime.one_writer import only_writer
from ...generation.pipeline import VideoLM
from ...generation.run_request import Runtime
from ...generation.world.rollout import TASK
from ...lm.decoding.quantized import quantize
from ...tasks.model_config import ModelConfig, model_fingerprint
from ..page.own_sources import OwnSources
from ..page.sign_in import PATH
from ..server.http_app import Admittance
from ..server.options import Service
from ..server.serve import address_of, admittance_of, served_name, server_of
from .play_app import play_app
from .play_options import PlayOptions
from .play_socket import PlaySocket
from .saved_games import SavedGames
from .wire import MOST_BYTES
from .world import World, world_of


def serve_play(
    model: Path,
    environment: str | None,
    view: View,
    starts: Path | None,
    options: PlayOptions,
    service: Service,
    runtime: Runtime,
    tokens: Sequence[str],
    listener: socket.socket,
) -> None:
    """Let people play until a signal ends it.

    Args:
        model: folder.
        environment, view, starts: as of `world_of`.
        tokens: of those who may play; anybody if there are none.
        listener: at the service's address.

    Raises:
        FileNotFoundError, ValueError: for what cannot be used.
    """
    ModelConfig.load(model).task(TASK)  # before the weights are read
    warnings.simplefilter("ignore", Note)
    loaded = VideoLM.from_pretrained(model, runtime.device, getattr(torch, runtime.dtype), tasks=[TASK])
    if runtime.quantize is not None:
        quantize(loaded.lm)
    world = world_of(loaded, served_name(model), environment, view, starts, options.steps)
    settings = {
        "model": model_fingerprint(model),
        "environment": environment,
        "view": asdict(world.view),
        "starts": None if starts is None else whole_path(starts),
        "runtime": asdict(runtime),
        "actions": world.space.to_json(),
    }
    admittance = admittance_of(service, tokens, PATH)
    with only_writer(options.out):
        saved = SavedGames(options.out, world.space, world.sources, settings, options.keep)
        with playing(world, saved, options.players, admittance) as app:
            address = address_of(service, listener, admittance)
            print(f"open {address} in a browser (games in {options.out}); Ctrl-C ends it", flush=True)
            server_of(app, most_message=MOST_BYTES).run(sockets=[listener])


@contextmanager
def playing(world: World, saved: SavedGames, players: int, admittance: Admittance) -> Iterator[OwnSources]:
    """An application and the thread in which its games run; with the block that ends."""
    with ThreadPoolExecutor(1, thread_name_prefix="play") as worker:
        yield play_app(PlaySocket(world, saved, players, worker), admittance)
