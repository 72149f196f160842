import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from videolm.data.media.clip import Clip
from videolm.data.media.pixels import frames_from_pixels, pixels_from_frames
from videolm.tokenizers.video.clip_codes import (
    ClipCodes,
    bits_of,
    decode_clip,
    encode_clip,
    pack_codes,
    padded_size,
    unpack_codes,
)
from videolm.tokenizers.video.protocol import StreamingVideoCodec
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer, VideoTokenizerConfig


def tokenizer_of(seed: int, **settings) -> VideoTokenizer:
    """Small, with no weight left at zero."""
    torch.manual_seed(seed)
    model = VideoTokenizer(VideoTokenizerConfig(channels=8, multipliers=(1, 1, 1), **settings))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


class Whole(torch.nn.Module):
    """A tokenizer without the parts that stream: what a foreign one may be like."""

    def __init__(self, inner: VideoTokenizer):
        super().__init__()
        self.inner = inner
        self.codebook_size, self.factors, self.fingerprint = (
            inner.codebook_size,
            inner.factors,
            inner.fingerprint,
        )
        self.temporal_stride, self.spatial_stride = inner.temporal_stride, inner.spatial_stride
        self.grid, self.encode, self.decode = inner.grid, inner.encode, inner.decode
        self.save_pretrained = inner.save_pretrained


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    return tokenizer_of(0, bits=6)


@pytest.fixture(scope="module")
def fsq() -> VideoTokenizer:
    return tokenizer_of(0, quantizer="fsq", levels=(7, 5, 5))


@pytest.fixture(scope="module")
def clip() -> Clip:
    frames = torch.randint(256, (7, 18, 21, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Clip(frames, 30000 / 1001, torch.zeros(1, 500), 16000, "noise")


@pytest.fixture(scope="module")
def codes(tokenizer, clip) -> ClipCodes:
    return encode_clip(tokenizer, clip)


def test_padding_is_the_least_that_the_tokenizer_takes(tokenizer):
    for num_frames in range(1, 12):
        for height in range(1, 18):
            frames, padded, width = padded_size(tokenizer, num_frames, height, 8)
            assert tokenizer.grid(frames, padded, width)
            assert 0 <= frames - num_frames < 4 and 0 <= padded - height < 8 and width == 8


@pytest.mark.parametrize("num_frames", [1, 2, 5, 7])
def test_a_clip_of_any_length_and_size_comes_back_in_its_length_and_size(tokenizer, clip, num_frames):
    window = clip.window(0, num_frames)
    back = decode_clip(tokenizer, encode_clip(tokenizer, window))
    assert back.frames.shape == window.frames.shape and back.fps == clip.fps
    assert back.waveform is None


def test_a_clip_that_fits_is_coded_as_the_tokenizer_codes_it(tokenizer):
    frames = torch.randint(256, (5, 16, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    whole = tokenizer.encode(pixels_from_frames(frames[None]))
    codes = encode_clip(tokenizer, Clip(frames, 8.0))
    assert (codes.codes == whole[0]).float().mean() > 0.98  # a sum in another order may tip a sign
    decoded = frames_from_pixels(tokenizer.decode(codes.codes[None]))[0]
    assert (decode_clip(tokenizer, codes).frames.int() - decoded.int()).abs().max() <= 1


def test_padding_repeats_the_last_frame_and_the_right_and_lower_edge(tokenizer, clip):
    frames = clip.frames[[0, 1, 2, 3, 4, 5, 6, 6, 6]]
    frames = frames[:, [*range(18), *[17] * 6]][:, :, [*range(21), *[20] * 3]]
    padded = encode_clip(tokenizer, Clip(frames, clip.fps))
    assert torch.equal(padded.codes, encode_clip(tokenizer, clip).codes)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_chunks_of_any_size_give_the_same_codes_and_pictures(tokenizer, clip, codes, size):
    chunked = encode_clip(tokenizer, clip, frames_per_chunk=size)
    assert (chunked.codes == codes.codes).float().mean() > 0.98
    one, other = decode_clip(tokenizer, codes, size).frames, decode_clip(tokenizer, codes).frames
    assert (one.int() - other.int()).abs().max() <= 1


def test_a_tokenizer_that_streams_sees_no_more_than_a_chunk(tokenizer, clip, monkeypatch):
    longest = []
    latents = VideoTokenizer.latents

    def watched(self, pixels, memory=None):
        longest.append(pixels.shape[2])
        return latents(self, pixels, memory)

    monkeypatch.setattr(VideoTokenizer, "latents", watched)
    long = replace(clip, frames=clip.frames.repeat(6, 1, 1, 1))
    encode_clip(tokenizer, long, frames_per_chunk=4)
    assert len(longest) > 5 and max(longest) <= 4 + tokenizer.temporal_stride - 1


def test_a_tokenizer_that_does_not_stream_gives_the_same(tokenizer, clip, codes):
    whole = Whole(tokenizer)
    assert not isinstance(whole, StreamingVideoCodec) and isinstance(tokenizer, StreamingVideoCodec)
    again = encode_clip(whole, clip)
    assert (again.codes == codes.codes).float().mean() > 0.98
    back = decode_clip(whole, codes).frames
    assert (back.int() - decode_clip(tokenizer, codes).frames.int()).abs().max() <= 1


def test_bits_per_pixel_count_the_information_for_each_pixel_of_the_original(codes, fsq, clip):
    assert codes.codes.shape == (3, 3, 3)
    assert codes.bits_per_pixel == pytest.approx(27 * 6 / (7 * 18 * 21))
    assert codes.kilobits_per_second == pytest.approx(27 * 6 / (7 / clip.fps) / 1000)
    assert encode_clip(fsq, clip).bits_per_pixel == pytest.approx(27 * math.log2(175) / (7 * 18 * 21))


@pytest.mark.parametrize("bits", [1, 7, 8, 18, 32])
def test_unpacking_is_the_inverse_of_packing_and_no_bit_is_wasted(bits):
    codes = torch.randint(2**bits, (3, 5, 7), generator=torch.Generator().manual_seed(bits))
    packed = pack_codes(codes, bits)
    assert len(packed) == math.ceil(codes.numel() * bits / 8)
    assert torch.equal(unpack_codes(packed, codes.numel(), bits).reshape(codes.shape), codes)


@pytest.mark.parametrize("size, bits", [(2, 1), (3, 2), (175, 8), (1024, 10), (1025, 11), (2**18, 18)])
def test_as_many_bits_as_the_largest_code_needs(size, bits):
    assert bits_of(size) == bits == math.ceil(math.log2(size))


def test_a_file_gives_back_what_was_saved_and_is_as_small_as_the_codes(codes, fsq, clip, tmp_path):
    for each in (codes, encode_clip(fsq, clip)):
        each.save(tmp_path / "clip.codes")
        loaded = ClipCodes.load(tmp_path / "clip.codes")
        assert torch.equal(loaded.codes, each.codes)
        names = ("num_frames", "height", "width", "fps", "codebook_size", "fingerprint")
        assert [getattr(loaded, name) for name in names] == [getattr(each, name) for name in names]
        payload = math.ceil(each.codes.numel() * bits_of(each.codebook_size) / 8)
        assert payload < (tmp_path / "clip.codes").stat().st_size < payload + 600


def test_codes_of_another_tokenizer_are_refused(codes):
    with pytest.raises(ValueError, match="the codes are those of tokenizer") as error:
        decode_clip(tokenizer_of(1, bits=6), codes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes", [{"num_frames": 10}, {"num_frames": 5}, {"num_frames": 2**31}, {"height": 25}, {"width": 16}]
)
def test_codes_that_do_not_fit_the_stated_clip_are_refused(tokenizer, codes, changes):
    with pytest.raises(ValueError, match=r"the grid of codes is \(3, 3, 3\); expected"):
        decode_clip(tokenizer, replace(codes, **changes))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"codes": torch.full((3, 3, 3), 64)}, r"expected \[0, 64\)"),
        ({"codes": torch.full((3, 3, 3), -1)}, r"expected \[0, 64\)"),
        ({"codes": torch.zeros(3, 0, 3, dtype=torch.int64)}, "at least one code"),
        ({"num_frames": 0}, "num_frames is 0"),
        ({"fps": math.nan}, "fps is nan"),
        ({"fps": 1e-300}, "fps is 1e-300"),
        ({"codebook_size": 1}, "codebook_size is 1"),
        ({"fingerprint": "a\nb"}, "expected hex digits"),
    ],
)
def test_values_out_of_range_are_refused(codes, changes, said):
    with pytest.raises(ValueError, match=said):
        replace(codes, **changes)


@pytest.mark.parametrize("chunk", [0, -1])
def test_chunks_of_nothing_are_refused(tokenizer, clip, codes, chunk):
    with pytest.raises(ValueError, match="expected at least 1"):
        encode_clip(tokenizer, clip, chunk)
    with pytest.raises(ValueError, match="expected at least 1"):
        decode_clip(tokenizer, codes, chunk)


def test_a_clip_without_frames_is_refused(tokenizer, clip):
    with pytest.raises(ValueError, match="no frames"):
        encode_clip(tokenizer, replace(clip, frames=clip.frames[:0]))


METADATA = {
    "format": "videolm.clip_codes", "format_version": "1", "grid": "3 3 3", "num_frames": "7", "height": "18",
    "width": "21", "fps": "29.97", "codebook_size": "64", "fingerprint": "0123456789abcdef",
}  # fmt: skip


def forged(path: Path, without: str = "", packed: torch.Tensor | None = None, **changes: str) -> Path:
    """A file of zeros that says what it should, but for the changes."""
    metadata = {name: value for name, value in (METADATA | changes).items() if name != without}
    tensor = torch.zeros(math.ceil(27 * 6 / 8), dtype=torch.uint8) if packed is None else packed
    save_file({"codes": tensor}, path, metadata=metadata)
    return path


HUGE = "9" * 10
HOSTILE = {
    "another format": {"format": "pt"},
    "no format": {"without": "format"},
    "newer": {"format_version": "3"},
    "no checksum": {"format_version": "2"},
    "no fps": {"without": "fps"},
    "no grid": {"without": "grid"},
    "a flat grid": {"grid": "3 9"},
    "a grid with a sign": {"grid": "-3 -3 3"},
    "an empty grid": {"grid": "0 3 3"},
    "more codes than bytes": {"grid": "4 3 3"},
    "fewer codes than bytes": {"grid": "1 3 3"},
    "a huge grid": {"grid": f"{HUGE} {HUGE} {HUGE}"},
    "a huge number": {"num_frames": "9" * 5000},
    "many frames": {"num_frames": HUGE},
    "no frames": {"num_frames": "0"},
    "words for numbers": {"height": "tall"},
    "a blank for a number": {"height": ""},
    "other digits": {"height": "\u0664\u0662"},
    "a broken rate": {"fps": "fast"},
    "no rate": {"fps": "nan"},
    "an endless rate": {"fps": "inf"},
    "a long rate": {"fps": "1" * 10000},
    "one code": {"codebook_size": "1"},
    "a huge codebook": {"codebook_size": HUGE},
    "codes outside the codebook": {
        "codebook_size": "33",
        "packed": torch.full((21,), 255, dtype=torch.uint8),
    },
    "signed bytes": {"packed": torch.zeros(21, dtype=torch.int8)},
    "two axes": {"packed": torch.zeros(3, 7, dtype=torch.uint8)},
    "a strange fingerprint": {"fingerprint": "../../etc\n"},
}


def test_the_forged_file_is_read_when_nothing_is_changed(tmp_path):
    assert ClipCodes.load(forged(tmp_path / "x.codes")).codes.shape == (3, 3, 3)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_says_what_cannot_be_is_refused_in_one_line(tmp_path, name):
    path = forged(tmp_path / "x.codes", **HOSTILE[name])
    with pytest.raises(ValueError, match=r"x\.codes holds no codes that can be read") as error:
        ClipCodes.load(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_a_file_cut_anywhere_is_refused(codes, tmp_path):
    codes.save(tmp_path / "whole.codes")
    data = (tmp_path / "whole.codes").read_bytes()
    for length in (0, 4, 8, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.codes").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cut\.codes holds no codes that can be read"):
            ClipCodes.load(tmp_path / "cut.codes")


def test_files_of_another_kind_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "weights.codes", metadata=METADATA)
    (tmp_path / "text.codes").write_text("these are no codes" * 10)
    for name in ("weights.codes", "text.codes"):
        with pytest.raises(ValueError, match="holds no codes"):
            ClipCodes.load(tmp_path / name)
    for missing in (tmp_path / "none.codes", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            ClipCodes.load(missing)


def test_the_file_is_plain_safetensors(codes, tmp_path):
    codes.save(tmp_path / "clip.codes")
    (packed,) = load_file(tmp_path / "clip.codes").values()
    assert packed.dtype == torch.uint8 and packed.ndim == 1


def test_every_damaged_byte_of_a_file_is_found(tokenizer, clip, tmp_path):
    path, other = tmp_path / "a.codes", tmp_path / "b.codes"
    encode_clip(tokenizer, clip).save(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1
        other.write_bytes(data)
        with pytest.raises(ValueError, match="holds no codes that can be read"):
            ClipCodes.load(other)


def test_a_file_of_the_first_version_has_no_checksum_and_is_read(tmp_path):
    assert ClipCodes.load(forged(tmp_path / "old.codes")).num_frames == 7
