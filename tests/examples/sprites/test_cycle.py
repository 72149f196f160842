"""One cycle out of a clip: the window that closes, and with which frame a row of a sheet begins."""

import numpy as np
import pytest

from videolm.examples.sprites.cycle import FROM_STANDING, best_cycle, first_frames
from videolm.examples.sprites.scenes import Scene, draw_frames
from videolm.examples.sprites.sheets import ACTIONS

SCENE = Scene("slash", "front", 0, 1, 2, 1, 1, eyes=0, phase=2, background="charcoal")


def test_a_cycle_holds_every_frame_once_and_closes(sheets):
    period = ACTIONS["slash"].period
    frames = draw_frames(sheets, SCENE, 17).astype(np.float32)
    cycle = best_cycle(frames, period)
    assert cycle.closes and cycle.seam <= cycle.within
    assert len(np.unique(frames[cycle.frames()], axis=0)) == len(np.unique(frames[:period], axis=0))
    assert cycle.frames(2) == [*cycle.frames()[2:], *cycle.frames()[:2]]


def test_the_seam_is_where_it_shows_least():
    values = np.array([0, 50, 10, 20, 30, 12, 90, 5], np.float32)
    frames = np.broadcast_to(values[:, None, None, None], (8, 64, 64, 3))
    cycle = best_cycle(frames, 4)
    assert (cycle.start, cycle.seam, cycle.within) == (2, 2.0, 18.0)


def test_a_clip_that_only_goes_on_does_not_close():
    frames = np.broadcast_to(np.arange(17, dtype=np.float32)[:, None, None, None], (17, 64, 64, 3))
    cycle = best_cycle(frames, 8)
    assert not cycle.closes and (cycle.seam, cycle.within) == (7, 1)
    with pytest.raises(ValueError, match="a clip has 17 frames; expected at least the 18 of a cycle"):
        best_cycle(frames, 18)


@pytest.mark.parametrize("direction", ["left", "front"])
def test_rows_begin_with_the_figure_standing(direction: str):
    rng = np.random.default_rng(0)
    shapes = {name: (action.period, 64, 64, 4) for name, action in ACTIONS.items()}
    cycles = {name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}
    standing = rng.integers(0, 200, (64, 64, 4), np.uint8)
    for action in FROM_STANDING:
        cycles[action][0] = standing + rng.integers(0, 9, standing.shape, np.uint8)
    cycles["shoot"][0] = standing // 2 + cycles["shoot"][0] // 2
    cycles["walk"] = standing // 2 + cycles["walk"] // 2
    cycles["walk"][4] = 255 - standing
    turned = {"cast": 2, "thrust": 0, "walk": 3, "slash": 5, "shoot": 12}
    rolled = {name: np.roll(cells, turned[name], axis=0) for name, cells in cycles.items()}
    known = {name for name in turned if name != "walk" or direction == "left"}
    assert first_frames(rolled, direction) == {name: turned[name] for name in known}
