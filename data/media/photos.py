"""Pictures by Pillow: of any depth and number of channels, turned by their EXIF, opaque, in sRGB.

Films, also animated .gif and .png, are FFmpeg's; animated .webp it does not read, so that is Pillow's.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from .pictures import check_pixels, composited
from .streams import Blob, Limits, MediaError, check_is_file, printable

# How files of Pillow's begin: JPEG, PNG, GIF, BMP, TIFF, JPEG 2000, ICO; and the brands of HEIC.
_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
    b"\0\0\1\0",
)  # fmt: skip
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "JPEG2000", "ICO")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
_HEAD = 16
_FILMS_OF_JPEGS = {".mjpeg", ".mjpg"}
_QUARTER_TURNS = {5, 6, 7, 8}
# Browsers show frames that ask for less time for a tenth of a second.
_SHORTEST, _USUAL = 0.02, 0.1
_DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError, EOFError, struct.error,
    zlib.error, Image.DecompressionBombError,
)  # fmt: skip


class Photo:
    """A picture file, opened; its pixels are decoded by `frames`."""

    def __init__(self, image: Image.Image):
        self.image = image
        self.is_still = image.format != "WEBP" or not getattr(image, "is_animated", False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as displayed."""
        height, width = self.image.height, self.image.width
        return (width, height) if _exif_orientation(self.image) in _QUARTER_TURNS else (height, width)

    def frames(
        self, background: tuple[int, int, int]
    ) -> Iterator[tuple[float, float, UInt8[np.ndarray, "height width 3"]]]:
        """The frames, opaque: when and for how long each is shown, in seconds, and its pixels.

        Raises:
            MediaError: if one is damaged.
        """
        time = 0.0
        for number in range(1 if self.is_still else self.image.n_frames):  # type: ignore[attr-defined]
            with _explained():
                self.image.seek(number)
                self.image.load()
                colours = _colours(self.image)
                asked = float(self.image.info.get("duration", 0)) / 1000
            opaque = composited(colours, background) if colours.shape[2] == 4 else colours
            seconds = asked if asked >= _SHORTEST else _USUAL
            yield time, seconds, np.ascontiguousarray(_turned(opaque, _exif_orientation(self.image)))
            time += seconds


@contextmanager
def open_photo(media: Path | Blob, limits: Limits) -> Iterator[Photo | None]:
    """The picture in a file; None if the file is FFmpeg's.

    Raises:
        FileNotFoundError: if there is no such file.
        MediaError: naming the file, if it is damaged, has too many pixels, or is a HEIC without its reader.
    """
    if isinstance(media, Path):
        check_is_file(media)
    formats = _formats_of(_head(media))
    if isinstance(media, Path) and media.suffix.lower() in _FILMS_OF_JPEGS:
        formats = ()
    if not formats:
        yield None
        return
    source = BytesIO(media.data) if isinstance(media, Blob) else media
    try:
        with ExitStack() as opened:
            with _explained():
                Image.init()
                image = opened.enter_context(Image.open(source, formats=formats))
                check_pixels(image.height, image.width, limits.max_pixels)
                is_film = image.format in ("GIF", "PNG") and getattr(image, "is_animated", False)
            yield None if is_film else Photo(image)
    except MediaError as error:
        raise MediaError(f"{printable(media)}: {error}") from error


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever Pillow raises becomes a `MediaError`."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise MediaError("not a picture that can be read, or damaged") from error
    except _DAMAGED as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"a damaged picture ({printable(error)})") from error
    except MemoryError as error:
        raise MediaError("it needs more memory than there is") from error


def _head(media: Path | Blob) -> bytes:
    if isinstance(media, Blob):
        return media.data[:_HEAD]
    with media.open("rb") as file:
        return file.read(_HEAD)


def _formats_of(head: bytes) -> tuple[str, ...]:
    """The formats of Pillow that a file may have which begins like this; none if it is FFmpeg's."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return ("HEIF",) if _heif_reader() else ()
    if head[4:8] == b"ftyp" and head[8:12] == b"avif":
        return ("AVIF",)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ("WEBP",)
    return _FORMATS if head.startswith(_MAGIC) else ()


def _heif_reader() -> bool:
    """Whether pillow-heif is installed; Pillow itself does not read HEIC."""
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _colours(image: Image.Image) -> UInt8[np.ndarray, "height width channels"]:
    """RGB, of pictures with transparency RGBA."""
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.repeat(_deep_grey(image)[..., None], 3, axis=2)
    if image.has_transparency_data:
        return np.asarray(_in_srgb(image.convert("RGBA"), profile))
    return np.asarray(_in_srgb(image, profile).convert("RGB"))


def _deep_grey(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """The 8 upper bits of 16-bit greys, and floating-point ones in [0, 1]; Pillow would cut off the rest."""
    grey = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(grey).all() and grey.min() >= 0 and grey.max() <= 1):
            raise MediaError("its greys are floating-point numbers outside 0..1")
        return np.rint(grey * 255).astype(np.uint8)
    if grey.min() < 0 or grey.max() >= 2**16:
        raise MediaError("its greys have 32 bits; at most 16 are read")
    return np.rint(grey / 257).astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The colours by the picture's own profile (Display P3 of phones, CMYK of print) if it has one."""
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):  # as viewers do
        return image
    assert converted is not None
    return converted


def _exif_orientation(image: Image.Image) -> int:
    """1 to 8; 1, upright, where nothing is said or what is said is damaged, as viewers do."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*_DAMAGED, AttributeError):
        return 1
    return orientation if orientation in range(1, 9) else 1


def _turned(
    pixels: UInt8[np.ndarray, "height width 3"], orientation: int
) -> UInt8[np.ndarray, "upright_height upright_width 3"]:
    """Upright pixels, by the meaning of EXIF's numbers: rows and columns swapped from 5 on, then reversed."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels
