import pytest

from videolm.tasks.training_data.packing import plan_block


@pytest.mark.parametrize(
    ("shares", "lengths", "room", "rows"),
    [
        ((0.7, 0.3), (1300, 280), 2048, 16),
        ((1.0,), (300,), 300, 3),
        ((0.9, 0.09, 0.01), (700, 300, 90), 2048, 64),
        ((0.5, 0.5), (1000, 10), 1000, 1),
    ],
)
def test_blocks_fill_their_steps_and_keep_the_shares(shares, lengths, room, rows):
    block = plan_block(shares, lengths, room, rows)
    counts, total = block.counts, block.counts.total()
    assert len(block.rows) == block.steps * rows and all(block.rows)
    assert all(sum(lengths[kind] for kind in row) <= room for row in block.rows)
    for kind, share in enumerate(shares):
        assert counts[kind] == pytest.approx(share * total, abs=1)
    assert sorted(block.order(1, 2)) == list(range(len(block.rows)))


def test_little_room_is_left():
    lengths = (1300, 700, 280)
    block = plan_block((0.4, 0.2, 0.4), lengths, 2048, 16)
    used = sum(lengths[kind] * count for kind, count in block.counts.items())
    assert used / (2048 * len(block.rows)) > 0.93
