"""Minigrid's state read off its pictures, compared with the environment's own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from videolm.data.environments.minigrid_state import (
    TILE,
    MinigridState,
    Tile,
    _drawn,
    all_tiles,
    missing_keys,
    read_state,
    read_states,
    tiles_to_come,
    true_state,
)
from videolm.data.environments.policies import partly_random, policies_named
from videolm.data.environments.real_environment import open_environment

WORLDS = [
    "DoorKey-5x5-v0", "LavaCrossingS9N1-v0", "Fetch-8x8-N3-v0", "MultiRoom-N2-S4-v0", "Unlock-v0",
    "ObstructedMaze-1Dl-v0", "Dynamic-Obstacles-5x5-v0",
]  # fmt: skip


def drawn_by_minigrid(tile):
    from minigrid.core import world_object
    from minigrid.core.grid import Grid

    if tile.kind == "empty":
        thing = None
    elif tile.kind == "door":
        thing = world_object.Door(tile.colour, tile.state == "open", tile.state == "locked")
    else:
        kind = getattr(world_object, tile.kind.capitalize())
        thing = kind() if tile.kind in ("goal", "lava") else kind(tile.colour)
    return Grid.render_tile(thing, agent_dir=tile.direction, tile_size=TILE)


def test_the_tiles_that_are_kept_are_those_that_minigrid_draws():
    drawn = np.stack([drawn_by_minigrid(tile) for tile in all_tiles()]).astype(np.uint8)
    kept = rearrange(_drawn(), "n (p q rgb) -> n p q rgb", p=TILE, q=TILE)
    assert np.array_equal(kept.numpy(), drawn)
    assert len(set(all_tiles())) == len({tile.tobytes() for tile in drawn}) == 106


def episodes(name, count, steps):
    """Pictures and true states of random and, where there is a goal, purposeful episodes."""
    frames, states = [], []
    with open_environment(f"minigrid:MiniGrid-{name}") as environment:
        policies = list(policies_named("random,purposeful").values())
        for seed in range(count):
            shown = environment.reset(seed)
            act = policies[seed % 2](environment.env, seed)
            act = partly_random(act, environment.env, 0.2, seed)
            for _ in range(steps):
                frames.append(shown.picture)
                states.append(true_state(environment.env.unwrapped))
                if shown.terminated or shown.truncated:
                    break
                shown = environment.step(act(shown.observation))
    return torch.stack(frames), states


@pytest.mark.parametrize(
    "name", [WORLDS[0], *(pytest.param(each, marks=pytest.mark.long) for each in WORLDS[1:])]
)
def test_every_tile_of_a_real_picture_is_read_right(name):
    frames, states = episodes(name, count=10, steps=40)
    for read, true in zip(read_states(frames), states, strict=True):
        assert read.tiles == true.tiles and read.is_whole
        assert read.confidence > 0.999
        assert read.agent == true.agent is not None
        assert (read.doors, read.keys, read.goals) == (true.doors, true.keys, true.goals)


def test_a_carried_key_is_known_from_what_is_gone():
    with open_environment("minigrid:MiniGrid-DoorKey-5x5-v0") as environment:
        shown, world = environment.reset(3), environment.env.unwrapped
        first, act, carried = read_state(shown.picture), policies_named("purposeful")["purposeful"], []
        act = act(environment.env, 3)
        while not shown.terminated:
            shown = environment.step(act(shown.observation))
            carried.append(world.carrying is not None)
            assert missing_keys(first, read_state(shown.picture)) == (["yellow"] if carried[-1] else [])
    assert {True, False} == set(carried)


def blurred(frames, share, noise):
    pixels = rearrange(frames.float(), "f h w rgb -> f rgb h w")
    smooth = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
    mixed = (1 - share) * pixels + share * smooth
    mixed = mixed + noise * torch.randn(mixed.shape, generator=torch.Generator().manual_seed(0))
    return rearrange(mixed.round().clamp(0, 255).to(torch.uint8), "f rgb h w -> f h w rgb")


def test_a_blurred_picture_is_read_right_or_not_at_all():
    frames, states = episodes("DoorKey-5x5-v0", count=6, steps=30)
    read = read_states(blurred(frames, share=0.5, noise=12), tiles_to_come(states[0]))
    pairs = [
        (found.tiles[place], tile)
        for found, true in zip(read, states, strict=True)
        for place, tile in true.tiles.items()
    ]
    assert sum(found == tile for found, tile in pairs) >= 0.99 * len(pairs)
    assert all(found == tile for found, tile in pairs if found is not None)
    assert all(found.confidence < 0.9 for found in read)
    assert all(found.agent == true.agent for found, true in zip(read, states, strict=True))


def test_what_resembles_no_tile_is_not_read():
    noise = torch.randint(256, (16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    state = read_state(noise)
    assert set(state.tiles.values()) == {None} and state.agent is None
    between = (_drawn()[0] + _drawn()[1]).div(2).reshape(TILE, TILE, 3).to(torch.uint8)  # empty and goal
    assert read_state(between, [Tile("empty"), Tile("goal", "green")]).tiles == {(0, 0): None}


def test_two_agents_are_none():
    here, there = Tile("empty", direction=0), Tile("empty", direction=1)
    assert MinigridState({(0, 0): here, (1, 0): Tile("empty")}).agent == (0, 0, 0)
    assert MinigridState({(0, 0): here, (1, 0): there}).agent is None
    unread = MinigridState({(0, 0): None})
    assert missing_keys(unread, unread) is None


def test_a_picture_of_no_whole_tiles_is_refused():
    with pytest.raises(ValueError, match="12x16; expected whole tiles of 8 pixels"):
        read_state(torch.zeros((12, 16, 3), dtype=torch.uint8))
