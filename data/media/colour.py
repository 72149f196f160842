"""Colour as a player shows it: the matrix of untagged films, and HDR brought down to SDR.

SDR frames leave FFmpeg's scaler ready. HDR (PQ and HLG, ITU-R BT.2100) is decoded to 16 bits and goes through
    light in nits -> tone curve of ITU-R BT.2390-10, 5.4.1 -> BT.709 primaries -> sRGB
with the reference white of ITU-R BT.2408, 203 nits, as the white of the result. The tone curve leaves all
below 92 nits alone and takes 1,000 nits to white.
"""

from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc
from jaxtyping import Float, UInt8, UInt16

Light = Float[np.ndarray, "*shape"]

# Untagged films with so many lines are BT.709, smaller ones BT.601.
_LINES_OF_709 = 720
# FFmpeg's numbers of what says nothing about the matrix, and of those of BT.2020.
_UNTAGGED, _BT2020 = {2, 3}, {9, 10}
_CODES = 2**16
_PEAK, _WHITE = 1000.0, 203.0  # nits
_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020
# Linear light of these primaries to that of BT.709 (ITU-R BT.2087; Display P3 and BT.709 share their white).
_TO_709 = {
    ColorPrimaries.BT2020: [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    ColorPrimaries.SMPTE432: [
        [1.2249, -0.2247, 0],
        [-0.0420, 1.0419, 0],
        [-0.0197, -0.0786, 1.0979],
    ],
}  # fmt: skip
HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}


def matrix_of(frame: av.VideoFrame) -> Colorspace | None:
    """The matrix of a frame's YUV where it is not FFmpeg's reading of its tag."""
    if frame.colorspace in _UNTAGGED:
        return Colorspace.ITU709 if frame.height >= _LINES_OF_709 else Colorspace.ITU601
    return Colorspace.BT2020 if frame.colorspace in _BT2020 else None


def is_wide(frame: av.VideoFrame) -> bool:
    """Whether an SDR frame has the primaries of BT.2020 or Display P3."""
    return frame.color_primaries in _TO_709


def tone_mapped(
    codes: UInt16[np.ndarray, "height width 3"], transfer: int, primaries: int
) -> UInt8[np.ndarray, "height width 3"]:
    """sRGB of the full-range codes of an HDR frame.

    Args:
        transfer: `ColorTrc.SMPTE2084` or `ARIB_STD_B67`.
        primaries: FFmpeg's number; BT.2020 where it is no other that is known here.
    """
    if transfer == ColorTrc.SMPTE2084:
        light = _pq_table()[codes]
    else:
        # The display's gamma is 1.2 at 1,000 nits (BT.2100, table 5).
        scene = _hlg_table()[codes]
        light = _PEAK * np.maximum(scene @ _LUMA, 1e-6)[..., None] ** 0.2 * scene
    light = light * _tone_curve(light.max(axis=-1, keepdims=True)) / _WHITE
    if primaries != ColorPrimaries.BT709:
        matrix = _TO_709.get(ColorPrimaries(primaries) if primaries in _TO_709 else ColorPrimaries.BT2020)
        light = light @ np.array(matrix, np.float32).T
    levels = np.rint(light.clip(0, 1) * (_CODES - 1)).astype(np.uint16)
    return _srgb_table()[levels]


def _tone_curve(brightest: Light) -> Light:
    """By what light is multiplied, so that its hue stays, where its brightest channel has so many nits."""
    whole = _pq_code(np.array([_PEAK]))
    most = _pq_code(np.array([_WHITE])) / whole
    knee = 1.5 * most - 0.5
    code = (_pq_code(brightest) / whole).clip(0, 1)
    t = (code - knee).clip(0) / (1 - knee)
    curved = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    )
    mapped = _pq_light(np.where(code < knee, code, curved) * whole)
    return mapped / np.maximum(brightest, 1e-6)


def _pq_light(code: Light) -> Light:
    """Nits of PQ codes in [0, 1] (SMPTE ST 2084)."""
    root = code ** (1 / 78.84375)
    return 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def _pq_code(light: Light) -> Light:
    """The inverse of `_pq_light`."""
    root = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


@lru_cache(maxsize=1)
def _pq_table() -> Float[np.ndarray, " codes"]:
    return _pq_light(np.arange(_CODES) / (_CODES - 1)).astype(np.float32)


@lru_cache(maxsize=1)
def _hlg_table() -> Float[np.ndarray, " codes"]:
    """Scene light in [0, 1] of HLG codes (BT.2100, table 5)."""
    code = np.arange(_CODES) / (_CODES - 1)
    bright = (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(code <= 0.5, code**2 / 3, bright).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb_table() -> UInt8[np.ndarray, " codes"]:
    light = np.arange(_CODES) / (_CODES - 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)
