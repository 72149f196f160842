"""`describe` reads rendered clips right, bears a little softness, and is silent about all else."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import conv2d, interpolate, pad

from videolm.data.media.clip import Clip
from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.describing import Description, describe
from videolm.data.synthetic.rendering import render_frames
from videolm.data.synthetic.scene import MOTIONS, SHAPES
from videolm.data.synthetic.scene_sampling import SceneDistribution
from videolm.data.synthetic.sonification import click_times

FIELDS = ("colour", "shape", "motion", "camera", "pitch")
SCENES = SceneDistribution(textured=0.6, camera=0.5, two_objects=0.15)
BUSY = {"scenes": SCENES, "split": "all", "seed": 15}
COUNT = 32


def share_right(corpus, change=lambda clip: clip, fields=FIELDS):
    """The share of fields that are read right; an abstention counts as wrong."""
    right = 0
    for index in range(COUNT):
        scene, read = corpus.scene(index), describe(change(corpus[index]))
        right += sum(getattr(read, name) == getattr(scene, name) for name in fields)
    return right / COUNT / len(fields)


def blurred(frames, sigma):
    reach = round(3 * sigma)
    kernel = torch.exp(-((torch.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    pictures = pad(frames.permute(0, 3, 1, 2).float(), (reach,) * 4, "replicate")
    pictures = conv2d(conv2d(pictures, kernel, groups=3), kernel.transpose(2, 3), groups=3)
    return pictures.permute(0, 2, 3, 1)


def as_bytes(pictures):
    return pictures.round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("size", [(64, 64), (32, 32), (96, 128)])
def test_rendered_clips_are_read_right(size):
    height, width = size
    assert share_right(Corpus(height=height, width=width, **BUSY)) > 0.99


@pytest.mark.parametrize("settings", [{"num_frames": 17, "fps": 12.0}, {"sample_rate": 24000}])
def test_other_lengths_and_rates_are_read_right(settings):
    assert share_right(Corpus(**settings, **BUSY)) > 0.99


@pytest.mark.parametrize("start", [0, 4])
def test_five_frames_of_a_clip_are_enough(start):
    assert share_right(Corpus(**BUSY), lambda clip: clip.window(start, 5)) > 0.98


def test_soft_and_noisy_clips_are_read_right():
    generator = torch.Generator().manual_seed(0)

    def soften(clip):
        frames = blurred(clip.frames, 1.0) + 8 * torch.randn(clip.frames.shape, generator=generator)
        return replace(clip, frames=as_bytes(frames))

    assert share_right(Corpus(**BUSY), soften) > 0.98


def test_clips_at_a_quarter_of_the_resolution_are_read_right():
    def coarsen(clip):
        small = interpolate(clip.frames.permute(0, 3, 1, 2).float(), size=(16, 16), mode="area")
        return replace(
            clip, frames=as_bytes(interpolate(small, size=(64, 64), mode="bilinear").permute(0, 2, 3, 1))
        )

    assert share_right(Corpus(**BUSY), coarsen) > 0.97


def test_a_picture_shows_colour_and_shape_but_no_motion():
    corpus = Corpus(num_frames=1, **BUSY)
    assert share_right(corpus, fields=("colour", "shape")) > 0.99
    read = describe(corpus[0])
    assert read.motion is None
    assert read.camera is None


def test_clicks_are_heard_at_the_impact_and_nowhere_else():
    corpus = Corpus(**BUSY)
    for index in range(60):
        scene, clip = corpus.scene(index), corpus[index]
        clicks = describe(replace(clip, frames=clip.frames[:1])).clicks
        if scene.motion == "bounce":
            assert clicks == pytest.approx(click_times(scene, corpus.num_frames, corpus.fps), abs=0.02)
        else:
            assert clicks == ()


def test_sound_and_picture_are_read_apart():
    clip = Corpus(**BUSY)[0]
    whole = describe(clip)
    deaf = describe(replace(clip, waveform=None, sample_rate=None))
    blind = describe(replace(clip, frames=torch.zeros_like(clip.frames)))
    assert (deaf.colour, deaf.shape, deaf.motion, deaf.pitch) == (
        whole.colour,
        whole.shape,
        whole.motion,
        None,
    )
    assert (blind.colour, blind.shape, blind.motion, blind.pitch) == (None, None, None, whole.pitch)


def test_noise_and_blank_clips_are_not_described():
    generator = torch.Generator().manual_seed(0)
    for _ in range(COUNT // 4):
        even = torch.randint(0, 256, (9, 64, 64, 3), generator=generator, dtype=torch.uint8)
        coarse = 60 * torch.randn(9, 3, 8, 8, generator=generator) + 100
        smooth = as_bytes(interpolate(coarse, size=(64, 64), mode="bilinear").permute(0, 2, 3, 1))
        blank = torch.randint(0, 256, (3,), generator=generator, dtype=torch.uint8).expand(9, 64, 64, 3)
        hiss = 0.2 * torch.randn(1, 18000, generator=generator)
        for frames in (even, smooth, smooth[:1].expand(9, -1, -1, -1), blank):
            read = describe(Clip(frames, fps=8.0, waveform=hiss, sample_rate=16000))
            assert read == Description(confidence=read.confidence)


def test_strongly_blurred_clips_are_not_described():
    corpus = Corpus(**BUSY)
    for index in range(COUNT):
        clip = corpus[index]
        read = describe(replace(clip, frames=as_bytes(blurred(clip.frames, 0.1 * clip.height))))
        assert (read.colour, read.shape, read.motion, read.camera) == (None,) * 4


def differs(scene, other):
    return scene.shape != other.shape and scene.motion != other.motion


def halves(clip, other, scene, generator):
    return torch.cat([clip.frames[:5], other.frames[5:]])


def blend(clip, other, scene, generator):
    return as_bytes((clip.frames.float() + other.frames.float()) / 2)


def alternation(clip, other, scene, generator):
    return torch.stack([(clip, other)[index % 2].frames[index] for index in range(clip.num_frames)])


def shuffle(clip, other, scene, generator):
    order = torch.arange(9)
    while order.diff().abs().float().mean() < 2:
        order = torch.randperm(9, generator=generator)
    return clip.frames[order]


def morph(clip, other, scene, generator):
    other_shape = SHAPES[(SHAPES.index(scene.shape) + 1 + int(torch.randint(4, (), generator=generator))) % 5]
    changed = render_frames(replace(scene, shape=other_shape), clip.height, clip.width, clip.num_frames)
    share = torch.linspace(0, 1, clip.num_frames)[:, None, None, None]
    return as_bytes(clip.frames * (1 - share) + changed * share)


@pytest.mark.parametrize("mix", [halves, blend, alternation, shuffle, morph])
def test_mixed_clips_have_neither_shape_nor_motion(mix):
    generator = torch.Generator().manual_seed(0)
    corpus = Corpus(**BUSY)
    described = 0
    for index in range(COUNT):
        clip, scene = corpus[index], corpus.scene(index)
        other = next(i for i in range(index, 99) if differs(corpus.scene(i), scene))
        read = describe(replace(clip, frames=mix(clip, corpus[other], scene, generator)))
        described += (read.shape, read.motion) != (None, None)
    assert described / COUNT <= 0.05


def test_a_sound_of_two_notes_has_no_pitch():
    corpus = Corpus(**BUSY)
    low, high = (next(i for i in range(99) if corpus.scene(i).pitch == pitch) for pitch in ("c4", "d5"))
    first, second = corpus[low], corpus[high]
    spliced = torch.cat([first.waveform[:, :9000], second.waveform[:, 9000:]], dim=1)
    assert describe(replace(first, waveform=spliced)).pitch is None


def test_every_motion_is_tested():
    assert {Corpus(**BUSY).scene(index).motion for index in range(COUNT)} == set(MOTIONS)
