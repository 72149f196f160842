"""Pictures and sound from memory as prompts: PIL images, numpy arrays and torch tensors.

The conventions are those of diffusers:

    numpy   (height, width[, channels]) or (frames, height, width, channels)      channels last
    torch   (height, width), (channels, height, width) or (frames, channels, height, width)
    list    of PIL images, arrays or tensors: the frames of a video

Values are bytes 0..255, 16-bit numbers 0..65535 or floats 0..1; channels are 1 (grey), 3 (RGB) or 4 (RGBA,
shown on black). A batch of one is the one. What could mean several things is refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ..data.media.clip import Clip
from ..data.media.photos import Photo
from ..data.media.pictures import BLACK

Picture = Image.Image | np.ndarray | Tensor
Pictures = Picture | Sequence[Picture | str | Path]

_CHANNELS = (1, 3, 4)
_ANIMATED = ("GIF", "PNG", "WEBP")  # of Pillow's formats with several frames; those of MPO are views
_ROUNDING = 1e-3  # beyond 0..1 that arithmetic may leave
_LOUDEST = 2.0  # of samples that a mix may leave beyond [-1, 1]; those of integers are thousands
_MOST_CHANNELS = 16  # of a sound


def clip_of(given: Pictures, fps: float) -> Clip:
    """Pictures as a clip.

    Args:
        fps: of what has no rate of its own, as all but an animated PIL image.

    Raises:
        ValueError: if it is not clear what the pictures are.
    """
    if isinstance(given, Image.Image):
        frames, fps = _frames_of_image(given, fps)
        return Clip(frames, fps)
    if isinstance(given, (np.ndarray, Tensor)):
        return Clip(_frames_of_array(given), fps)
    if not given:
        raise ValueError("a list of pictures is empty; expected the frames of a video")
    each = [_picture(one, number, fps) for number, one in enumerate(given)]
    sizes = list(dict.fromkeys(tuple(frame.shape[1:3]) for frame in each))
    if len(sizes) > 1:
        (height, width), (other_height, other_width) = sizes[:2]
        raise ValueError(
            f"a list of pictures has some of {height}x{width} and some of {other_height}x{other_width}; "
            "the frames of a video have one size"
        )
    return Clip(torch.cat(each), fps)


def waveform_of(given: Sequence[Any]) -> tuple[Float[Tensor, "channels samples"], int]:
    """A sound from an array or tensor and its sample rate, in either order.

    Samples are floats in [-1, 1] or integers of 8, 16 or 32 bits. One axis is a single channel; of two axes
    the one of at most 16 are the channels.

    Raises:
        ValueError: if it is another pair, or its samples are no sound.
    """
    if len(given) != 2:
        raise ValueError(f"a sound has {len(given)} parts; expected (samples, sample_rate)")
    samples, rate = given if isinstance(given[0], (np.ndarray, Tensor)) else reversed(given)
    if not isinstance(samples, (np.ndarray, Tensor)):
        raise ValueError(f"a sound is {type(samples).__name__}; expected (samples, sample_rate)")
    try:
        sample_rate = int(rate)
    except (TypeError, ValueError):
        raise ValueError(f"the sample rate is {rate!r}; expected samples per second") from None
    if sample_rate != rate or sample_rate < 1:
        raise ValueError(f"the sample rate is {rate}; expected a whole number from 1 on")
    return _channels_first(_samples(_tensor(samples))), sample_rate


def _channels_first(samples: Tensor) -> Float[Tensor, "channels samples"]:
    shape = "x".join(map(str, samples.shape))
    if samples.numel() == 0:
        raise ValueError("the sound has no samples")
    if samples.ndim == 1:
        return samples[None]
    few = [size <= _MOST_CHANNELS for size in samples.shape]
    if samples.ndim != 2 or not any(few):
        raise ValueError(f"the sound is {shape}; expected samples, or channels and samples, in either order")
    if all(few) and samples.shape[0] > 1 < samples.shape[1]:
        raise ValueError(f"the sound is {shape}; it is not clear which of these are its channels")
    one_channel = samples.shape[1] == 1
    return samples if few[0] and not (all(few) and one_channel) else samples.T.contiguous()


def _samples(samples: Tensor) -> Tensor:
    """Samples as floats."""
    if samples.dtype == torch.uint8:
        return (samples.float() - 128) / 128
    if samples.dtype in (torch.int16, torch.int32):
        return (samples.double() / -float(torch.iinfo(samples.dtype).min)).float()
    if not samples.is_floating_point():
        raise ValueError(
            f"the samples of the sound are {_dtype(samples)}; expected floats, or integers of 16 bits"
        )
    samples = samples.float()
    wrong = int((~samples.isfinite()).sum())
    if wrong:
        raise ValueError(f"{wrong} of {samples.numel()} samples of the sound are not numbers (NaN, infinite)")
    loudest = float(samples.abs().max()) if samples.numel() else 0.0
    if loudest > _LOUDEST:
        raise ValueError(
            f"the samples of the sound reach {loudest:g}; floats are from -1 to 1 "
            "(16-bit numbers divided by 32768)"
        )
    return samples


def _picture(given: Picture | str | Path, number: int, fps: float) -> UInt8[Tensor, "1 height width 3"]:
    """One picture of a list."""
    if isinstance(given, (str, Path)):
        from ..data.media.reading import read_clip

        frames = read_clip(given, num_frames=1, sound=False).frames
    elif isinstance(given, (Image.Image, np.ndarray, Tensor)):
        frames = clip_of(given, fps).frames
    else:
        raise ValueError(f"item {number} of a list of pictures is {type(given).__name__}, not a picture")
    if len(frames) != 1:
        raise ValueError(f"item {number} of a list of pictures has {len(frames)} frames; expected one each")
    return frames


def _frames_of_image(image: Image.Image, fps: float) -> tuple[UInt8[Tensor, "frames height width 3"], float]:
    """The frames of a PIL image as those of a file, and the mean rate of an animated one."""
    photo = Photo(image)
    photo.is_still = image.format not in _ANIMATED or not getattr(image, "is_animated", False)
    at = image.tell()
    shown = list(photo.frames(BLACK))
    image.seek(at)
    frames = torch.stack([torch.tensor(pixels) for _, _, pixels in shown])
    return frames, fps if photo.is_still else len(shown) / sum(seconds for _, seconds, _ in shown)


def _frames_of_array(given: np.ndarray | Tensor) -> UInt8[Tensor, "frames height width 3"]:
    values, is_torch = _tensor(given), isinstance(given, Tensor)
    kind, wanted = ("tensor", "channels, height, width") if is_torch else ("array", "height, width, channels")
    shape = "x".join(map(str, values.shape))
    wrong = f"an {shape} {kind}" if kind == "array" else f"a {shape} {kind}"
    if 0 in values.shape:
        raise ValueError(f"{wrong} holds no pictures")
    if values.ndim == 5 and len(values) == 1:
        values = values[0]
    axis = -3 if is_torch else -1
    if values.ndim == 2:
        values = values.unsqueeze(axis)
    if values.ndim not in (3, 4) or values.shape[axis] not in _CHANNELS:
        raise ValueError(
            f"{wrong} is neither a picture ({wanted}) nor a video (frames, {wanted}) of 1, 3 or 4 channels"
        )
    if is_torch:
        values = rearrange(values, "... channels height width -> ... height width channels")
    frames = _in_bytes(values if values.ndim == 4 else values[None])
    if frames.shape[-1] == 4:
        opacity = frames[..., 3:].float() / 255  # on black, as pictures of files
        return (frames[..., :3] * opacity).round().to(torch.uint8)
    return frames.expand(*frames.shape[:-1], 3).contiguous()


def _in_bytes(values: Tensor) -> UInt8[Tensor, "*shape"]:
    """Values of pixels as bytes."""
    if values.dtype == torch.uint8:
        return values.contiguous()
    if values.dtype == torch.uint16:
        return (values.float() / 257).round().to(torch.uint8)
    if not values.is_floating_point():
        raise ValueError(f"pictures have {_dtype(values)} values; expected uint8 (0 to 255) or floats 0 to 1")
    values = values.float()
    low, high = float(values.min()), float(values.max())
    if not torch.isfinite(values).all():
        raise ValueError("pictures have values that are not numbers (NaN or infinite)")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        way = "x / 2 + 0.5 brings [-1, 1] there" if high <= 1 + _ROUNDING else "divide bytes by 255"
        raise ValueError(f"pictures have floats from {low:g} to {high:g}; expected 0 to 1 ({way})")
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def _tensor(values: np.ndarray | Tensor) -> Tensor:
    """The values as a tensor on the CPU, in whatever order and place they lie."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    try:
        return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), order="C", copy=True))
    except TypeError:
        raise ValueError(f"an array holds {values.dtype} values; expected numbers") from None


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
