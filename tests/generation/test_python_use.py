"""A model as a part of other programs: results are ordinary tensors, models travel to other processes."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from PIL import Image

from videolm.data.media.clip import Clip
from videolm.generation.prompt import Prompt

TEXT = "a red square moves right"
held = None


def frames_of(seed: int, model=None) -> np.ndarray:
    model = model or held
    return model.generate("text_to_video", text=TEXT, seed=seed).frames.numpy()


def tensors_of(clip: Clip) -> list[torch.Tensor]:
    return [each for each in (clip.frames, clip.waveform) if each is not None]


@pytest.mark.long
def test_results_are_tensors_that_training_takes(model, clip):
    results = tensors_of(model.generate("text_to_video", text=TEXT))
    results += tensors_of(model.generate("video_to_audio", video=clip))
    codes = model.encode(clip)
    decoded = [model.decode(codes), *model.decode_batch([codes])]
    results += [*codes.values(), *(each for clip in decoded for each in tensors_of(clip))]
    results += [each for part in model.stream("text_to_video", Prompt(TEXT)) for each in tensors_of(part)]
    assert len(results) > 6 and not any(each.is_inference() for each in results)
    table = torch.nn.Embedding(int(codes["visual"].max()) + 1, 2)
    table(codes["visual"].long()).sum().backward()
    weight = torch.ones(3, requires_grad=True)
    (results[0].float() * weight).sum().backward()


def test_a_model_is_pickled_whole(model, clip):
    other = pickle.loads(pickle.dumps(model))
    assert np.array_equal(frames_of(3, other), frames_of(3, model))
    assert other.audio_tokenizer.fingerprint == model.audio_tokenizer.fingerprint
    codes = model.encode(clip)
    assert all(torch.equal(value, other.encode(clip)[name]) for name, value in codes.items())
    assert torch.equal(other.decode(codes).waveform, model.decode(codes).waveform)


@pytest.mark.long
def test_a_fork_after_generation_makes_the_same_clips(model):
    """PyTorch's threads do not survive a fork: without care the children wait for ever."""
    global held
    held, threads = model, torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = [frames_of(seed) for seed in (1, 2)]
        torch.randn(600, 600) @ torch.randn(600, 600)
        with get_context("fork").Pool(2) as pool:
            made = pool.map_async(frames_of, [1, 2]).get(60)
    finally:
        held = None
        torch.set_num_threads(threads)
    assert all(map(np.array_equal, made, expected))


@pytest.mark.long
def test_a_spawned_process_makes_the_same_clips(model):
    with get_context("spawn").Pool(1) as pool:
        made = pool.apply_async(_spawned, [pickle.dumps(model)]).get(200)
    assert np.array_equal(made, frames_of(1, model))


def _spawned(pickled: bytes) -> np.ndarray:
    torch.set_num_threads(1)
    return frames_of(1, pickle.loads(pickled))


@pytest.mark.long
def test_threads_make_the_same_clips(model):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda seed: frames_of(seed, model), range(8)))
    assert all(np.array_equal(each, frames_of(seed, model)) for seed, each in enumerate(made))


SEEDS = [(np.int64(3), 3), (np.uint64(2**64 - 1), 2**64 - 1), (np.array(3), 3), (-(2**63), 2**63)]


@pytest.mark.parametrize(("seed", "same"), SEEDS)
def test_seeds_of_64_bits_and_of_numpy(seed, same, model):
    assert np.array_equal(frames_of(seed, model), frames_of(same, model))


def test_seeds_that_are_none_are_refused_and_none_is_drawn(model):
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="seed is"):
            frames_of(seed, model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = frames_of(None, model)
    (drawn,) = [str(each.message).split("; ")[1].split()[0] for each in caught]
    assert np.array_equal(made, frames_of(int(drawn), model))


def test_a_picture_is_a_prompt_in_every_usual_form(model, clip):
    picture = clip.frames[0]
    forms = [picture.numpy(), Image.fromarray(picture.numpy()), picture.permute(2, 0, 1)]
    forms.append(picture.permute(2, 0, 1).float() / 255)
    made = [model.generate("image_to_video", image=each, seed=0).frames for each in forms]
    assert all(torch.equal(each, made[0]) for each in made)

