from collections import Counter

import pytest
import torch

from videolm.data.sources.caption_variation import FORMS
from videolm.tasks.task import load_task
from videolm.tasks.training_data.mixture import Mixture

WEIGHTS = {"text_to_video": 3.0, "frame_prediction": 1.0}
DRAWS = 4000
TEXT_TO_VIDEO = load_task("text_to_video")


def test_tasks_are_drawn_by_their_weights():
    mixture = Mixture(WEIGHTS, latents=(3,), seed=0)
    counts = Counter(mixture.draw(step).task.name for step in range(DRAWS))
    assert counts["text_to_video"] / DRAWS == pytest.approx(0.75, abs=0.03)
    assert counts["frame_prediction"] / DRAWS == pytest.approx(0.25, abs=0.03)


def test_given_latents_are_drawn_from_one_to_all_but_one():
    mixture = Mixture({"frame_prediction": 1.0}, latents=(4,), seed=0)
    counts = Counter(mixture.draw(step).given for step in range(DRAWS))
    assert counts.keys() == {1, 2, 3}
    assert min(counts.values()) / DRAWS == pytest.approx(1 / 3, abs=0.04)
    assert Mixture({"text_to_video": 1.0}, latents=(4,), seed=0).draw(0).given is None


@pytest.mark.parametrize(("task", "dropped"), [("text_to_video", 0.1), ("frame_prediction", 0.5)])
def test_a_tenth_of_the_rows_learn_without_their_text_and_half_where_it_is_optional(task, dropped):
    mixture, task = Mixture(WEIGHTS, latents=(3,), seed=0), load_task(task)
    captions = [
        mixture.caption(task, step, row, ("a", "b")) for step in range(DRAWS // 4) for row in range(4)
    ]
    counts = Counter(captions)
    assert counts[None] / DRAWS == pytest.approx(dropped, abs=0.02)
    assert counts["a"] / DRAWS == pytest.approx((1 - dropped) / 2, abs=0.03)
    assert mixture.caption(task, 0, 0, ()) is None


def test_rows_show_long_captions_by_their_share_where_there_are_both():
    for share in (0.0, 0.95, 1.0):
        mixture = Mixture(WEIGHTS, latents=(3,), seed=0, long_captions=share)
        shown = Counter(mixture.caption(TEXT_TO_VIDEO, 0, row, ("a", "b"), "long") for row in range(DRAWS))
        texts = DRAWS - shown[None]
        assert shown["long"] / texts == pytest.approx(share, abs=0.015)
        assert shown["a"] / texts == pytest.approx((1 - share) / 2, abs=0.015)
        alone = [mixture.caption(TEXT_TO_VIDEO, 0, row, (), "long") for row in range(200)]
        assert set(alone) == {"long", None}
    with pytest.raises(ValueError, match=r"long_captions is 1\.5; expected a share"):
        Mixture(WEIGHTS, latents=(3,), seed=0, long_captions=1.5)


def test_long_captions_of_others_change_nothing_for_clips_without():
    mixtures = [Mixture(WEIGHTS, latents=(3,), seed=0, long_captions=share) for share in (0.1, 0.9)]
    one, other = ([m.caption(TEXT_TO_VIDEO, 1, row, ("a", "b")) for row in range(100)] for m in mixtures)
    assert one == other
    assert one == [mixtures[0].caption(TEXT_TO_VIDEO, 1, row, ("a", "b"), None) for row in range(100)]
    again = [mixtures[0].caption(TEXT_TO_VIDEO, 1, row, ("a", "b"), "long") for row in range(100)]
    assert [each is None for each in again] == [each is None for each in one]


def test_draws_follow_from_seed_and_step_alone():
    first, again, other = (Mixture(WEIGHTS, latents=(5,), seed=seed) for seed in (7, 7, 8))
    again.draw(100)  # an order of calls that differs changes nothing
    steps = range(200)
    assert [first.draw(step) for step in steps] == [again.draw(step) for step in steps]
    assert [first.draw(step) for step in steps] != [other.draw(step) for step in steps]
    captions = [first.caption(TEXT_TO_VIDEO, 3, row, tuple("abcdefgh")) for row in range(40)]
    assert captions == [again.caption(TEXT_TO_VIDEO, 3, row, tuple("abcdefgh")) for row in range(40)]
    assert captions != [other.caption(TEXT_TO_VIDEO, 3, row, tuple("abcdefgh")) for row in range(40)]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "there are no tasks"),
        ({"text_to_video": 0.0}, "text_to_video has weight 0.0; expected a positive one"),
        ({"text_to_smell": 1.0}, "unknown task 'text_to_smell'; there are"),
    ],
)
def test_mixtures_that_make_no_sense_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        Mixture(weights, latents=(3,), seed=0)


def test_images_cannot_be_continued():
    with pytest.raises(ValueError, match="frame_prediction needs clips of at least 2 latents"):
        Mixture(WEIGHTS, latents=(1,), seed=0)


def test_images_come_first_and_videos_later():
    """Nine of ten draws in the first quarter, one of ten after it; the tasks of a kind keep their weights."""
    mixture = Mixture(WEIGHTS | {"text_to_image": 1.0}, latents=(3,), seed=0, images_first=4 * DRAWS)
    for first, images in ((0, 0.9), (DRAWS, 0.1)):
        counts = Counter(mixture.draw(step).task.name for step in range(first, first + DRAWS))
        assert counts["text_to_image"] / DRAWS == pytest.approx(images, abs=0.02)
        assert counts["text_to_video"] / DRAWS == pytest.approx(0.75 * (1 - images), abs=0.03)
    with pytest.raises(ValueError, match=r"images_first needs tasks that make images, .*got text_to_video"):
        Mixture(WEIGHTS, latents=(3,), seed=0, images_first=100)


def test_rows_of_a_step_draw_each_for_themselves():
    mixture = Mixture(WEIGHTS, latents=(3,), seed=0)
    shown = {mixture.caption(TEXT_TO_VIDEO, 0, row, tuple("abcdefgh")) for row in range(40)}
    assert len(shown) > 6


def test_whether_a_row_keeps_its_text_has_nothing_to_do_with_the_task():
    mixture = Mixture(WEIGHTS, latents=(3,), seed=0)
    steps = [step for step in range(DRAWS) if mixture.draw(step).task.name == "frame_prediction"]
    dropped = sum(mixture.caption(TEXT_TO_VIDEO, step, 0, ("a",)) is None for step in steps)
    assert dropped / len(steps) == pytest.approx(0.1, abs=0.035)


def test_noise_flips_bits_of_given_latents_and_of_nothing_else():
    codes = torch.randint(2**14, (3, 8, 8), generator=torch.Generator().manual_seed(0))
    mixture = Mixture({"frame_prediction": 1.0}, latents=(3,), seed=0, given_noise=0.1)
    shares = []
    for step in range(400):
        draw = mixture.draw(step)
        noisy = mixture.noisy(draw, step, 7, codes, 2**14)
        assert torch.equal(noisy[draw.given :], codes[draw.given :])
        assert noisy.dtype == codes.dtype and noisy.max() < 2**14 and noisy.min() >= 0
        flips = noisy[: draw.given] ^ codes[: draw.given]
        shares.append(sum(int((flips >> bit & 1).sum()) for bit in range(14)) / (14 * flips.numel()))
    assert sum(shares) / len(shares) == pytest.approx(0.05, abs=0.005)  # evenly between none and a tenth
    assert min(shares) < 0.01 and 0.09 < max(shares) < 0.14
    again = [mixture.noisy(mixture.draw(0), 0, row, codes, 2**14) for row in (7, 7, 8)]
    assert torch.equal(again[0], again[1]) and not torch.equal(again[0], again[2])


def test_without_noise_or_given_latents_codes_stay_as_they_are():
    codes = torch.arange(12).reshape(3, 2, 2)
    quiet = Mixture({"frame_prediction": 1.0}, latents=(3,), seed=0)
    assert quiet.noisy(quiet.draw(0), 0, 0, codes, 16) is codes
    noisy = Mixture({"unconditional": 1.0}, latents=(3,), seed=0, given_noise=0.5)
    assert noisy.noisy(noisy.draw(0), 0, 0, codes, 16) is codes
    with pytest.raises(ValueError, match=r"given_noise is 0\.6; expected a share of bits from 0 to 0\.5"):
        Mixture({"unconditional": 1.0}, latents=(3,), seed=0, given_noise=0.6)


def test_the_form_of_a_row_follows_from_seed_step_and_row():
    mixture = Mixture({"text_to_video": 1.0}, (3,), seed=1, caption_variation=0.3)
    draws = [mixture.form(step, row) for step in range(40) for row in range(40)]
    again = Mixture({"text_to_video": 1.0}, (3,), seed=1, caption_variation=0.3)
    assert draws == [again.form(step, row) for step in range(40) for row in range(40)]
    share = sum(form is not None for form in draws) / len(draws)
    assert 0.25 < share < 0.35 and {form for form in draws if form is not None} == set(range(FORMS))
    with pytest.raises(ValueError, match=r"caption_variation is 1\.5; expected a share from 0 to 1"):
        Mixture({"text_to_video": 1.0}, (3,), seed=1, caption_variation=1.5)
