"""videolm: an open, end-to-end autoregressive video language model.

The public face of the package. Names are loaded when they are first used (PEP 562), so that
`import videolm` and `videolm --help` stay instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data.media.clip import Clip, write_clip
    from .data.media.reading import read_clip
    from .generation.pipeline import VideoLM
    from .generation.prompt import Prompt
    from .generation.world.world_env import WorldEnv, WorldVectorEnv
    from .lm.decoding.sampling import Sampling
    from .tasks.clip_size import SizeChoice
    from .tasks.task import Task, load_task

__version__ = "0.1.0"

_HOMES = {
    "Clip": ".data.media.clip",
    "read_clip": ".data.media.reading",
    "write_clip": ".data.media.clip",
    "VideoLM": ".generation.pipeline",
    "Prompt": ".generation.prompt",
    "Sampling": ".lm.decoding.sampling",
    "SizeChoice": ".tasks.clip_size",
    "WorldEnv": ".generation.world.world_env",
    "WorldVectorEnv": ".generation.world.world_env",
    "Task": ".tasks.task",
    "load_task": ".tasks.task",
}
__all__ = [
    "Clip",
    "Prompt",
    "Sampling",
    "SizeChoice",
    "Task",
    "VideoLM",
    "WorldEnv",
    "WorldVectorEnv",
    "load_task",
    "read_clip",
    "write_clip",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
