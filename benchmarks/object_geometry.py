"""Flow and depth of clips that look like the embedded corpus, from their pixels alone.

In front of a nearly grey background the object stands out by its colour: it is near, and moves as the middle
and the size of its mask do. A turn about its own middle is seen in the depth only.
"""

from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from videolm.data.media.clip import Clip
from videolm.data.synthetic.reading_colour import read_colour, working_pictures
from videolm.data.synthetic.rendering import DEPTHS


class ObjectGeometry:
    """Geometry (data/analysis/geometry.py) of made clips, whose scene is not known."""

    def depth(self, clip: Clip) -> Float[Tensor, "frames height width"]:
        return torch.where(object_in(clip), DEPTHS["object"], DEPTHS["background"])

    def flow(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]:
        inside = object_in(clip)
        flow = torch.zeros(clip.num_frames, 2, clip.height, clip.width)
        rows, columns = torch.meshgrid(torch.arange(clip.height), torch.arange(clip.width), indexing="ij")
        here = torch.stack([columns, rows]).float()
        for index, (before, now) in enumerate(pairwise(inside), start=1):
            if before.any() and now.any():
                growth = (now.sum() / before.sum()).sqrt()
                middles = [here[:, mask].mean(1)[:, None, None] for mask in (before, now)]
                came_from = middles[0] + (here - middles[1]) / growth
                flow[index] = (here - came_from) * now
        return flow


def object_in(clip: Clip) -> Bool[Tensor, "frames height width"]:
    """The pixels of the object; none if no colour stands out."""
    found = read_colour(working_pictures(clip.frames))
    if found is None:
        return torch.zeros(clip.frames.shape[:3], dtype=torch.bool)
    mask = torch.from_numpy(found.mask)[:, None]
    return torch.nn.functional.interpolate(mask, clip.frames.shape[1:3], mode="bilinear")[:, 0] > 0.5
