"""Segment the object of a clip and recognise its colour.

Backgrounds of the embedded corpus are nearly grey and its objects are not, so everything is read in chroma
(the plane of colours across the grey axis), where a pattern of light and dark disappears.
"""

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from .certainty import certainty
from .scene import COLOURS

WORKING_SIDE = 32
GREYEST = 40.0  # chroma of what may still be background; the palest object, pink, has 90
LEAST_BACKGROUND, LEAST_OBJECT = 0.2, 0.005  # shares of all pixels
_ACROSS_GREY = np.array([[0.5**0.5, 0, -(0.5**0.5)], [-(6**-0.5), 2 * 6**-0.5, -(6**-0.5)]], np.float32)

Pictures = Float[np.ndarray, "frames rows columns 3"]


class Segmentation(NamedTuple):
    """The object's colour, its confidence, the share of every pixel that has it, and the grey pixels."""

    colour: str
    confidence: float
    mask: Float[np.ndarray, "frames height width"]
    background: Bool[np.ndarray, "frames height width"]


def working_pictures(frames: UInt8[Tensor, "frames height width 3"]) -> Pictures:
    """RGB 0..255, averaged over areas such that the shorter side has at most WORKING_SIDE pixels."""
    height, width = frames.shape[1:3]
    scale = min(1.0, WORKING_SIDE / min(height, width))
    channels_first = rearrange(frames, "f h w c -> f c h w").float()
    if scale < 1:
        size = (round(height * scale), round(width * scale))
        channels_first = torch.nn.functional.interpolate(channels_first, size=size, mode="area")
    return rearrange(channels_first, "f c h w -> f h w c").contiguous().numpy()


def read_colour(pictures: Pictures) -> Segmentation | None:
    """The colour that stands out from a nearly grey background, or None without either of the two."""
    greyish = _strength(pictures @ _ACROSS_GREY.T) < GREYEST
    if greyish.mean() < LEAST_BACKGROUND:
        return None
    background = np.median(pictures[greyish][::5], axis=0)
    chroma = (pictures - background) @ _ACROSS_GREY.T
    strength = _strength(chroma)
    coloured = strength > GREYEST
    if coloured.mean() < LEAST_OBJECT:
        return None
    hues = _hues(chroma[coloured], background)
    votes = np.bincount(hues, minlength=len(COLOURS))
    winner = int(votes.argmax())

    chosen = np.zeros_like(coloured)
    chosen[coloured] = hues == winner
    core = chosen & (strength > 0.85 * np.percentile(strength[chosen], 90))
    seen = np.median(pictures[core], axis=0)
    agreeing = [_is_colour(picture[inside], winner) for picture, inside in zip(pictures, core, strict=True)]
    confidence = min(
        certainty(votes[winner] / votes.sum(), 0.3, 0.75),
        certainty(_strangeness(seen, winner), 1.0, 0.0),
        certainty(np.mean(agreeing), 0.6, 1.0),
    )
    mask = _mask(chroma, (seen - background) @ _ACROSS_GREY.T)
    return Segmentation(tuple(COLOURS)[winner], confidence, mask, strength < 0.6 * GREYEST)


def _strength(chroma: Float[np.ndarray, "*pixels 2"]) -> Float[np.ndarray, "*pixels"]:
    return np.hypot(chroma[..., 0], chroma[..., 1])


def _hues(
    chroma: Float[np.ndarray, "pixels 2"], background: Float[np.ndarray, " 3"]
) -> Int[np.ndarray, " pixels"]:
    """The colour of the nearest hue, which half-transparent edges have too."""
    directions = (np.array(list(COLOURS.values()), np.float32) - background) @ _ACROSS_GREY.T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.argmax(chroma @ directions.T, axis=1)


def _strangeness(seen: Float[np.ndarray, " 3"], winner: int) -> float:
    """Distance of a colour from the named one, as a share of 90 levels or of that to the next."""
    distances = np.linalg.norm(np.array(list(COLOURS.values())) - seen, axis=1)
    others = np.delete(distances, winner)
    return float(max(distances[winner] / 90, distances[winner] / others.min()))


def _is_colour(core: Float[np.ndarray, "pixels 3"], winner: int) -> bool:
    return len(core) >= 4 and _strangeness(np.median(core, axis=0), winner) < 0.8


def _mask(chroma: Float[np.ndarray, "frames height width 2"], colour: Float[np.ndarray, " 2"]):
    """The share of the object in every pixel: how far it lies along the way from background to object.

    Pixels off that way show another colour.
    """
    along = chroma @ (colour / (colour @ colour))
    beside = np.abs(chroma @ np.array([-colour[1], colour[0]], np.float32)) / (colour @ colour)
    return (np.clip(along, 0, 1) * np.clip(1.9 - 4 * beside, 0, 1)).astype(np.float32)
