"""Examples of episodes: windows that begin at any latent, and clips shorter than a window."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_world import LevelCodec, world_format, write_episodes

from videolm.data.codes.shards import ShardReader
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.layout import Layout
from videolm.tasks.spans import Lengths
from videolm.tasks.task import load_task
from videolm.tasks.training_data.clip_pools import Pools
from videolm.tasks.training_data.coded_clips import SizedClips
from videolm.tasks.training_data.examples import ExampleMaker, TrainingExamples
from videolm.tasks.training_data.mixture import Draw, Mixture
from videolm.tasks.training_data.windows import drawn_begin, from_latent

WORLD = load_task("world")
WINDOW = 5


def examples_of(folder, stride=1, **more) -> tuple[TrainingExamples, SizedClips]:
    clips = world_format(stride, WINDOW)
    sized = SizedClips([ShardReader(write_episodes(folder, clips, [20, 3, 5, 9]))])
    mixture = Mixture({"world": 1.0, "frame_prediction": 1.0}, [WINDOW], seed=0, **more)
    vocabulary = Vocabulary.of_sizes(visual=clips.factors, audio=()).extended(clips.action_space.blocks)
    maker = ExampleMaker(vocabulary, None, [Lengths.of_format(clips, "level")], 64)
    return TrainingExamples(maker, mixture, sized, Pools(sized, np.arange(4), mixture)), sized


def unpacked(examples: TrainingExamples, example, task=WORLD):
    """The parts of an example, whose number of latents follows from its length."""
    maker = examples.maker
    for latents in range(2, WINDOW + 1):
        lengths = replace(maker.lengths[0].of_latents(latents), given=1)
        layout = Layout.of(task, maker.vocabulary, lengths)
        if len(layout) == len(example):
            return layout.unpack(example.ids)
    raise AssertionError("an example of no known length")


@pytest.mark.parametrize("stride", [1, 4])
def test_a_window_is_a_piece_of_its_episode_with_its_own_actions_and_outcomes(tmp_path, stride):
    examples, _ = examples_of(tmp_path, stride)
    codec, begins, lengths = LevelCodec(stride), Counter(), Counter()
    for number in range(200):
        example = examples.example(examples.mixture.draw_given(WORLD, 0, 0, number), 0, number)
        parts = unpacked(examples, example)
        begins_with_first = bool((parts["visual"][0] < 4).all()) and int(parts["visual"][0, 0, 0]) == 3
        levels = codec.levels_of(parts["visual"][None], has_first=begins_with_first)[0]
        # The frame after an action shows it, whatever latent the window begins at.
        assert torch.equal(levels[-parts["actions"].shape[1] :, 0, 0], parts["actions"][0])
        assert torch.equal(parts["outcome"] // 2, (parts["actions"][0] == 2) + 1)
        begins[begins_with_first] += 1
        lengths[len(parts["visual"])] += 1
        assert example.coordinates[example.prefix_length + 1, 0] == 0
    assert lengths.keys() == {3, 5} and min(begins.values()) > 20


def test_examples_are_a_function_of_their_number(tmp_path):
    (one, _), (other, _) = examples_of(tmp_path / "a"), examples_of(tmp_path / "b")
    for number in (7, 3, 40):
        drawn = [each.example(Draw(WORLD, 1), 5, number) for each in (one, other)]
        assert torch.equal(drawn[0].ids, drawn[1].ids)


def test_one_latent_is_given_unless_there_is_noise_on_given_ones(tmp_path):
    examples, _ = examples_of(tmp_path / "a")
    assert {draw.given for draw in examples.mixture.draws_of(WORLD, 0)} == {1}
    noisy, _ = examples_of(tmp_path / "b", given_noise=0.2)
    assert {draw.given for draw in noisy.mixture.draws_of(WORLD, 0)} == {1, 2, 3, 4}
    for number in range(60):  # also of the episode of 3 latents
        example = noisy.example(Draw(WORLD, 4), 0, number)
        assert example.weight.sum() > 0


def test_every_latent_of_an_episode_is_seen_about_as_often():
    random, seen = np.random.default_rng(0), np.zeros(20)
    for _ in range(4000):
        begin = drawn_begin(20, 5, random)
        seen[begin : begin + 5] += 1
    assert seen.min() > 0.75 * seen[5:-5].mean() and seen[[0, -1]].min() > 0.75 * seen[5:-5].mean()
    assert drawn_begin(5, 5, random) == drawn_begin(3, 5, random) == 0


def test_plain_prediction_learns_from_the_same_clips(tmp_path):
    examples, _ = examples_of(tmp_path)
    task = load_task("frame_prediction")
    example = examples.example(Draw(task, 1), 0, 1)
    assert unpacked(examples, example, task).keys() == {"visual"}


def test_a_window_of_sound_begins_with_its_latent():
    clips = replace(
        world_format(4, WINDOW), codebook_sizes=(16,), audio_frames=10, sample_rate=80, hop_length=20,
        audio_tokenizer="a", actions={},
    )  # fmt: skip
    lengths = Lengths.of_format(replace(clips, audio_frames=clips.audio_ends[-1]), "level")
    sound = torch.arange(replace(clips, grid=(9, 1, 2)).audio_ends[-1])[None]
    codes = {"visual": torch.arange(9)[:, None, None].expand(9, 1, 2), "audio": sound}
    window = from_latent(codes, lengths, 3)
    assert window["visual"][0, 0, 0] == 3
    assert window["audio"][0, 0] == round(3 / lengths.audio_step)
    assert window["audio"].shape[1] >= lengths.of_latents(6).audio_frames

