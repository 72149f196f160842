"""The embedded corpus: pure, endless, honest about what it holds out, and true to its own motion."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

from videolm.data.media.timing import audio_samples
from videolm.data.synthetic.caption_grammar import NUM_PHRASINGS, caption_of, written_caption
from videolm.data.synthetic.corpus import CORPORA, Corpus, corpus_scenes
from videolm.data.synthetic.rendering import DEPTHS, PERIODS, object_placement, phases
from videolm.data.synthetic.scene import (
    COLOURS,
    HELD_OUT_PAIRS,
    MOTIONS,
    PITCHES,
    SHAPES,
    SPLITS,
    TEXTURES,
    combinations,
    is_held_out,
    split_of,
)
from videolm.data.synthetic.scene_sampling import SceneDistribution
from videolm.data.synthetic.sonification import click_times, render_sound

BUSY = {"scenes": SceneDistribution(textured=0.8, camera=0.6, two_objects=0.3), "split": "all"}


def first_scene(corpus, **wanted):
    """The first scene with these attributes, and its index."""
    for index in range(3000):
        scene = corpus.scene(index)
        if all(getattr(scene, name) == value for name, value in wanted.items()):
            return scene, index
    raise AssertionError(f"no scene with {wanted}")


def test_a_clip_is_a_pure_function_of_settings_and_index():
    clip, again = Corpus(seed=3, **BUSY)[17], Corpus(seed=3, **BUSY)[17]
    assert torch.equal(clip.frames, again.frames)
    assert torch.equal(clip.waveform, again.waveform)
    assert clip.caption == again.caption


def test_other_seeds_and_indices_show_other_clips():
    scenes = [Corpus(seed=seed).scene(index) for seed in range(2) for index in range(20)]
    assert len(set(scenes)) == len(scenes)


@pytest.mark.parametrize(
    ("height", "width", "num_frames", "fps", "sample_rate"),
    [(32, 32, 5, 8.0, 16000), (128, 128, 9, 8.0, 24000), (48, 80, 1, 8.0, 16000), (64, 40, 41, 29.97, 8000)],
)
def test_clips_have_the_asked_size_and_sound_lasts_as_long(height, width, num_frames, fps, sample_rate):
    corpus = Corpus(
        height=height, width=width, num_frames=num_frames, fps=fps, sample_rate=sample_rate, **BUSY
    )
    for index in range(8):
        clip = corpus[index]
        assert clip.frames.shape == (num_frames, height, width, 3)
        assert clip.waveform.shape == (1, audio_samples(num_frames, fps, sample_rate))
        assert clip.waveform.abs().max() <= 1


def test_a_corpus_without_sound_is_silent():
    assert Corpus(sample_rate=None)[0].waveform is None


def test_objects_are_large_and_stay_nearly_whole_in_view():
    corpus = Corpus(scenes=replace(BUSY["scenes"], two_objects=0.0), split="all")
    for index in range(60):
        scene = corpus.scene(index)
        share = (corpus.depth(scene) == DEPTHS["object"]).float().mean((1, 2))
        assert share.min() > 0.03
        assert share.max() < 0.45


def test_held_out_combinations_leave_every_pair_in_training():
    training = combinations("train")
    for first, second in itertools.combinations(range(3), 2):
        possible = {(row[first], row[second]) for row in combinations("all")}
        missing = possible - {(row[first], row[second]) for row in training}
        assert missing == (set(HELD_OUT_PAIRS) if (first, second) == (0, 1) else set())
    assert {row[0] for row in training} == set(COLOURS)
    assert {row[1] for row in training} == set(SHAPES)
    assert {row[2] for row in training} == set(MOTIONS)


def test_splits_partition_all_combinations_and_hold_out_about_a_tenth():
    parts = [set(combinations(split)) for split in ("train", "triples", "pairs")]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(combinations("all"))
    assert 0.07 < len(parts[1]) / len(combinations("all")) < 0.13
    assert ("circle", "spin") not in {row[1:] for row in combinations("all")}


@pytest.mark.parametrize("split", ["train", "triples", "pairs"])
def test_a_split_shows_only_its_own_combinations(split):
    corpus = Corpus(split=split, scenes=SceneDistribution(two_objects=0.5))
    for index in range(200):
        scene = corpus.scene(index)
        assert split_of(scene.colour, scene.shape, scene.motion) == split
        assert is_held_out(scene) == (split != "train")
        if scene.bystander is not None:
            assert (scene.bystander.colour, scene.bystander.shape) not in HELD_OUT_PAIRS


def test_training_visits_every_combination():
    corpus = Corpus()
    seen = {(s.colour, s.shape, s.motion) for s in map(corpus.scene, range(3500))}
    assert seen == set(combinations("train"))


def test_the_camera_moves_only_over_a_texture_and_is_then_told():
    corpus = Corpus(**BUSY)
    for scene in map(corpus.scene, range(300)):
        assert scene.camera == "still" or scene.background.texture != "plain"
        for phrasing in range(NUM_PHRASINGS):
            assert ("camera" in caption_of(scene, phrasing)) == (scene.camera != "still")


def test_the_plain_corpus_has_one_background_and_a_still_camera():
    whole, plain = (Corpus(scenes=corpus_scenes(name)) for name in ("synthetic", "synthetic-plain"))
    shown = {(plain.scene(index).background, plain.scene(index).camera) for index in range(100)}
    assert {(background.texture, camera) for background, camera in shown} == {("plain", "still")}
    assert len({background.base for background, _ in shown}) == 1
    assert len({whole.scene(index).background.texture for index in range(100)}) == 5
    assert len({whole.scene(index).background.base for index in range(100)}) == 100
    with pytest.raises(ValueError, match=f"no embedded corpus 'odd'; there is {', '.join(CORPORA)}"):
        corpus_scenes("odd")


def test_clips_without_motions_under_way_stay_what_they_were():
    """Values of the first version of the corpus."""
    corpus = Corpus(split="all", scenes=SceneDistribution(two_objects=0.5), seed=5)
    recorded = {
        2: ("spin", 0.2242555688, -0.0921199139, -2.0542464369, 0.5309483184, 11, 47.22564),
        3: ("bounce", 0.2092332740, 0.0, 0.4986129213, 0.5475329232, 12, 58.36555),
        23: ("bounce", 0.2146163407, 0.0, 0.4504980540, 0.5963652702, 8, 65.41393),
        34: ("spin", 0.2263325532, 0.0737587621, 1.7469246799, 0.4308008989, 11, 54.49625),
    }
    for index, (motion, *values) in recorded.items():
        scene, clip = corpus.scene(index), corpus[index]
        seen = [scene.radius, scene.angle, scene.amount, scene.impact, scene.phrasing]
        seen += [clip.frames.double().mean().item()]
        assert (scene.motion, scene.fall) == (motion, None)
        assert seen == pytest.approx(values, rel=1e-6)


@pytest.fixture(scope="module")
def under_way():
    """Scenes of which spins and bounces are under way, and the same as they are from their start."""
    scenes = [SceneDistribution(camera=0.0, underway=share) for share in (1.0, 0.0)]
    corpora = [Corpus(split="all", scenes=each) for each in scenes]
    pairs = [(corpora[0].scene(index), corpora[1].scene(index)) for index in range(800)]
    return {motion: [pair for pair in pairs if pair[0].motion == motion] for motion in MOTIONS}


def test_only_spins_and_bounces_are_under_way_as_many_as_asked(under_way):
    for motion, pairs in under_way.items():
        assert all((scene == other) == (motion not in ("spin", "bounce")) for scene, other in pairs)
    half, none = Corpus(scenes=SceneDistribution(underway=0.5)), Corpus()
    changed = [
        half.scene(index) != none.scene(index)
        for index in range(800)
        if none.scene(index).motion in ("spin", "bounce")
    ]
    assert 0.4 < sum(changed) / len(changed) < 0.6


def test_a_spin_under_way_begins_at_any_angle_and_turns_as_fast(under_way):
    turns = [scene.angle / PERIODS[scene.shape] for scene, _ in under_way["spin"]]
    assert 0 <= min(turns) < 0.1 < 0.9 < max(turns) < 1
    assert all(scene.amount == other.amount for scene, other in under_way["spin"])


def test_a_bounce_under_way_is_arcs_of_the_usual_gravity_between_its_impacts(under_way):
    counts, firsts = set(), []
    for scene, other in under_way["bounce"]:
        gravity = scene.amount / scene.fall**2
        assert gravity == pytest.approx(other.amount / other.impact**2)
        assert 0.6 <= scene.amount / other.amount <= 1
        assert 0 <= scene.impact < min(2 * scene.fall, 1)
        arcs = np.linspace(0, 1, 201)
        heights = scene.position[1] - object_placement(scene, arcs).centre[:, 1]
        parabola = gravity * (arcs - scene.impact) * (scene.impact + 2 * scene.fall - arcs)
        later = (arcs >= scene.impact) & (arcs <= scene.impact + 2 * scene.fall)
        assert heights[later] == pytest.approx(parabola[later], abs=1e-9)
        again = scene.position[1] - object_placement(scene, arcs + 2 * scene.fall).centre[:, 1]
        assert again == pytest.approx(heights, abs=1e-9)
        floor = arcs[np.flatnonzero(np.diff(np.sign(np.diff(heights))) > 0) + 1]
        inner = [impact for impact in scene.impacts if 0.005 < impact < 0.995]
        assert floor == pytest.approx(inner, abs=0.006)
        counts.add(len(scene.impacts))
        firsts.append(scene.impact)
    assert counts == {1, 2}
    assert min(firsts) < 0.1 and max(firsts) > 0.85


def test_every_impact_of_a_bounce_under_way_clicks(under_way):
    scenes = [scene for scene, _ in under_way["bounce"]]
    for count in (1, 2):
        scene = next(scene for scene in scenes if len(scene.impacts) == count)
        bright = np.abs(np.diff(render_sound(scene, 9, 8.0, 16000)[0].numpy(), 3))
        loud = np.flatnonzero(bright > 0.5) / 16000
        starts = loud[np.diff(loud, prepend=-1) > 0.1]
        assert starts == pytest.approx(click_times(scene, 9, 8.0), abs=0.005)


def test_the_lasting_corpus_is_the_plain_one_with_more_spins_and_bounces_and_some_of_them_under_way():
    plain, lasting = (corpus_scenes(f"synthetic-{name}") for name in ("plain", "lasting"))
    assert lasting == replace(plain, lasting=0.5, underway=0.5)
    corpus = Corpus(scenes=lasting)
    bounces = [scene for scene in map(corpus.scene, range(200)) if scene.motion == "bounce"]
    assert {scene.fall is None for scene in bounces} == {True, False}


@pytest.mark.parametrize("split", SPLITS)
def test_as_many_clips_spin_or_bounce_as_asked_and_all_motions_come(split):
    corpus = Corpus(scenes=SceneDistribution(lasting=0.75), split=split)
    scenes = [corpus.scene(index) for index in range(2000)]
    assert sum(scene.motion in ("spin", "bounce") for scene in scenes) / 2000 == pytest.approx(0.75, abs=0.03)
    shown = {(scene.colour, scene.shape, scene.motion) for scene in scenes}
    assert shown <= set(corpus.combinations)
    assert {motion for _, _, motion in shown} == set(MOTIONS)


def test_a_smaller_spread_keeps_places_sizes_and_speeds_nearer_to_their_middles():
    def spread_of(spread: float, name: str) -> float:
        corpus = Corpus(scenes=SceneDistribution(spread=spread))
        scenes = [scene for scene in map(corpus.scene, range(400)) if scene.motion == "left"]
        return max(getattr(scene, name) for scene in scenes) - min(getattr(scene, name) for scene in scenes)

    for name in ("radius", "angle", "amount", "impact"):
        assert spread_of(0.4, name) == pytest.approx(0.4 * spread_of(1.0, name))
    corpus = Corpus(scenes=SceneDistribution(spread=0))
    places = {corpus.scene(index).position for index in range(400)}
    assert len(places) == 1 + len(SHAPES)  # where a bounce ends depends on the shape


def test_captions_name_what_is_seen_in_several_lower_case_phrasings():
    corpus = Corpus(**BUSY)
    scene, _ = first_scene(corpus, motion="right", camera="zoom in")
    captions = {caption_of(scene, phrasing) for phrasing in range(NUM_PHRASINGS)}
    assert len(captions) >= 8
    for caption in captions:
        assert scene.colour in caption
        assert scene.shape in caption
        assert caption == caption.lower()
    plain, _ = first_scene(Corpus(), colour="orange", shape="square", motion="grow", camera="still")
    assert caption_of(plain) == "an orange square grows"


def test_flow_brings_every_frame_from_the_one_before():
    corpus = Corpus(**BUSY)
    for index in range(12):
        scene, frames = corpus.scene(index), corpus[index].frames.float()
        flow, depth = corpus.flow(scene), corpus.depth(scene)
        assert flow[0].abs().max() == 0
        predicted, visible = warp(frames[:-1], flow[1:]), warp(depth[:-1, ..., None], flow[1:])[..., 0]
        # Away from edges and from what has just appeared, only interpolation remains as an error.
        same = ((visible - depth[1:]).abs() < 1e-4).float()
        inside = -max_pool2d(-same[:, None], 5, 1, 2)[:, 0] * flat(depth[1:])
        error = (predicted - frames[1:]).abs().mean(-1)[inside > 0]
        assert inside.mean() > 0.4
        assert error.quantile(0.99) < 2


def test_flow_of_a_still_scene_is_the_motion_of_the_object_in_pixels():
    corpus = Corpus(scenes=SceneDistribution(textured=0.0))
    scene, _ = first_scene(corpus, motion="right")
    flow, depth = corpus.flow(scene), corpus.depth(scene)
    on_object = depth[1:] == DEPTHS["object"]
    step = scene.amount * corpus.height / (corpus.num_frames - 1)
    torch.testing.assert_close(flow[1:, 0][on_object], torch.full((int(on_object.sum()),), step))
    assert flow[1:, 1].abs().max() < 1e-4
    assert flow[1:, 0][~on_object].abs().max() < 1e-4


def flat(depth):
    """1 where all pixels around have the same depth."""
    return (max_pool2d(depth[:, None], 5, 1, 2) == -max_pool2d(-depth[:, None], 5, 1, 2)).float()[:, 0]


def warp(pictures, flow):
    """Each picture seen at p - flow."""
    _, height, width, _ = pictures.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = (columns - flow[:, 0] + 0.5) * 2 / width - 1
    y = (rows - flow[:, 1] + 0.5) * 2 / height - 1
    moved = torch.nn.functional.grid_sample(
        pictures.permute(0, 3, 1, 2), torch.stack([x, y], dim=-1), align_corners=False
    )
    return moved.permute(0, 2, 3, 1)


def test_the_note_is_the_pitch_of_the_colour():
    corpus = Corpus(split="all")
    for index in range(10):
        scene, clip = corpus.scene(index), corpus[index]
        power = torch.fft.rfft(clip.waveform[0]).abs()
        loudest = power.argmax() * clip.sample_rate / clip.waveform.shape[1]
        assert abs(loudest / PITCHES[scene.pitch] - 1) < 0.01


@pytest.mark.parametrize(("motion", "louder"), [("grow", 1), ("shrink", 0), ("right", 1), ("left", 0)])
def test_loudness_follows_the_motion(motion, louder):
    corpus = Corpus()
    halves = corpus[first_scene(corpus, motion=motion)[1]].waveform[0].tensor_split(2)
    assert halves[louder].std() > 1.1 * halves[1 - louder].std()


def test_a_bounce_clicks_when_the_object_is_lowest():
    corpus = Corpus(scenes=SceneDistribution(textured=0.0), num_frames=41)
    scene, index = first_scene(corpus, motion="bounce")
    waveform = corpus[index].waveform[0]
    loudest = waveform.abs().argmax() / corpus.sample_rate
    assert abs(loudest - click_times(scene, 41, corpus.fps)[0]) < 0.01
    heights = (corpus.depth(scene) == DEPTHS["object"]).float().argmax(1).float().mean(1)
    assert abs(phases(41)[heights.argmax()] - scene.impact) < 0.05


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"split": "test"}, "split is 'test'"),
        ({"num_frames": 0}, "num_frames is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_settings_are_named(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Corpus(**settings)


@pytest.mark.parametrize(("name", "share"), [("textured", 1.5), ("underway", -0.5), ("lasting", 2.0)])
def test_shares_outside_zero_and_one_are_named(name, share):
    with pytest.raises(ValueError, match=f"{name} is {share}; expected a share from 0 to 1"):
        SceneDistribution(**{name: share})


def test_there_is_no_last_clip():
    with pytest.raises(IndexError, match="endless"):
        Corpus()[-1]


def test_written_captions_tell_the_same_in_many_forms():
    scenes = SceneDistribution(two_objects=0.5)
    corpus, captions = Corpus(height=16, width=16, num_frames=2, scenes=scenes, split="all"), {}
    for index in range(150):
        scene = corpus.scene(index)
        plain, *written = corpus.captions(index)
        assert plain == corpus[index].caption == caption_of(scene, scene.phrasing)
        assert (plain, *written) == corpus.captions(index) and len(written) == 2
        for caption in written:
            text = caption.casefold()
            other = scene.bystander
            for word in (scene.colour, scene.shape, *((other.colour, other.shape) if other else ())):
                assert word in text, caption
            assert ("camera" in text) == (scene.camera != "still")
            assert not any(each in text for each in (*TEXTURES, "plain") if each != scene.background.texture)
        captions |= dict.fromkeys(written)
    assert len(captions) > 285
    forms = [written_caption(scene, form) for form in range(9)]
    assert forms == [written_caption(scene, form) for form in range(9)]
    first = [caption.casefold().strip("\"'“«") for caption in captions]
    for order in ("moving", "there is", "make", "video:", "a video of"):
        assert any(caption.startswith(order) for caption in first), order
