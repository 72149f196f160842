"""What is measured of long videos over time."""

import torch

from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.scene_sampling import SceneDistribution
from videolm.generation.long_video.drift import ReadCorrectly, read_correctly, rounds, rounds_at, windows
from videolm.generation.long_video.script import Segment


def test_words_are_right_until_the_clip_loses_what_it_shows():
    scenes = SceneDistribution(textured=0.0, camera=0.0)
    corpus = Corpus(height=48, width=48, num_frames=18, scenes=scenes, split="all")
    indices = [index for index in range(40) if corpus.scene(index).motion in ("spin", "bounce")][:4]
    scenes = [corpus.scene(index) for index in indices]
    first, second = zip(*(windows(corpus[index], 9) for index in indices), strict=True)
    assert all(each.num_frames == 9 for each in (*first, *second))
    assert read_correctly(first, scenes) == ReadCorrectly(1.0, 1.0)
    for clip in second:
        clip.frames[:] = clip.frames[..., [1, 2, 0]]
    assert read_correctly(second, scenes).colour < 0.5


def test_rounds_go_on_from_what_the_last_one_decoded(model, clip):
    again = rounds(model, clip, 2)
    assert torch.equal(again[0].frames, clip.frames) and len(again) == 3
    last = model.decode({"visual": model.encode(again[1])["visual"]})
    assert torch.equal(again[2].frames, last.frames)


def test_a_frame_has_been_decoded_once_for_every_segment_until_its_own():
    made = [Segment(0, 0, None, 0), Segment(1, 9, None, 5), Segment(2, 13, None, 5)]
    assert [rounds_at(made, frame) for frame in (0, 8, 9, 12, 13, 16)] == [1, 1, 2, 2, 3, 3]
    continued = [Segment(0, 9, None, 5), Segment(1, 13, None, 5)]
    assert [rounds_at(continued, frame) for frame in (8, 9, 13)] == [0, 1, 2]
