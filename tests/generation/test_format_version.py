"""A model folder of format version 1, written on 25 November 2026, loads for ever and means the same."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videolm.data.synthetic.corpus import Corpus
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.lm.decoding.sampling import DrawSettings

FOLDER = Path(__file__).parents[1] / "models" / "version-1"
TEXT = "a red square moves right"


@pytest.fixture(scope="module")
def old_model() -> VideoLM:
    return VideoLM.from_pretrained(FOLDER)


def test_its_codes_and_frames_are_those_of_then(old_model: VideoLM) -> None:
    stored = load_file(FOLDER / "expected.safetensors")
    codes = old_model.encode(Corpus(height=32, width=32, num_frames=9, fps=8.0, sample_rate=16000)[0])
    for name, found in codes.items():
        assert (found == stored[f"encoded_{name}"]).float().mean() > 0.98  # where a sign is not all but tied
    frames = old_model.decode({"visual": stored["encoded_visual"].long()}).frames
    assert (frames.int() - stored["decoded_frames"].int()).abs().max() <= 1


def test_its_language_model_chooses_the_codes_of_then(old_model: VideoLM) -> None:
    stored = load_file(FOLDER / "expected.safetensors")
    old_model.lm.double()  # likeliest codes, which rounding does not change
    prompt = Prompt(text=TEXT)
    row = old_model.rows.row(old_model.config.task("text_to_video"), prompt, 1.0)
    (codes,) = old_model._codes([row], DrawSettings(temperature=0.0), [torch.Generator()], None, None)
    old_model.lm.float()
    assert torch.equal(codes["visual"], stored["generated_visual"].long())


def test_all_its_tasks_are_still_there(old_model: VideoLM) -> None:
    assert len(old_model.config.tasks) == 12
    for name in old_model.config.tasks:
        assert old_model.config.task(name).name == name
