"""The same seed gives the same clip: which pixels, in which company, and how nearly where not exactly."""

import copy

import torch

from videolm.generation.prompt import Prompt
from videolm.lm.decoding.quantized import quantize
from videolm.lm.decoding.sampling import Sampling

TEXTS = ("a red square moves right", "a blue circle", "a big green triangle moves slowly up")


def test_pixels_and_sound_do_not_depend_on_the_batch_that_they_are_decoded_in(model, corpus):
    codes = [model.encode(corpus[index]) for index in range(6)]
    together = model.decode_batch(codes)
    for own, clip in zip(codes, together, strict=True):
        alone = model.decode(own)
        assert torch.equal(alone.frames, clip.frames) and torch.equal(alone.waveform, clip.waveform)


def test_parts_of_a_stream_differ_from_the_whole_by_one_level_at_most(model):
    for seed in range(3):
        stream = model.stream("text_to_video", Prompt(TEXTS[0]), seed=seed)
        frames = torch.cat([part.frames for part in stream])
        whole = model.generate("text_to_video", text=TEXTS[0], seed=seed)
        assert torch.equal(stream.finished.frames, whole.frames)
        assert (frames.int() - whole.frames.int()).abs().max() <= 1


def test_int8_clips_hardly_depend_on_their_batch(model):
    """Videos did in 7 of 24 when the kernel was another from 17 positions on. None is not promised, for
    rounding to 8 bits enlarges differences: resuming takes the same batches."""
    small = copy.copy(model)
    small.lm = quantize(copy.deepcopy(model.lm))
    prompts = [Prompt(TEXTS[number % 3]) for number in range(24)]

    def made(batch_size: int, **sampling) -> list[torch.Tensor]:
        settings = {"batch_size": batch_size, "sampling": Sampling(**sampling)}
        return [clip.frames for clip in small.generate_batch("text_to_image", prompts, seed=0, **settings)]

    apart = made(3)
    for other in (made(32), made(32, decoding="jacobi")):
        assert sum(not torch.equal(*pair) for pair in zip(apart, other, strict=True)) <= 2
