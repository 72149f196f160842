"""Films look as a player shows them: matrix, range, HDR, wide gamut, interlacing, transparency, sizes."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.colour import tone_mapped
from videolm.data.media.probe import probe
from videolm.data.media.reading import read_clip

# Luma weights of red and blue.
BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
COLOURS = [(200, 40, 60), (50, 180, 90), (40, 60, 210), (220, 200, 30), (128, 128, 128)]


def yuv_of(rgb, weights, full=False, bits=8):
    """The obvious conversion of one colour in [0, 255] to codes of limited or full range."""
    red, green, blue = np.array(rgb, float) / 255
    kr, kb = weights
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    scale = 2 ** (bits - 8)
    if full:
        return luma * 255, cb * 255 + 128, cr * 255 + 128
    return (219 * luma + 16) * scale, (224 * cb + 128) * scale, (224 * cr + 128) * scale


def plain_yuv(colours, height, width, fmt="yuv420p"):
    """A frame of vertical stripes of given codes."""
    frame = av.VideoFrame(width, height, fmt)
    kind = np.uint16 if "10le" in fmt else np.uint8
    for number, plane in enumerate(frame.planes):
        stripes = np.repeat([round(code[number]) for code in colours], plane.width // len(colours))
        row = np.zeros(plane.line_size // kind().itemsize, kind)
        row[: len(stripes)] = stripes
        plane.update(np.tile(row, (plane.height, 1)).tobytes())
    return frame


def write_frames(path, frames, codec="libx264", fps=25, prepare=lambda codec: None, options=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, fps, options=options or {"crf": "1"})
        stream.height, stream.width = frames[0].height, frames[0].width
        stream.pix_fmt = frames[0].format.name
        prepare(stream.codec_context)
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def stripes_of(clip, count):
    width = clip.width / count
    return [clip.frames[0, clip.height // 2, int((n + 0.5) * width)].int() for n in range(count)]


@pytest.mark.parametrize(
    ("height", "space", "full", "weights"),
    [
        (240, None, False, BT601),
        (718, None, False, BT601),
        (720, None, False, BT709),
        (240, Colorspace.ITU709, False, BT709),
        (720, Colorspace.ITU601, False, BT601),
        (240, None, True, BT601),
        (720, Colorspace.ITU709, True, BT709),
        (240, 9, False, BT2020),
    ],
)
def test_matrix_and_range_are_those_of_the_tag_or_of_the_size(tmp_path, height, space, full, weights):
    def tag(codec):
        codec.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        if space is not None:
            codec.colorspace = {Colorspace.ITU601: 6}.get(space, space)

    codes = [yuv_of(colour, weights, full) for colour in COLOURS]
    path = write_frames(tmp_path / "a.mp4", [plain_yuv(codes, height, 320)], prepare=tag)
    for size in ({}, {"height": 64, "width": 80}):
        for seen, colour in zip(stripes_of(read_clip(path, **size), 5), COLOURS, strict=True):
            assert (seen - torch.tensor(colour)).abs().max() <= 4


def pq_code(nits):
    root = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


def pq_nits(code):
    root = code ** (1 / 78.84375)
    return 10000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def tone_mapped_slowly(nits):
    """One pixel of BT.2020 light in nits to sRGB, step by step by the texts of BT.2390 and BT.2087."""
    brightest = max(nits)
    white, peak = pq_code(203) / pq_code(1000), pq_code(1000)
    code = min(pq_code(brightest) / peak, 1)
    knee = 1.5 * white - 0.5
    if code >= knee:
        t = (code - knee) / (1 - knee)
        code = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (-2 * t**3 + 3 * t**2) * white
        )
    gain = pq_nits(code * peak) / max(brightest, 1e-9)
    red, green, blue = (value * gain / 203 for value in nits)
    light = (
        1.6605 * red - 0.5876 * green - 0.0728 * blue,
        -0.1246 * red + 1.1329 * green - 0.0083 * blue,
        -0.0182 * red - 0.1006 * green + 1.1187 * blue,
    )
    srgb = []
    for value in light:
        value = min(max(value, 0), 1)
        srgb.append(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))
    return srgb


def hlg_nits(codes):
    scene = [
        code**2 / 3 if code <= 0.5 else (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
        for code in codes
    ]
    luma = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * luma**0.2 * value for value in scene]


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_tone_mapping_agrees_with_a_slow_version(transfer):
    codes = np.random.default_rng(0).integers(0, 2**16, (6, 7, 3), dtype=np.uint16)
    fast = tone_mapped(codes, transfer, ColorPrimaries.BT2020)
    for row, column in np.ndindex(6, 7):
        values = codes[row, column] / 65535
        nits = [pq_nits(value) for value in values] if transfer == 16 else hlg_nits(values)
        assert np.abs(fast[row, column] - np.array(tone_mapped_slowly(nits))).max() <= 1


def test_what_sdr_shows_stays_and_what_is_brighter_than_white_is_told_apart():
    nits = [0, 1, 10, 50, 92, 203, 400, 700, 1000, 4000]
    codes = np.array([[[round(65535 * pq_code(value))] * 3 for value in nits]], np.uint16)
    greys = tone_mapped(codes, ColorTrc.SMPTE2084, ColorPrimaries.BT2020)[0]
    assert (greys.max(1) - greys.min(1)).max() <= 1  # grey stays grey
    levels = greys[:, 0].astype(int)
    light = np.array(nits[:5]) / 203
    srgb = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(levels[:5] - srgb).max() <= 1
    # Just below the peak the curve is flat: 700 nits are a level from white at most.
    assert 200 < levels[5] < levels[6] < levels[7] <= levels[8] == levels[9] == 255
    assert levels[7] >= 254


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_films_are_read_as_sdr_and_said_so_once(tmp_path, transfer):
    def tag(codec):
        codec.color_range, codec.colorspace = ColorRange.MPEG, 9
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT2020, transfer

    signals = [(0.3, 0.3, 0.3), (0.6, 0.6, 0.6), (0.6, 0.4, 0.4), (0.4, 0.45, 0.55)]
    codes = [yuv_of([255 * value for value in signal], BT2020, bits=10) for signal in signals]
    frames = [plain_yuv(codes, 64, 128, "yuv420p10le") for _ in range(3)]
    path = write_frames(
        tmp_path / "a.mp4", frames, "libx265", prepare=tag, options={"x265-params": "log-level=none:crf=1"}
    )
    with pytest.warns(UserWarning, match="tone-mapped to SDR") as said:
        clip = read_clip(path)
    assert len(said) == 1
    for seen, signal in zip(stripes_of(clip, 4), signals, strict=True):
        nits = [pq_nits(value) for value in signal] if transfer == 16 else hlg_nits(signal)
        assert (seen - torch.tensor(tone_mapped_slowly(nits))).abs().max() <= 5


def test_sdr_of_wide_primaries_is_brought_to_those_of_srgb(tmp_path):
    def tag(codec):
        codec.color_range, codec.colorspace = ColorRange.MPEG, 9
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT2020, ColorTrc.BT2020_10

    codes = [yuv_of(colour, BT2020) for colour in ((150, 150, 150), (160, 100, 100))]
    path = write_frames(tmp_path / "a.mp4", [plain_yuv(codes, 64, 128)], prepare=tag)
    grey, red = stripes_of(read_clip(path), 2)
    assert (grey - 150).abs().max() <= 5
    assert red[0] > 165 and red[1] < 98  # more saturated in the smaller gamut


def moving_bar(field_time):
    """A white bar on black whose place tells the time, in half frames."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, 4 * field_time : 4 * field_time + 24] = 255
    return picture


def woven(index):
    """A frame whose even lines were taken half a frame before its odd ones."""
    picture = moving_bar(2 * index)
    picture[1::2] = moving_bar(2 * index + 1)[1::2]
    return picture


def combing(frame):
    """How much more neighbouring lines differ than lines that are two apart."""
    grey = frame.float().mean(-1)
    return float((grey[1:] - grey[:-1]).abs().mean() - (grey[2:] - grey[:-2]).abs().mean())


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"crf": "1", "x264-params": "tff=1"}),
        ("a.mpg", "mpeg2video", {"flags": "+ildct+ilme", "b": "20M"}),
    ],
)
def test_interlaced_films_are_deinterlaced(tmp_path, name, codec, options):
    frames = [
        av.VideoFrame.from_ndarray(woven(index), "rgb24").reformat(format="yuv420p") for index in range(8)
    ]
    path = write_frames(tmp_path / name, frames, codec, options=options)
    clip = read_clip(path)
    assert clip.num_frames == 8
    assert combing(torch.from_numpy(woven(3))) > 5
    assert max(combing(frame) for frame in clip.frames[1:-1]) < 1
    part = read_clip(path, start=3 / 25, num_frames=2)
    assert torch.equal(part.frames, clip.frames[3:5])
    assert read_clip(path, height=32, width=48).num_frames == 8


def test_progressive_films_are_left_alone(tmp_path):
    frames = [
        av.VideoFrame.from_ndarray(woven(index), "rgb24").reformat(format="yuv444p") for index in range(3)
    ]
    clip = read_clip(write_frames(tmp_path / "a.mp4", frames))
    assert combing(clip.frames[1]) > 5


def half_transparent():
    """Green, on the right half transparent over red that must not be seen, then fully transparent."""
    picture = np.zeros((32, 96, 4), np.uint8)
    picture[..., :32, :] = (0, 200, 0, 255)
    picture[:, 32:64] = (0, 200, 0, 128)
    picture[:, 64:] = (250, 0, 0, 0)
    return picture


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.apng", "apng", "rgba"),
    ],
)
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (10, 20, 200)])
def test_transparent_films_are_laid_on_the_background(tmp_path, name, codec, pixels, background):
    frames = [
        av.VideoFrame.from_ndarray(half_transparent(), "rgba").reformat(format=pixels) for _ in range(2)
    ]
    options = {"crf": "4", "b": "9M", "auto-alt-ref": "0"} if "vpx" in codec else {}
    path = write_frames(tmp_path / name, frames, codec, options=options)
    for size in ({}, {"height": 16, "width": 48}):
        clip = read_clip(path, background=background, **size)
        half = [round((200 * (channel == 1) * 128 + 127 * background[channel]) / 255) for channel in range(3)]
        for seen, colour in zip(stripes_of(clip, 3), ((0, 200, 0), half, background), strict=True):
            assert (seen - torch.tensor(colour)).abs().max() <= 8
        # no red bleeds out of what is transparent
        assert int(clip.frames[..., 0].max()) <= max(half[0], background[0]) + 12


def test_frames_of_other_sizes_are_scaled_to_the_first(tmp_path):
    """Transport streams of two sizes, one after the other, as recorders of broadcasts leave them."""
    parts = []
    for number, (height, width) in enumerate(((48, 64), (96, 128), (48, 96))):
        frames = torch.full((5, height, width, 3), 60 + 60 * number, dtype=torch.uint8)
        path = tmp_path / f"{number}.ts"
        yuv = [
            av.VideoFrame.from_ndarray(frame.numpy(), "rgb24").reformat(format="yuv420p") for frame in frames
        ]
        parts.append(write_frames(path, yuv).read_bytes())
    (tmp_path / "all.ts").write_bytes(b"".join(parts))
    clip = read_clip(tmp_path / "all.ts")
    assert clip.frames.shape == (15, 48, 64, 3)
    levels = clip.frames.float().mean((1, 2, 3))
    assert torch.allclose(levels.reshape(3, 5).mean(1), torch.tensor([60.0, 120.0, 180.0]), atol=3)
    assert probe(tmp_path / "all.ts")[0].num_frames == 15


def test_what_we_write_comes_back_in_its_colours_at_any_size(tmp_path):
    for height in (64, 720):
        frames = torch.tensor(COLOURS, dtype=torch.uint8).repeat_interleave(64, 0).expand(2, height, -1, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            write_clip(Clip(frames.contiguous(), 8.0), tmp_path / "a.mp4")
            again = read_clip(tmp_path / "a.mp4")
        for seen, colour in zip(stripes_of(again, 5), COLOURS, strict=True):
            assert (seen - torch.tensor(colour)).abs().max() <= 5
