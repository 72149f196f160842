"""A part of a film is what the whole has there, and nothing else is decoded."""

import os
import random

import av
import pytest
import torch
from numbered_films import number_of, pitch, write_numbered

from videolm.data.media import decoding
from videolm.data.media.probe import probe, probe_header
from videolm.data.media.reading import read_clip, read_waveform, stream_frames
from videolm.data.media.streams import Blob, Limits, MediaError


def numbers_of(frames):
    return [number_of(frame) for frame in frames]


@pytest.fixture
def decoded(monkeypatch):
    """The numbers of the frames that the decoder gives out."""
    given, whole = [], decoding.decoded

    def watched(packets, decoder, part):
        for frame in whole(packets, decoder, part):
            if isinstance(frame, av.VideoFrame):
                given.append(number_of(torch.from_numpy(frame.to_ndarray(format="rgb24"))))
            yield frame

    monkeypatch.setattr(decoding, "decoded", watched)
    return given


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize("key_every", [50, 250])
def test_nothing_is_decoded_before_the_last_key_frame_nor_after_the_part(
    tmp_path, decoded, key_every, suffix
):
    path = write_numbered(tmp_path / f"a{suffix}", 300, key_every=key_every, options={"bf": "0"})
    part = read_clip(path, start=11.0, num_frames=5)
    assert numbers_of(part.frames) == [275, 276, 277, 278, 279]
    # An .avi dates frames a frame late, so one more may belong to the part.
    last = 281 if suffix == ".avi" else 280
    assert decoded == list(range(275 // key_every * key_every, last))


def test_frames_that_no_others_need_are_left_out_before_the_part(tmp_path, decoded):
    path = write_numbered(tmp_path / "a.mp4", 300, key_every=250, options={"bf": "2", "b-pyramid": "none"})
    part = read_clip(path, start=9.0, num_frames=8)
    assert numbers_of(part.frames) == list(range(225, 233))
    assert len(decoded) < 0.6 * 233
    assert decoded[-1] <= 233 + 2  # the frame after the part that its last ones refer to


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mkv", "libx264", {"x264-params": "open-gop=1:b-pyramid=normal"}),
        ("a.mp4", "libx265", {"x265-params": "log-level=none"}),
        ("a.webm", "libvpx-vp9", {"cpu-used": "8"}),
        ("a.mkv", "libsvtav1", {"preset": "12"}),
        ("a.ts", "mpeg2video", {"bf": "2", "b": "4M"}),
        ("a.mpg", "mpeg2video", {"bf": "2", "b": "4M"}),
        ("a.avi", "mpeg4", {}),
    ],
)
def test_a_part_is_what_the_whole_has_there(tmp_path, name, codec, options):
    path = write_numbered(tmp_path / name, 120, codec=codec, key_every=40, options=options)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    whole = read_clip(path)
    assert numbers_of(whole.frames) == list(range(120))
    rng = random.Random(0)
    for _ in range(8):
        start = rng.randrange(110)
        part = read_clip(path, start=start / 25, num_frames=5)
        assert torch.equal(part.frames, whole.frames[start : start + 5])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "2", "b-pyramid": "none"}),
        ("a.mkv", "libx264", {"bf": "8", "x264-params": "b-pyramid=normal:b-adapt=0"}),
        ("a.mp4", "libx265", {"x265-params": "log-level=none:bframes=4"}),
    ],
)
@pytest.mark.parametrize("gaps", [False, True])
def test_frames_that_are_neither_shown_nor_referred_to_are_left_out(
    tmp_path, decoded, name, codec, options, gaps
):
    rng = random.Random(1)
    times = [0]
    for _ in range(149):
        times.append(times[-1] + (rng.choice([1, 1, 1, 2, 9]) if gaps else 1))
    shown = [time / 25 for time in times]
    path = write_numbered(tmp_path / name, 150, codec=codec, key_every=60, options=options, times=shown)
    for _ in range(6):
        start, fps = rng.uniform(0, shown[-1] - 2), rng.choice([3.0, 5.0, 8.0, 12.5])
        decoded.clear()
        part = read_clip(path, start=start, fps=fps, num_frames=6)
        instants = [start + index / fps + 1e-4 for index in range(part.num_frames)]
        expected = [sum(time <= instant for time in shown) - 1 for instant in instants]
        assert all(abs(a - b) <= 1 for a, b in zip(numbers_of(part.frames), expected, strict=True))
        settled = [index for index, instant in enumerate(instants) if _between(instant, shown)]
        assert [numbers_of(part.frames)[index] for index in settled] == [expected[index] for index in settled]
    if not gaps and codec == "libx264":
        decoded.clear()
        read_clip(path, start=2.41, fps=2.0, num_frames=6)
        assert len(decoded) < 0.75 * (150 - 60)


def _between(instant: float, shown: list[float]) -> bool:
    """Whether rounding to a tick cannot decide which frame is shown."""
    return all(abs(instant - time) > 0.002 for time in shown)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_picture_shown_for_long_is_found_from_the_last_key_frame(tmp_path, decoded, suffix):
    """The frame that is shown at the beginning of a part may have come long before it."""
    shown = [*range(50), *range(150, 200)]
    path = write_numbered(tmp_path / f"a{suffix}", 100, key_every=40, times=[time / 25 for time in shown])
    for start, number in ((1.9, 47), (2.5, 49), (5.9, 49), (6.1, 52)):
        decoded.clear()
        part = read_clip(path, start=start + 0.001, fps=50.0, num_frames=3)
        assert number_of(part.frames[0]) == number
        assert min(decoded) == 40


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("first", [0.0, 3.0])
def test_a_header_tells_how_long_the_pictures_are(tmp_path, suffix, first):
    path = write_numbered(tmp_path / f"a{suffix}", 100, first=first, tone=440.0)
    info = probe_header(path)
    assert info.seconds == pytest.approx(4.0, abs=0.05)
    assert info.num_frames == pytest.approx(100, abs=1)
    assert info.sample_rate == 16000


def joined(tmp_path, first=(0.0, 0.0)):
    """Two transport streams one after the other, of 440 and 880 Hz."""
    one = write_numbered(tmp_path / "one.ts", 50, first=first[0], tone=440.0)
    two = write_numbered(tmp_path / "two.ts", 50, first=first[1], start=50, tone=880.0)
    (tmp_path / "both.ts").write_bytes(one.read_bytes() + two.read_bytes())
    return tmp_path / "both.ts"


@pytest.mark.parametrize("first", [(0.0, 0.0), (20.0, 0.0), (0.0, 40.0)])
def test_joined_transport_streams_give_all_frames_with_their_sound(tmp_path, first):
    path = joined(tmp_path, first)
    clip = read_clip(path, fps=25.0)
    assert numbers_of(clip.frames) == list(range(100))
    sound, rate = clip.waveform[0], clip.sample_rate
    assert pitch(sound[: 19 * rate // 10], rate) == pytest.approx(440, abs=2)
    assert pitch(sound[21 * rate // 10 : 39 * rate // 10], rate) == pytest.approx(880, abs=2)
    assert probe_header(path).seconds == pytest.approx(4.0, abs=0.05)
    assert probe(path)[0].num_frames == 100
    for source in (path, Blob("both.ts", path.read_bytes())):
        part = read_clip(source, start=3.0, fps=25.0, num_frames=4)
        assert numbers_of(part.frames) == [75, 76, 77, 78]
        assert pitch(read_clip(source, start=2.5, fps=25.0, num_frames=25).waveform[0], rate) > 800


def test_an_edit_list_keeps_picture_and_sound_together(tmp_path):
    """Of a film cut without coding it anew the first frames are there to be decoded, not to be shown."""
    whole = write_numbered(tmp_path / "a.mp4", 100, key_every=50, tone=440.0)
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w", options={"avoid_negative_ts": "0"}) as target:
        streams = {
            stream.index: target.add_stream_from_template(stream)
            for stream in (source.streams.video[0], source.streams.audio[0])
        }
        for packet in source.demux(*[source.streams[index] for index in streams]):
            if packet.dts is None:
                continue
            late = round(0.8 / packet.time_base)
            if packet.stream.type == "audio" and packet.pts < late:
                continue
            packet.pts, packet.dts = packet.pts - late, packet.dts - late
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
    clip = read_clip(cut, fps=25.0)
    assert numbers_of(clip.frames)[:5] == [20, 21, 22, 23, 24]
    assert clip.num_frames == pytest.approx(80, abs=1)
    assert numbers_of(read_clip(cut, start=2.0, fps=25.0, num_frames=3).frames) == [70, 71, 72]


def test_pictures_that_set_in_after_the_sound_keep_their_place(tmp_path):
    path = tmp_path / "a.mkv"
    write_numbered(path, 50, first=1.0, tone=440.0)
    late = read_clip(path)
    assert numbers_of(late.frames)[:3] == [0, 1, 2] and late.waveform.shape[1] == 32000
    assert late.waveform[0, 400:].abs().mean() > 0.2


def test_a_part_may_lie_behind_the_limit_of_what_is_read_at_once(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 100, tone=440.0)
    limits = Limits(max_seconds=1.0)
    part = read_clip(path, start=3.0, num_frames=10, limits=limits)
    assert numbers_of(part.frames) == list(range(75, 85))
    assert read_waveform(path, start=3.0, seconds=0.5, limits=limits)[0].shape == (1, 8000)
    with pytest.raises(MediaError, match="at most 1 s"):
        read_clip(path, start=1.0, limits=limits)
    with stream_frames(path) as stream:
        assert sum(1 for _ in stream.frames) == 100


def test_a_stream_decodes_a_frame_when_it_is_asked_for(tmp_path, decoded):
    path = write_numbered(tmp_path / "a.mp4", 100, options={"bf": "0"})
    with stream_frames(path, height=16, width=20) as stream:
        assert stream.fps == 25
        next(stream.frames)
        assert len(decoded) < 5
