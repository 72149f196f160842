"""Rollouts against the slow way: a whole sequence generated at once, and a window begun anew by hand."""

from dataclasses import replace

import pytest
import torch
from tiny_world import SPACE, world_episode, world_model

from videolm.generation.world.context import Context
from videolm.generation.world.rollout import Rollout, RolloutSettings
from videolm.lm.batch import Batch
from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.sampling import DrawSettings, Sampling
from videolm.tasks.layout import Layout

GREEDY = Sampling(temperature=0.0)
WINDOW = 6


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def starts_of(model, latents, count=1):
    episodes = [world_episode(model.clips, 9, seed) for seed in range(count)]
    return [Context.of_episode(each.codes, 2, latents) for each in episodes]


def actions_of(model, rows, latents, seed=5):
    """(latents rows dimensions steps)"""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, (latents, rows, 1, model.clips.temporal_stride), generator=generator)


def at_once(model, context, actions, settings, seed=0):
    """The window that a start and later actions fill, generated in one go."""
    lengths = replace(model.config.lengths, given=context.latents)
    layout = Layout.of(model.config.task("world"), model.vocabulary, lengths)
    known = torch.cat([context.actions, *actions], dim=1)[:, : lengths.steps]
    padded = torch.nn.functional.pad(known, (0, lengths.steps - known.shape[1]))
    prompt = layout.prompt({"visual": context.visual, "actions": padded, "outcome": context.outcome})
    ids = generate(model.lm, Batch.collate([prompt]), settings, generators(seed))
    return layout.unpack(ids[0])


@pytest.mark.parametrize(("stride", "decoding"), [(1, "sequential"), (1, "jacobi"), (4, "jacobi")])
def test_step_by_step_gives_the_codes_of_the_whole_window_at_once(stride, decoding):
    """Actions that come one after the other, the window in one cache; with noise, at temperature 1."""
    model = world_model(stride, WINDOW)
    (start,), actions = starts_of(model, 2), actions_of(model, 1, 4)
    rollout = Rollout(model, [start], generators(3), RolloutSettings(sampling=Sampling(decoding=decoding)))
    made = [rollout.advance(each) for each in actions]
    whole = at_once(model, start, [each[0] for each in actions], DrawSettings(), seed=3)
    assert torch.equal(torch.stack([each.visual[0] for each in made]), whole["visual"][2:])
    assert torch.equal(torch.cat([each.outcome[0] for each in made]), whole["outcome"][stride:])
    assert torch.equal(rollout.contexts[0].visual, whole["visual"])
    assert rollout.is_full


@pytest.mark.parametrize("stride", [1, 4])
def test_a_full_window_goes_on_from_its_last_latents_with_time_at_zero(stride):
    model = world_model(stride, WINDOW)
    (start,), actions = starts_of(model, 1), actions_of(model, 1, 12)
    rollout = Rollout(model, [start], generators(0), RolloutSettings(keep=2, sampling=GREEDY))
    context = start
    for number, each in enumerate(actions):
        if context.latents == WINDOW:
            context = context.last(2)
        parts = at_once(model, context, [each[0]], DrawSettings(temperature=0.0))
        visual = parts["visual"][context.latents]
        outcome = parts["outcome"][(context.latents - 1) * stride :][:stride]
        made = rollout.advance(each)
        assert torch.equal(made.visual[0], visual), number
        assert torch.equal(made.outcome[0], outcome), number
        context = context.then(visual, each[0], outcome)
        assert rollout.latents == context.latents <= WINDOW
        assert torch.equal(rollout.contexts[0].outcome, context.outcome)


def test_a_row_does_not_depend_on_the_others():
    model = world_model(1, WINDOW)
    starts, actions = starts_of(model, 3, count=3), actions_of(model, 3, 8)
    settings = RolloutSettings(sampling=Sampling(decoding="sequential"))
    together = Rollout(model, starts, generators(0, 1, 2), settings)
    alone = Rollout(model, starts[1:2], generators(1), settings)
    for each in actions:
        assert torch.equal(together.advance(each).visual[1], alone.advance(each[1:2]).visual[0])


def test_rows_that_start_alike_part_by_their_first_actions():
    """Equal contexts are read once; their actions, which come later, are not shared."""
    model = world_model(1, WINDOW)
    (start,) = starts_of(model, 2)
    actions = torch.tensor([0, 1, 2, 1])[:, None, None]
    made = Rollout(model, [start] * 4, generators(0, 0, 0, 0)).advance(actions)
    alone = [Rollout(model, [start], generators(0)).advance(each[None]) for each in actions]
    assert torch.equal(made.visual, torch.cat([each.visual for each in alone]))
    assert torch.equal(made.visual[1], made.visual[3])


def test_some_of_the_rows_go_on():
    model = world_model(1, WINDOW)
    starts, actions = starts_of(model, 2, count=2), actions_of(model, 2, 3)
    greedy = RolloutSettings(sampling=GREEDY)
    both, one = (Rollout(model, starts, generators(0, 0), greedy) for _ in range(2))
    both.advance(actions[0])
    one.advance(actions[0])
    one.only([1])
    for each in actions[1:]:
        assert torch.equal(both.advance(each).visual[1:], one.advance(each[1:]).visual)


def test_the_cache_is_no_longer_than_a_window():
    model = world_model(1, WINDOW)
    rollout = Rollout(model, starts_of(model, 1), generators(0))
    for each in actions_of(model, 1, 20):
        rollout.advance(each)
        assert rollout._generation.decoder.cache.columns <= 2 + 1 + WINDOW * (2 + 1 + 1)
        assert rollout.contexts[0].latents <= WINDOW


def test_what_does_not_fit_is_refused():
    model = world_model(4, WINDOW)
    start, other = starts_of(model, 2)[0], starts_of(model, 3)[0]
    with pytest.raises(ValueError, match=r"rollouts begin with \[2, 3\] latents"):
        Rollout(model, [start, other], generators(0, 1))
    with pytest.raises(ValueError, match="keep is 6; expected 1 to 5"):
        Rollout(model, [start], generators(0), RolloutSettings(keep=6))
    with pytest.raises(ValueError, match="takes no text"):
        Rollout(model, [start], generators(0), RolloutSettings(text="a maze"))
    with pytest.raises(ValueError, match=r"expected \(1, 2\) and 4"):
        Rollout(model, starts_of(world_model(1, WINDOW), 2), generators(0))
    rollout = Rollout(model, [start], generators(0))
    with pytest.raises(ValueError, match=r"shape \(1, 1, 2\); expected \(1, 1, 4\)"):
        rollout.advance(torch.zeros(1, 1, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="codes of move lie in"):
        rollout.advance(torch.full((1, 1, 4), 3))
    assert SPACE.dimensions[0].name == "move"
    with pytest.raises(ValueError, match="expected as many of both"):
        Context(start.visual, start.actions[:, :3], start.outcome)
    with pytest.raises(ValueError, match="latents 7 to 9 are asked for; the episode has 9"):
        Context.of_episode(world_episode(model.clips, 9, 0).codes, 7, 3)
