"""The real environment beside a model's world: opened so that its actions and pictures are the model's."""

from dataclasses import replace

from ...data.environments.real_environment import RealEnvironment, open_environment
from ...data.environments.record_settings import View
from ..pipeline import VideoLM
from .rollout import TASK

_OWN_RATE = "ale"  # of which frames are skipped: another rate is another world
_OWN_SIZE = "minigrid"  # whose size follows from the tiles


def open_beside(model: VideoLM, name: str, view: View | None = None) -> RealEnvironment:
    """An environment whose actions and pictures are those of a model.

    Args:
        name: minigrid:ID, ale:ID or gymnasium:ID.
        view: what its pictures show; size, rate and bins that it does not say are the model's.

    Raises:
        ValueError: if the model is no world model, there is no such environment, or its actions or pictures
            are others.
    """
    model.config.task(TASK)
    real = open_environment(name, _fitted(model, name.partition(":")[0], view or View()))
    try:
        _check(model, real)
    except BaseException:
        real.env.close()
        raise
    return real


def _fitted(model: VideoLM, kind: str, view: View) -> View:
    clips, space = model.clips, model.clips.action_space
    assert space is not None  # a task "world" has one
    if view.rate is None and kind != _OWN_RATE:
        view = replace(view, rate=space.rate)
    if view.height is None and kind != _OWN_SIZE:
        view = replace(view, height=clips.height, width=clips.width)
    bins = [each.bins for each in space.dimensions if not each.is_discrete]
    return replace(view, bins=bins[0]) if bins else view


def _check(model: VideoLM, real: RealEnvironment) -> None:
    clips, space = model.clips, model.clips.action_space
    assert space is not None
    binned = replace(real.space, reward_bins=space.reward_bins, reward_values=space.reward_values)
    if difference := binned.differences(space):
        raise ValueError(f"the environment's actions are not the model's: {difference}")
    height, width = real.reset(0).picture.shape[:2]
    if (height, width) != (clips.height, clips.width):
        raise ValueError(
            f"the environment's pictures are {height}x{width} (height x width); the model's are "
            f"{clips.height}x{clips.width}"
        )
