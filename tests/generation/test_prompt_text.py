"""What a model reads of the texts of prompts, and what it says of the rest."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from videolm.cli.main import main
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.generation.prompt_text import TextNote
from videolm.generation.seeds import seed_of, seeds_of
from videolm.lm.decoding.sampling import Sampling
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer

PLAIN = "a red square moves left"


def pieces(model: VideoLM, text: str, negative: str | None = None) -> list[int]:
    row = model.rows.row(model.config.task("text_to_video"), Prompt(text=text, negative=negative), 2.0)
    return row.parts["text"].tolist()


@pytest.mark.parametrize("text", [f"{PLAIN}.", f"“{PLAIN.upper()}!” 🎬", f"{PLAIN} 猫"])
def test_a_text_in_another_form_gives_the_same_clip_and_keeps_its_caption(model: VideoLM, text) -> None:
    plain = model.generate("text_to_video", text=PLAIN, seed=3)
    with pytest.warns(TextNote, match="left out of the text, since training never showed it: “"):
        other = model.generate("text_to_video", text=text, seed=3)
    assert torch.equal(plain.frames, other.frames) and other.caption == text


def test_one_note_names_what_is_not_read_of_all_prompts_once(model: VideoLM) -> None:
    prompts = [Prompt(text=f"{PLAIN}."), Prompt(text=f"{PLAIN} 🎬."), Prompt(text=f"{PLAIN} 猫")]
    with pytest.warns(TextNote) as caught:
        model.rows.rows(model.config.task("text_to_video"), prompts, [1.0] * len(prompts))
    assert [str(note.message) for note in caught] == [
        "left out of the text, since training never showed it: “.”, “🎬”, “猫”"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pieces(model, PLAIN)


def test_a_text_that_is_too_long_is_cut_and_its_end_is_named(model: VideoLM) -> None:
    assert isinstance(model.text_tokenizer, TextTokenizer)
    text = " ".join([PLAIN] * 30)
    ids = model.text_tokenizer.encode(text)
    end = model.text_tokenizer.decode(ids[64:])[:30]
    with pytest.warns(TextNote, match=f"is longer than the 64 pieces that are read; cut off: “{end}"):
        assert pieces(model, text) == ids[:64]
    short = VideoLM(
        replace(model.config, text_pieces=3), model.vocabulary, model.lm, model.video_tokenizer,
        model.audio_tokenizer, model.text_tokenizer,
    )  # fmt: skip
    with pytest.warns(TextNote, match="longer than the 3 pieces"):
        assert len(pieces(short, PLAIN)) == 3


def test_a_text_of_which_nothing_is_known_is_refused_and_a_negative_one_is_empty(model: VideoLM) -> None:
    with pytest.raises(ValueError, match="training never showed any word of the text '猫 🎬'"):
        pieces(model, "猫 🎬")
    task = model.config.task("text_to_video")
    with pytest.warns(TextNote, match="“猫”"):
        row = model.rows.row(task, Prompt(text=PLAIN, negative="猫"), 2.0)
    assert "text" not in row.unguided[1]
    assert len(row.unguided[0]) == len(model.rows.row(task, Prompt(text=PLAIN), 2.0).unguided[0])


def test_a_command_prints_one_note_of_all_texts(model_folder, tmp_path, capsys) -> None:
    (tmp_path / "p.txt").write_text("".join(f"{PLAIN} {'猫' * number}.\n" for number in range(1, 40)))
    (tmp_path / "out").mkdir()
    command = ["generate", "--model", str(model_folder), "--task", "text_to_video"]
    command += ["--prompts", str(tmp_path / "p.txt"), "--out", str(tmp_path / "out")]
    assert main(command) == 0  # in more than one batch
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: left out")]
    assert note.endswith("and 28 more")


def test_notes_of_texts_add_up() -> None:
    one = TextNote(("a", "b"), (("circles", "circle"),), ("x",), 64)
    both = one + TextNote(("b", "c"), (), ("y" * 99,), 64)
    assert both.left_out == ("a", "b", "c")
    assert str(both) == (
        "left out of the text, since training never showed it: “a”, “b”, “c”; "
        "read for what training never showed: “circles as circle”; "
        "2 texts are longer than the 64 pieces that are read; cut off: “x”"
    )


def test_seeds_are_numbers_of_any_kind(model: VideoLM) -> None:
    expected = model.generate("unconditional", seed=7).frames
    for seed in (np.int64(7), np.uint8(7), torch.tensor(7), np.array(7)):
        assert torch.equal(model.generate("unconditional", seed=seed).frames, expected)
    made = model.generate_batch("unconditional", [Prompt()] * 2, seed=np.array([3, 7]))
    assert torch.equal(made[1].frames, expected)
    for large in (2**64 - 1, -(2**63), 2**32 + 7):
        model.generate("unconditional", seed=large)


def test_no_seed_draws_one_that_makes_the_same_again(model: VideoLM) -> None:
    with pytest.warns(UserWarning, match="no seed is given; [0-9]+ is drawn") as caught:
        made = model.generate("unconditional", seed=None)
    seed = int(str(caught[0].message).split(";")[1].split()[0])
    assert torch.equal(model.generate("unconditional", seed=seed).frames, made.frames)
    with pytest.warns(UserWarning):
        assert seed_of(None) != seed_of(None)


@pytest.mark.parametrize(
    ("seeds", "count", "message"),
    [
        (2**64, 1, "the seed is 18446744073709551616; expected"),
        (2**64 - 1, 2, "for every clip"),
        (-(2**63) - 1, 1, "expected -9223372036854775808 to"),
        ([1, 2], 3, "2 seeds are given for 3 clips"),
    ],
)
def test_what_is_no_seed_is_refused(seeds, count, message) -> None:
    with pytest.raises(ValueError, match=message):
        seeds_of(seeds, count)


def test_guidance_goes_with_a_text_in_another_form(model: VideoLM) -> None:
    strong = Sampling(guidance_scale=3.0)
    plain = model.generate("text_to_video", text=PLAIN, negative="a blue star", sampling=strong)
    with pytest.warns(TextNote):
        other = model.generate("text_to_video", text=f"{PLAIN}!", negative="A blue star.", sampling=strong)
    assert torch.equal(plain.frames, other.frames)
