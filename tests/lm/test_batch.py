import torch

from videolm.lm.batch import Batch


def test_rows_are_their_sequences_followed_by_padding_without_weight(make_sequence):
    sequences = [make_sequence(text, seed=text) for text in (1, 4)]
    batch = Batch.collate(sequences)
    assert len(batch) == 2 and batch.tasks == ("text_to_video",) * 2
    for row, sequence in enumerate(sequences):
        length = len(sequence)
        assert batch.length[row] == length and batch.prefix_length[row] == sequence.prefix_length
        for name in ("ids", "block", "segment", "coordinates", "forced", "weight"):
            assert torch.equal(getattr(batch, name)[row, :length], getattr(sequence, name))
        assert not batch.weight[row, length:].any()


def test_moving_to_a_device_moves_every_tensor(make_batch):
    moved = make_batch(1, 2).to("meta")
    assert all(
        value.device.type == "meta" for value in vars(moved).values() if isinstance(value, torch.Tensor)
    )
    assert moved.tasks == ("text_to_video",) * 2
