"""The estimators of flow and depth that a command uses for a user's clips."""

from collections.abc import Sequence

from ..runtime.notes import notify
from .geometry import EstimatedGeometry


def geometry_of(depth: str | None) -> EstimatedGeometry | None:
    """Flow by OpenCV, and depth as the command says; None if it says nothing.

    Args:
        depth: folder of a depth model of transformers, or "none" for the same depth everywhere.

    Raises:
        FileNotFoundError, ValueError: if the model is missing.
    """
    if depth is None:
        return None
    from .depth import DepthModel, FlatDepth
    from .optical_flow import DenseFlow

    return EstimatedGeometry(DenseFlow(), FlatDepth() if depth == "none" else DepthModel(depth))


def geometry_for(variants: Sequence[str], depth: str | None) -> EstimatedGeometry | None:
    """As `geometry_of`, for a task that makes `variants` of a given clip: None if it needs no geometry.

    Where the command says nothing depth is the same everywhere, and a note says so.

    Raises:
        FileNotFoundError, ValueError: as `geometry_of`, and if the task has no use for depth.
    """
    if "motion" not in variants:
        if depth is not None:
            raise ValueError("the task is not led by depth; leave out --depth")
        return None
    if depth is None:
        notify("depth is taken to be the same everywhere; --depth FOLDER finds it by a model of transformers")
    return geometry_of(depth or "none")
