"""Windows of episodes: a training sequence may begin at any latent of a longer clip.

Only the first latent of a clip is coded alone, as a picture. A rollout of any length keeps its last latents
and goes on from these, so that another latent comes to stand first (generation/world/rollout.py). The model
has seen that: its examples begin anywhere in long encoded episodes, and their time begins at 0 all the same.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ..spans import Lengths

Codes = Mapping[str, Tensor]


def drawn_begin(latents: int, window: int, random: np.random.Generator) -> int:
    """The latent at which a window of an episode begins.

    A window that would begin before the episode, or end behind it, is moved inside. So the first and the last
    latents, which few windows of equally likely beginnings hold, are seen as often as others or more: an
    episode begins with the only latent that is coded alone, and ends with its rarest outcome.
    """
    if latents <= window:
        return 0
    return int(np.clip(random.integers(1 - window, latents), 0, latents - window))


def from_latent(codes: Codes, lengths: Lengths, begin: int) -> dict[str, Tensor]:
    """The codes of a clip from one of its latents on.

    Args:
        codes: of the whole clip, by part.
        lengths: of a window; actions that lead to its first latent are left out.
    """
    if begin == 0:
        return dict(codes)
    step = begin * lengths.temporal_stride
    firsts = {"visual": begin, "actions": step, "outcome": step}
    if "audio" in codes:
        sound = codes["audio"].shape[1]
        held = sound - lengths.of_latents(len(codes["visual"]) - begin).audio_frames
        firsts["audio"] = min(round(begin / lengths.audio_step), held)
    return {
        name: own[:, firsts[name] :] if name in ("audio", "actions") else own[firsts[name] :]
        for name, own in codes.items()
    }
