"""Training and encoding read the same clips, for they have one reader."""

import pytest
import torch

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.loading.clip_reader import ClipReader, WindowReader
from videolm.data.loading.clip_sources import FileSource, open_source
from videolm.data.loading.probes import Probes
from videolm.data.media.clip import Clip
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
