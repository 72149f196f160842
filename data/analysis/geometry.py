"""Optical flow and depth of clips, and both together as the three channels of a video.

    flow    (frames 2 height width)  optical flow from the previous frame, in pixels to the right and down;
                                     zero in the first frame
    depth   (frames height width)    distance from the camera

They are exact for clips of the embedded corpus, and estimated for others (optical_flow.py, depth.py).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..media.clip import Clip
from ..synthetic.corpus import Corpus
from ..synthetic.scene import Scene


@runtime_checkable
class Geometry(Protocol):
    """How flow and depth of a clip are known."""

    def flow(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]: ...

    def depth(self, clip: Clip) -> Float[Tensor, "frames height width"]: ...


@dataclass(frozen=True, eq=False)
class SceneGeometry:
    """Of a clip of the embedded corpus, whose scene is known: exact."""

    corpus: Corpus
    scene: Scene

    def flow(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]:
        return self.corpus.flow(self.scene)

    def depth(self, clip: Clip) -> Float[Tensor, "frames height width"]:
        return self.corpus.depth(self.scene)


@runtime_checkable
class FlowEstimator(Protocol):
    def __call__(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]: ...


@runtime_checkable
class DepthEstimator(Protocol):
    def __call__(self, clip: Clip) -> Float[Tensor, "frames height width"]: ...


@dataclass(frozen=True, eq=False)
class EstimatedGeometry:
    """Of any clip, by one estimator for each."""

    flow_estimator: FlowEstimator
    depth_estimator: DepthEstimator

    def flow(self, clip: Clip) -> Float[Tensor, "frames 2 height width"]:
        return self.flow_estimator(clip)

    def depth(self, clip: Clip) -> Float[Tensor, "frames height width"]:
        return self.depth_estimator(clip)


@dataclass(frozen=True)
class MotionScale:
    """Flow and depth as bytes and back.

    VideoPoet joins flow and depth to three channels and tokenises them as any video (Kondratyuk et al. 2024,
    arXiv:2312.14125, appendix A.4); its ranges are not published.

    Args:
        flow: share of the frame's shorter side moved from a frame to the next that is still told apart; what
            is faster is written as this.
        near, far: distances that give 255 and 0 in the third channel, which is linear in 1 / distance.
    """

    flow: float = 0.25
    near: float = 2.0
    far: float = 4.0

    def __post_init__(self) -> None:
        if self.flow <= 0 or not 0 < self.near < self.far:
            raise ValueError(
                f"flow is {self.flow}, near {self.near} and far {self.far}; expected flow > 0, 0 < near < far"
            )

    def frames(
        self, flow: Float[Tensor, "frames 2 height width"], depth: Float[Tensor, "frames height width"]
    ) -> UInt8[Tensor, "frames height width 3"]:
        """Channels: flow to the right, flow down (128 is at rest), nearness."""
        moved = (flow / self._pixels(flow)).clamp(-1, 1) * 127 + 128
        nearness = (1 / depth - 1 / self.far) / (1 / self.near - 1 / self.far)
        channels = torch.cat([moved, nearness.clamp(0, 1)[:, None] * 255], dim=1)
        return channels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def motion(
        self, frames: UInt8[Tensor, "frames height width 3"]
    ) -> tuple[Float[Tensor, "frames 2 height width"], Float[Tensor, "frames height width"]]:
        """The inverse of `frames`, to half a byte's step."""
        channels = frames.permute(0, 3, 1, 2).float()
        flow = (channels[:, :2] - 128) / 127 * self._pixels(channels)
        nearness = channels[:, 2] / 255
        return flow, 1 / (1 / self.far + nearness * (1 / self.near - 1 / self.far))

    def _pixels(self, pictures: Float[Tensor, "frames _ height width"]) -> float:
        return self.flow * min(pictures.shape[-2:])
