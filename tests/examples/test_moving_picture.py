"""The moving picture shows the clips of held-out captions, all of their frames, and chooses none."""

from pathlib import Path

import pytest
from PIL import Image

from videolm import Prompt
from videolm.evaluation.protocols.shapes_exam import corpus_of
from videolm.examples.moving_picture import moving_picture

CELL = 32 * 2  # pixels of the tiny model's clips, each shown as two


def test_a_picture_has_every_frame_of_every_clip(model, model_folder: Path):
    moving_picture(out=Path("made.webp"), model=str(model_folder), clips=3, columns=2, scale=2, seed=5)
    with Image.open("made.webp") as picture:
        assert picture.n_frames == model.clips.num_frames
        assert picture.size == (2 * (CELL + 8) + 8, 2 * (CELL + 34) + 8)
        assert picture.info["loop"] == 0
        picture.seek(4)
        first = picture.convert("RGB").crop((8, 8, 8 + CELL, 8 + CELL)).resize((32, 32))
    corpus = corpus_of(model, "synthetic-lasting", "triples", 5)
    prompts = [Prompt(text=corpus[number].caption) for number in range(3)]
    frame = model.generate_batch("text_to_video", prompts, seed=5)[0].frames[4]
    shown, made = (picture.convert("L").tobytes() for picture in (first, Image.fromarray(frame.numpy())))
    assert sum(abs(a - b) for a, b in zip(shown, made, strict=True)) / len(made) < 12


def test_prompts_of_a_file_take_the_place_of_captions(model_folder: Path):
    Path("prompts.jsonl").write_text('{"text": "a red square"}\n{"text": "a blue star"}\n')
    (made,) = moving_picture(
        out=Path("made.webp"), model=str(model_folder), prompts=Path("prompts.jsonl"), columns=1, scale=1
    )
    with Image.open(made) as picture:
        assert picture.size == (32 + 16, 2 * (32 + 34) + 8)


def test_another_kind_of_file_is_refused(model_folder: Path):
    with pytest.raises(ValueError, match=r"out is made\.gif; expected a \.webp"):
        moving_picture(out=Path("made.gif"), model=str(model_folder))
