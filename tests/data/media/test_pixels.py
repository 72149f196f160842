"""Bytes and numbers in [-1, 1]."""

import torch

from videolm.data.media.pixels import frames_from_pixels, pixels_from_frames


def test_every_byte_survives_the_way_there_and_back():
    frames = torch.arange(256, dtype=torch.uint8).reshape(2, 4, 32, 1).repeat(1, 1, 1, 3)
    frames[..., 1] = 255 - frames[..., 1]
    assert torch.equal(frames_from_pixels(pixels_from_frames(frames)), frames)


def test_range_is_minus_one_to_one_and_channels_come_first():
    frames = torch.zeros(5, 4, 6, 3, dtype=torch.uint8)
    frames[..., 2] = 255
    pixels = pixels_from_frames(frames)
    assert pixels.shape == (3, 5, 4, 6)
    assert pixels[:2].unique().tolist() == [-1.0]
    assert pixels[2].unique().tolist() == [1.0]


def test_batches_pass_through():
    frames = torch.randint(0, 256, (2, 3, 4, 6, 3), dtype=torch.uint8)
    assert torch.equal(pixels_from_frames(frames)[1], pixels_from_frames(frames[1]))


def test_numbers_outside_are_cut_off_and_bytes_are_the_nearest():
    pixels = torch.tensor([-3.0, -1 + 0.6 / 127.5, 1.4]).reshape(1, 3, 1, 1, 1)
    assert frames_from_pixels(pixels).flatten().tolist() == [0, 1, 255]
