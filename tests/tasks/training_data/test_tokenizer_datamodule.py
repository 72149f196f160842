import pytest
import torch

from videolm.data.loading.buckets import Bucket
from videolm.tasks.conditions import padded
from videolm.tasks.task import load_task
from videolm.tasks.training_data.tokenizer_datamodule import TokenizerDataModule

SIZES = {"height": 16, "width": 16, "num_frames": 5, "batch_size": 8, "clips": 48, "validation_clips": 2}
SETTINGS = SIZES | {"source": "synthetic-plain"}


def frames_of(stage: str = "fit", **settings) -> torch.Tensor:
    data = TokenizerDataModule(**SETTINGS | settings)
    data.setup(stage)
    loader = data.train_dataloader() if stage == "fit" else data.val_dataloader()
    return torch.cat([batch["frames"] for batch in loader])


def test_a_share_of_the_training_clips_is_masked_and_the_others_stay_whole():
    whole = frames_of()
    for share in (0.0, 0.5, 1.0):
        changed = (frames_of(masked=share) != whole).flatten(1).any(1).float().mean()
        assert changed == pytest.approx(share, abs=0.2)
    assert torch.equal(frames_of(masked=0.5), frames_of(masked=0.5))
    assert torch.equal(frames_of("validate", masked=1.0), frames_of("validate"))


def test_what_a_mask_hides_is_black_or_made_of_edges_as_the_tasks_say():
    whole, masked = frames_of(), frames_of(masked=1.0)
    black = (masked == 0).all(-1) & (whole != 0).any(-1)
    holes = black.flatten(1).any(1)
    assert 0.3 < holes.float().mean() < 0.7  # inpainting; outpainting repeats the edges of what is known
    assert torch.equal(masked[holes], padded(whole[holes].flatten(0, 1), ~black[holes].flatten(0, 1), "black")
                       .reshape(masked[holes].shape))  # fmt: skip


def test_pads_are_those_that_are_asked_for():
    grey = frames_of(masked=1.0, pad=["inpainting=grey", "outpainting=white"])
    levels = [(grey == level).all(-1).flatten(1).float().mean(1) > 0.05 for level in (128, 255)]
    assert (levels[0] ^ levels[1]).all() and levels[0].any() and levels[1].any()
    with pytest.raises(ValueError, match="pad is for 'paint'; expected TASK=PAD, the task one of inpainting"):
        TokenizerDataModule(**SETTINGS, pad=["paint=black"])
    with pytest.raises(ValueError, match=r"masked is 1\.5; expected a share from 0 to 1"):
        TokenizerDataModule(**SETTINGS, masked=1.5)


def test_clips_of_buckets_are_masked_too_images_among_them():
    buckets = [Bucket(1, 16, 16, 4), Bucket(5, 16, 32, 2)]
    data = TokenizerDataModule(**SETTINGS, masked=1.0, buckets=buckets)
    data.setup("fit")
    plain = TokenizerDataModule(**SETTINGS, buckets=buckets)
    plain.setup("fit")
    changed = []
    for masked, whole in zip(data.train_dataloader(), plain.train_dataloader(), strict=True):
        assert masked["frames"].shape == whole["frames"].shape
        changed += (masked["frames"] != whole["frames"]).flatten(1).any(1).tolist()
    assert sum(changed) > 0.8 * len(changed)  # of some nothing but the plain background is hidden


def test_the_tasks_that_paint_are_found_by_their_conditions():
    data = TokenizerDataModule(**SETTINGS)
    assert {each.name for each in data.paintings} == {"inpainting", "outpainting"}
    assert load_task("inpainting").conditions in data.paintings
