from pathlib import Path

import pytest
import torch

from videolm.data.media.clip import Clip, write_clip
from videolm.tasks.conditions import seeded
from videolm.tasks.masks import KINDS, draw_mask, mask_of_frames, read_mask

SIZE = (5, 16, 24)


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [("box", 0.25), ("moving box", 0.25), ("centre", 0.75), ("vertical", 0.5), ("horizontal", 0.5),
     ("moving strip", 0.5)],
)  # fmt: skip
def test_the_usual_masks_hide_what_magvits_do(kind, hidden):
    """Yu et al. 2023, arXiv:2212.05199, table 12: the hidden share of the pixels."""
    mask = draw_mask(kind, *SIZE)
    assert mask.shape == SIZE
    assert torch.allclose(1 - mask.float().mean((1, 2)), torch.full((5,), hidden), atol=0.05)


def test_moving_masks_travel_from_one_side_to_the_other():
    for kind, known in (("moving box", False), ("moving strip", True)):
        columns = draw_mask(kind, *SIZE).any(1) if known else (~draw_mask(kind, *SIZE)).any(1)
        assert columns[0, 0] and not columns[0, -1]
        assert columns[-1, -1] and not columns[-1, 0]
    for kind in ("box", "centre", "vertical", "horizontal"):
        mask = draw_mask(kind, *SIZE)
        assert (mask == mask[:1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_masks_differ_and_follow_from_their_seed(kind):
    masks = [draw_mask(kind, *SIZE, seeded(number)) for number in range(12)]
    assert torch.equal(masks[3], draw_mask(kind, *SIZE, seeded(3)))
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 6
    for mask in masks:
        assert mask.any(dim=(1, 2)).all() and not mask.all()


def test_black_is_known_white_is_painted_and_the_last_picture_is_held(tmp_path: Path):
    frames = torch.zeros(2, 16, 24, 3, dtype=torch.uint8)
    frames[1, :8] = 255
    known = mask_of_frames(frames, 4)
    assert known[0].all() and not known[1, :8].any() and known[1, 8:].all()
    assert torch.equal(known[3], known[1])
    write_clip(Clip(frames[1:], 8.0), tmp_path / "mask.png")
    assert torch.equal(read_mask(tmp_path / "mask.png", *SIZE), known[1:2].expand(5, -1, -1))
    assert torch.equal(read_mask("centre", *SIZE), draw_mask("centre", *SIZE))


def test_masks_that_paint_nothing_or_everything_are_refused(tmp_path: Path):
    for level, word in ((0, "black"), (255, "white")):
        with pytest.raises(ValueError, match=f"all {word}"):
            mask_of_frames(torch.full((1, 4, 4, 3), level, dtype=torch.uint8), 3)
    with pytest.raises(FileNotFoundError, match=r"there is no mask .*expected a file or one of box, "):
        read_mask(tmp_path / "none.png", *SIZE)
