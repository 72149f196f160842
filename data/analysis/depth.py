"""Depth of any clip: estimated by a transformers model from a local folder, or constant.

    DepthModel("models/Depth-Anything-V2-Small-hf")    or whatever else AutoModelForDepthEstimation loads
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..media.clip import Clip
from ..runtime.transformers_loading import LOCAL, LOCAL_WEIGHTS

NEAR, FAR = 2.0, 4.0  # what relative depths are stretched to


class FlatDepth:
    """Where there is no model: the same depth everywhere."""

    def __call__(self, clip: Clip) -> Float[Tensor, "frames height width"]:
        return torch.full((clip.num_frames, clip.height, clip.width), FAR)


class DepthModel:
    """Relative depth, frame by frame.

    Such models give a nearness without unit; over a clip it is stretched so that the nearest pixel is NEAR
    and the farthest FAR away.

    Args:
        folder: of a model and its image processor.
        batch_size: frames that go through the model together.

    Raises:
        FileNotFoundError: if there is no such folder; nothing is downloaded.
        ValueError: if it holds no model of depth.
    """

    def __init__(self, folder: str | Path, batch_size: int = 8):
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        if not Path(folder).is_dir():
            raise FileNotFoundError(f"there is no folder {folder} with a model of depth")
        try:
            self.processor = AutoImageProcessor.from_pretrained(folder, **LOCAL)
            model = AutoModelForDepthEstimation.from_pretrained(folder, **LOCAL_WEIGHTS)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{folder} holds no model of depth that transformers loads: {reason}") from error
        self.model = model.eval().requires_grad_(False)
        self.batch_size = batch_size

    @torch.no_grad()
    def __call__(self, clip: Clip) -> Float[Tensor, "frames height width"]:
        nearness = torch.cat([self._nearness(group) for group in clip.frames.split(self.batch_size)])
        low, high = nearness.amin(), nearness.amax()
        share = (nearness - low) / (high - low).clamp(min=torch.finfo(nearness.dtype).tiny)
        return 1 / (1 / FAR + share * (1 / NEAR - 1 / FAR))

    def _nearness(self, frames: Tensor) -> Float[Tensor, "frames height width"]:
        images = [frame.numpy() for frame in frames]
        inputs = self.processor(images=images, return_tensors="pt").to(self.model.device)
        found = self.model(**inputs).predicted_depth
        size = tuple(frames.shape[1:3])
        return torch.nn.functional.interpolate(found[:, None].float(), size, mode="bicubic")[:, 0].cpu()
