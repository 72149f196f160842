"""A world model as a gymnasium environment."""

import sys
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from tiny_world import world_episode, world_format, world_model, write_episodes

from videolm.data.media.clip import Clip
from videolm.generation.world.context import Context
from videolm.generation.world.rollout import RolloutSettings
from videolm.lm.decoding.sampling import Sampling

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from videolm.generation.world.world_env import WorldEnv, WorldVectorEnv  # noqa: E402

GREEDY = RolloutSettings(sampling=Sampling(temperature=0.0))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    formats = {stride: world_format(stride, 6) for stride in (1, 4)}
    return {stride: write_episodes(folder / str(stride), each, [9, 4]) for stride, each in formats.items()}


def never_ending(model):
    """The model with no way to end an episode: outcomes are even codes."""
    head, ends = model.lm.heads["outcome"], torch.tensor([0.0, 1e9]).repeat(3)
    plain = head.logits
    head.logits = lambda *arguments: plain(*arguments) - ends
    return model


def env_of(shards, stride, **more):
    return WorldEnv(world_model(stride), shards[stride], **more)


@pytest.mark.parametrize(("stride", "chunk"), [(1, 1), (4, 1), (4, 4)])
def test_gymnasium_finds_nothing_to_object_to(shards, stride, chunk):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=r".*not having a spec|.*env\.spec.*|.*seed is given.*")
        check_env(env_of(shards, stride, action_chunk=chunk, render_mode="rgb_array"))


@pytest.mark.parametrize(("stride", "chunk"), [(1, 1), (4, 4)])
def test_a_reset_shows_the_recorded_start_and_seeds_decide_all_that_follows(shards, stride, chunk):
    env, other = (env_of(shards, stride, action_chunk=chunk) for _ in range(2))
    shown, info = env.reset(seed=3)
    episode = world_episode(world_format(stride, 6), 9, 0)
    start = env.worlds.model.video_tokenizer.decode(episode.codes["visual"][None, :1])[0, :, 0]
    assert np.array_equal(shown, ((start.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy())
    assert info["frames"].shape == (1, 8, 16, 3) and info["pending"] == 0
    other.reset(seed=3)
    env.action_space.seed(0)
    going = True
    while going and env.context.latents < 6:
        action = env.action_space.sample()
        one, two = env.step(action), other.step(action)
        assert np.array_equal(one[0], two[0]) and one[1:4] == two[1:4]
        assert np.array_equal(one[0], one[4]["frames"][-1])
        going = not (one[2] or one[3])


def test_actions_wait_until_their_latent_is_complete(shards):
    model = never_ending(world_model(4))
    env, chunked = (WorldEnv(model, shards[4], action_chunk=chunk, settings=GREEDY) for chunk in (1, 4))
    first, _ = env.reset(seed=0)
    chunked.reset(seed=0)
    actions = [0, 2, 1, 1, 2, 2, 0, 1]
    for begin in (0, 4):
        rewards = []
        for number, action in enumerate(actions[begin : begin + 4]):
            shown, reward, terminated, truncated, info = env.step(action)
            rewards.append(reward)
            assert not (terminated or truncated)
            if number < 3:
                assert np.array_equal(shown, first) and reward == 0
                assert info["pending"] == number + 1 and info["frames"].shape == (0, 8, 16, 3)
        together = chunked.step(np.array(actions[begin : begin + 4]))
        assert np.array_equal(together[0], shown) and together[1] == sum(rewards)
        assert info["frames"].shape == (4, 8, 16, 3) and info["pending"] == 0
        first = shown


def test_an_episode_ends_with_its_clock_and_needs_a_reset(shards):
    env = WorldEnv(never_ending(world_model(1)), shards[1], max_steps=3, render_mode="rgb_array")
    assert env.render() is None
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    steps = [env.step(1) for _ in range(3)]
    assert [step[2:4] for step in steps] == [(False, False), (False, False), (False, True)]
    assert np.array_equal(env.render(), steps[-1][0])
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_many_worlds_are_what_each_is_alone(shards):
    """Also after episodes that end at different steps."""
    model, settings = world_model(1), RolloutSettings(keep=2)
    model.lm.heads["outcome"].digits[0].weight.data *= 2
    many = WorldVectorEnv(model, 3, shards[1], settings=settings, max_steps=7)
    alone = [WorldEnv(model, shards[1], settings=settings, max_steps=7) for _ in range(3)]
    shown, _ = many.reset(seed=10)
    assert all(np.array_equal(shown[row], env.reset(seed=10 + row)[0]) for row, env in enumerate(alone))
    many.action_space.seed(1)
    is_over, ended = [False] * 3, set()
    for step in range(20):
        actions = many.action_space.sample()
        shown, rewards, terminated, truncated, _ = many.step(actions)
        for row, env in enumerate(alone):
            if is_over[row]:
                assert np.array_equal(shown[row], env.reset()[0])
                assert not terminated[row] and not truncated[row] and rewards[row] == 0
                is_over[row] = False
                continue
            own = env.step(int(actions[row]))
            assert np.array_equal(shown[row], own[0])
            assert (rewards[row], terminated[row], truncated[row]) == own[1:4]
            is_over[row] = own[2] or own[3]
            ended |= {(row, step)} if is_over[row] else set()
    assert len({step for _, step in ended}) > 1


def test_a_picture_begins_a_world(shards):
    frames = torch.zeros(3, 8, 16, 3, dtype=torch.uint8)
    env = WorldEnv(world_model(1), Clip(frames, 8.0))
    with pytest.warns(UserWarning, match="the first of 3 frames is used"):
        env.reset(seed=0, options={"start": Clip(frames, 8.0)})
    assert env.context.visual.tolist() == [[[0, 0]]] and env.context.actions.shape == (1, 0)
    context = Context.of_episode(world_episode(world_format(1, 6), 9, 0).codes, 3, 2)
    _, info = env.reset(options={"start": context})
    assert env.context.latents == 2 and len(info["frames"]) == 2


def test_what_does_not_fit_is_refused(shards):
    with pytest.raises(ValueError, match="action_chunk is 3; expected 1 or 4: a latent of this model has 4"):
        env_of(shards, 4, action_chunk=3)
    with pytest.raises(ValueError, match=r"does not fit the model: .*temporal_stride 4 and 1"):
        WorldEnv(world_model(1), shards[4])
    env = WorldEnv(world_model(1))
    with pytest.raises(ValueError, match="nothing to begin with"):
        env.reset()
    with pytest.raises(ValueError, match="no option 'begin'"):
        env.reset(options={"begin": 3})
    env = env_of(shards, 1)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="the action 5 is none of"):
        env.step(5)


def test_without_gymnasium_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "videolm.generation.world.gym_package")
    with pytest.raises(ModuleNotFoundError, match=r"the package gymnasium: pip install 'videolm\[world\]'"):
        import_module("videolm.generation.world.gym_package")
