import pytest
import torch

from videolm.lm.batch import Batch


def test_rows_are_their_examples_followed_by_padding_without_weight(make_example):
    examples = [make_example(text, seed=text) for text in (1, 4)]
    batch = Batch.collate(examples)
    assert len(batch) == 2 and batch.tasks == ("text_to_video",) * 2
    for row, example in enumerate(examples):
        length = len(example)
        assert batch.length[row] == length and batch.prefix_length[row] == example.prefix_length
        for name in ("ids", "block", "segment", "coordinates", "forced", "weight"):
            assert torch.equal(getattr(batch, name)[row, :length], getattr(example, name))
        assert not batch.weight[row, length:].any()
    assert 0 < batch.padding_share == pytest.approx((batch.example < 0).float().mean().item())


def test_moving_to_a_device_moves_every_tensor(make_batch):
    moved = make_batch(1, 2).to("meta")
    assert all(
        value.device.type == "meta" for value in vars(moved).values() if isinstance(value, torch.Tensor)
    )
    assert moved.tasks == ("text_to_video",) * 2


def test_packed_rows_hold_their_examples_one_after_the_other(make_example):
    first, second, third = (make_example(text, seed=text) for text in (1, 4, 2))
    batch = Batch.of_rows([[first, second], [third]])
    assert len(batch) == 2 and batch.row.tolist() == [0, 0, 1] and batch.start.tolist() == [0, len(first), 0]
    for index, example in enumerate((first, second, third)):
        assert torch.equal(batch.ids[batch.example == index], example.ids)
    assert (batch.example[1, len(third) :] == -1).all() and (batch.example[0] >= 0).all()
