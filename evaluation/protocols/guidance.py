"""Guidance leads towards a text: prompts without one are sampled without it."""

from collections.abc import Sequence
from dataclasses import replace

from ...generation.prompt import Prompt
from ...lm.decoding.sampling import Sampling


def sampling_for(prompts: Sequence[Prompt], sampling: Sampling) -> Sampling:
    """The sampling of the prompts of one task, which all have a text or none."""
    return sampling if prompts[0].text is not None else replace(sampling, guidance_scale=1.0)
