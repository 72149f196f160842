"""Guidance leads towards a text: prompts without one are sampled without it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...generation.pipeline import VideoLM
from ...generation.prompt import Prompt
from ...lm.decoding.sampling import Sampling


def sampling_for(prompts: Sequence[Prompt], sampling: Sampling) -> Sampling:
    """The sampling of the prompts of one task, which all have a text or none."""
    return sampling if prompts[0].text is not None else sampling.unguided()


def decided(model: VideoLM, task: str, sampling: Sampling, *, text: bool) -> dict[str, Any]:
    """How codes of a task are drawn where this is asked for, as a report says it."""
    return asdict(model.settings(task, sampling if text else sampling.unguided(), text=text))
