"""Training and encoding read the same clips, for they have one reader."""

import signal
import time
from dataclasses import replace
from functools import partial

import pytest
import torch

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.footage import Footage
from videolm.data.loading.clip_reader import ClipReader, WindowReader
from videolm.data.loading.clip_sources import FileSource, open_source
from videolm.data.loading.guarded_reader import GuardedReader
from videolm.data.loading.probes import Probes
from videolm.data.media.clip import Clip
from videolm.data.media.reading import read_clip
from videolm.data.sources.entry import Entry

NUM_FRAMES = 4


@pytest.fixture
def entries(tmp_path) -> list[Entry]:
    """A film with sound, a part of it, one without sound, one that is too short, and a file that is none."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (12, 20, 28, 3), generator=generator, dtype=torch.uint8)
    sound = torch.rand(1, 12000, generator=generator) - 0.5
    Clip(frames, 8.0, sound, 8000).save(tmp_path / "sound.mp4")
    Clip(frames, 8.0).save(tmp_path / "silent.mp4")
    Clip(frames[:3], 8.0, sound[:, :3000], 8000).save(tmp_path / "short.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    names = ("sound", "silent", "short", "text")
    return [Entry(tmp_path / f"{name}.mp4") for name in names] + [Entry(tmp_path / "sound.mp4", start=0.5)]


def format_of(sample_rate: int) -> ClipFormat:
    return ClipFormat(
        height=16, width=16, num_frames=NUM_FRAMES, fps=8.0, grid=(1, 2, 2), temporal_stride=4, factors=(2,),
        video_tokenizer="v", codebook_sizes=(4,) if sample_rate else (), sample_rate=sample_rate,
        audio_frames=25 if sample_rate else 0, hop_length=160 if sample_rate else 0,
    )  # fmt: skip


@pytest.mark.parametrize("sample_rate", [0, 8000])
def test_windows_to_encode_are_parts_of_the_clips_that_training_draws_from(entries, sample_rate):
    source = FileSource(format_of(sample_rate), entries, windows=2, description={})
    reader = ClipReader(8.0, sample_rate or None, needs_sound=False)
    files = WindowReader(reader, entries, Probes(entries), cache_bytes=2**20)
    for index in range(len(entries)):
        reading, drawn = source[index], files.read(index, 16, 16, NUM_FRAMES)
        if isinstance(drawn, str):
            assert reading.problem == drawn and not reading.clips
            continue
        whole = reader.read(entries[index], 16, 16)
        assert len(reading.clips) == 2
        for number, clip in enumerate(reading.clips):
            window = whole.window(number * NUM_FRAMES, NUM_FRAMES)
            assert torch.equal(clip.frames, window.frames)
            assert (clip.waveform is None) == (window.waveform is None)
            if clip.waveform is not None and number == 0:  # the last samples depend on what follows them
                assert torch.equal(clip.waveform, drawn.waveform)
                assert torch.equal(clip.waveform, window.waveform)


def test_sound_is_demanded_or_not(entries):
    silent = entries[1]
    demanded = ClipReader(8.0, 8000, needs_sound=True).read(silent, 16, 16)
    assert isinstance(demanded, str) and demanded.endswith("it has no sound, and sample_rate asks for it")
    allowed = ClipReader(8.0, 8000, needs_sound=False).read(silent, 16, 16)
    assert isinstance(allowed, Clip) and allowed.waveform is None


def test_where_selects_nothing_from_the_embedded_corpus():
    with pytest.raises(ValueError, match="the embedded corpus has none"):
        open_source(format_of(0), "synthetic", where={"a": "b"}, count=1)
    with pytest.raises(ValueError, match="needs a number of clips; got 0"):
        open_source(format_of(0), "synthetic")


def shown(clip: Clip) -> list[int]:
    """The numbers of frames: the bits of each are its eight horizontal stripes."""
    stripes = clip.frames.float().mean((2, 3)).unflatten(1, (8, -1)).mean(2) > 127
    return (stripes.int() * 2 ** torch.arange(8)).sum(1).tolist()


def numbered_film(path, num_frames: int = 100, fps: float = 8.0) -> Entry:
    bits = torch.arange(num_frames)[:, None] // 2 ** torch.arange(8) % 2 * 255
    frames = bits.to(torch.uint8).repeat_interleave(4, 1)[:, :, None, None].expand(-1, -1, 32, 3)
    Clip(frames.contiguous(), fps).save(path)
    return Entry(path)


def windows_of(entries: list[Entry], probes: Probes | None = None, fps: float = 8.0) -> WindowReader:
    return WindowReader(ClipReader(fps, None, needs_sound=False), entries, probes or Probes(entries), 2**20)


def test_of_a_long_film_only_the_window_is_read_and_no_sound(tmp_path, monkeypatch):
    asked = []

    def noted(media, **settings):
        asked.append(settings)
        return read_clip(media, **settings)

    monkeypatch.setattr("videolm.data.loading.clip_reader.read_clip", noted)
    files = windows_of([numbered_film(tmp_path / "film.mp4")])
    for place, first in ((0.0, 0), (0.5, 46), (0.999, 91)):
        assert shown(files.read(0, 16, 16, 9, place)) == list(range(first, first + 9))
        assert asked[-1]["num_frames"] == 9 and asked[-1]["start"] == first / 8 and not asked[-1]["sound"]
    assert len(asked) == 3 and not files.cache


def test_a_short_film_is_read_once_and_cut_from_memory(tmp_path):
    files = windows_of([numbered_film(tmp_path / "film.mp4", num_frames=40)])
    assert shown(files.read(0, 16, 16, 9, 0.5)) == list(range(16, 25))
    (tmp_path / "film.mp4").unlink()
    assert shown(files.read(0, 16, 16, 9, 0.999)) == list(range(31, 40))
    entries = [numbered_film(tmp_path / "film.mp4", num_frames=40)]
    uncached = WindowReader(files.reader, entries, files.probes, cache_bytes=0)
    assert torch.equal(uncached.read(0, 16, 16, 9, 0.3).frames, files.read(0, 16, 16, 9, 0.3).frames)


class Overstated(Probes):
    """Headers that say four times the length."""

    def __getitem__(self, index):
        info = super().__getitem__(index)
        return replace(info, seconds=4 * info.seconds, num_frames=4 * info.num_frames)


def test_a_film_shorter_than_its_header_says_gives_the_same_windows_whatever_was_read_before(tmp_path):
    entries = [numbered_film(tmp_path / "film.mp4")]
    places = [0.0, 0.2, 0.5, 0.9, 0.999]
    fresh = [shown(windows_of(entries, Overstated(entries)).read(0, 16, 16, 9, place)) for place in places]
    files = windows_of(entries, Overstated(entries))
    assert [shown(files.read(0, 16, 16, 9, place)) for place in reversed(places)] == fresh[::-1]
    assert all(numbers == list(range(numbers[0], numbers[0] + 9)) for numbers in fresh)


def test_a_film_of_more_than_half_an_hour_is_drawn_from(tmp_path):
    files = windows_of([numbered_film(tmp_path / "film.mp4", num_frames=1900, fps=1.0)], fps=1.0)
    assert files.read(0, 16, 16, 9, 0.9999).num_frames == 9


@pytest.mark.long
def test_a_part_of_a_film_is_drawn_from_within_its_bounds(tmp_path):
    film = numbered_film(tmp_path / "film.mp4")
    files = windows_of([replace(film, start=1.0, end=11.0)])
    starts = {shown(files.read(0, 16, 16, 9, place / 100))[0] for place in range(100)}
    assert min(starts) == 8 and max(starts) == 79
    too_short = windows_of([replace(film, start=1.0, end=2.0)]).read(0, 16, 16, 9, 0.5)
    assert "8 frames at 8 fps; expected at least 9" in too_short


@pytest.mark.parametrize("windows", [None, 5])
def test_a_long_film_is_read_in_pieces_that_give_all_of_its_windows_once(tmp_path, monkeypatch, windows):
    monkeypatch.setattr("videolm.data.loading.clip_sources._MOST_WINDOWS", 2)
    source = FileSource(format_of(0), [numbered_film(tmp_path / "film.mp4", 98)], windows, {})
    readings = [source[number] for number in range(len(source))]
    numbers = [number for reading in readings for clip in reading.clips for number in shown(clip)]
    count = windows or 24
    assert numbers == list(range(4 * count)) and all(len(reading.clips) <= 2 for reading in readings)
    assert [reading.first for reading in readings] == list(range(0, count, 2))
    footage = sum((reading.footage for reading in readings), Footage())
    assert footage == Footage(1, count, 98 / 8, count / 2, 0.25 if windows is None else 0.0)


def test_pieces_beyond_the_end_of_a_film_are_empty_and_no_problem(tmp_path, monkeypatch):
    monkeypatch.setattr("videolm.data.loading.clip_sources._MOST_WINDOWS", 2)
    entries = [numbered_film(tmp_path / "film.mp4")]
    source = FileSource(format_of(0), entries, None, {}, Overstated(entries))
    readings = [source[number] for number in range(len(source))]
    assert sum(len(reading.clips) for reading in readings) == 25 and len(readings) == 50
    assert not any(reading.problem for reading in readings)


def guarded(entries: list[Entry], limit: float = 60.0) -> WindowReader:
    reader = GuardedReader(8.0, None, needs_sound=False, limit=limit)
    return WindowReader(reader, entries, Probes(entries, probe=reader.probe), 2**20)


def test_a_guarded_reader_gives_the_same_windows_and_reasons(tmp_path):
    short = numbered_film(tmp_path / "short.mp4", num_frames=4)
    entries = [numbered_film(tmp_path / "film.mp4"), short, Entry(tmp_path / "none.mp4")]
    own, apart = windows_of(entries), guarded(entries)
    for index, place in ((0, 0.0), (0, 0.7), (1, 0.0), (2, 0.0)):
        one, other = (files.read(index, 16, 16, 9, place) for files in (own, apart))
        if isinstance(one, Clip):
            assert isinstance(other, Clip) and torch.equal(one.frames, other.frames)
        else:
            assert one == other


@pytest.mark.long
def test_a_file_that_hangs_or_crashes_costs_itself_once(tmp_path):
    hanging = Entry(tmp_path / "hangs.mp4", load=partial(time.sleep, 1000))
    crashing = Entry(tmp_path / "crashes.mp4", load=partial(signal.raise_signal, signal.SIGSEGV))
    files = guarded([hanging, crashing, numbered_film(tmp_path / "film.mp4")], limit=2.0)
    assert "hangs.mp4: given up after 2 s" in files.read(0, 16, 16, 9)
    assert "crashes.mp4: its reader died (signal 11)" in files.read(1, 16, 16, 9)
    assert shown(files.read(2, 16, 16, 9)) == list(range(9))
    start = time.monotonic()
    assert "given up" in files.read(0, 16, 16, 9) and time.monotonic() - start < 1  # not tried again
