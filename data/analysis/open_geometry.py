"""The estimators of flow and depth that a command uses for a user's clips."""

from .geometry import EstimatedGeometry


def geometry_of(depth: str | None) -> EstimatedGeometry | None:
    """Flow by OpenCV, and depth as the command says; None if it says nothing.

    Args:
        depth: folder of a depth model of transformers, or "none" for the same depth everywhere.

    Raises:
        FileNotFoundError, ValueError: if OpenCV or the model is missing.
    """
    if depth is None:
        return None
    from .depth import DepthModel, FlatDepth
    from .optical_flow import DenseFlow

    return EstimatedGeometry(DenseFlow(), FlatDepth() if depth == "none" else DepthModel(depth))
