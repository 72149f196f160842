"""The protocol "super-resolution": ends of the gap, controls, seams, and the command on a tiny stage."""

import shutil

import pytest
import torch
from tiny_stage import add_stage, tiny_stage

from videolm.cli.main import main
from videolm.data.runtime.files import read_json
from videolm.evaluation.protocols.super_resolution import (
    LOWER,
    MADE,
    PIXELS,
    UPPER,
    scores_of,
    sharpness,
    with_shares,
)  # fmt: skip


def noise() -> torch.Tensor:
    return torch.randint(256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_shares_are_zero_and_one_at_the_ends_of_the_gap_and_none_without_one():
    means = {LOWER: {"psnr_db": 20.0}, UPPER: {"psnr_db": 24.0}, MADE: {"psnr_db": 23.0}}
    assert [each["share"] for each in with_shares(means).values()] == [0.0, 1.0, 0.75]
    means[UPPER] = {"psnr_db": 20.0}
    assert with_shares(means)[MADE]["share"] is None


def test_a_step_at_a_window_border_is_a_seam_and_elsewhere_is_none():
    true = noise() // 8 + 100
    stepped = true.clone()
    stepped[:, :, 16:] += 60
    seams = [scores_of(true, stepped, ([], [at]))["seams"] for at in (16, 8)]
    assert seams[0] > 3 > 1 > seams[1]
    assert scores_of(true, true, ([16], [16]))["seams"] == 1


def test_blurred_edges_are_less_sharp():
    true = noise()
    blurred = ((true.int() + true.roll(1, dims=2).int()) // 2).to(torch.uint8)
    assert sharpness(blurred) < 0.8 * sharpness(true)


def test_the_command_scores_every_stage_and_draws_a_sheet(model, model_folder, tmp_path, capsys):
    folder, out = tmp_path / "model", tmp_path / "scores"
    shutil.copytree(model_folder, folder)
    words = ["evaluate", "--protocol", "super-resolution", "--model", str(folder), "--clips", "1"]
    assert main([*words, "--out", str(out)]) == 2
    assert "has no stages of super-resolution" in capsys.readouterr().err
    tokenizer = model.video_tokenizer
    add_stage(folder, tiny_stage(tokenizer, tokenizer, text_tokenizer=model.text_tokenizer))
    assert main([*words, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "of the gap" in said and "words read in the model's own clips" in said
    (stage,) = read_json(out / "report.json")["stages"]
    rows = stage["rows"]
    assert {LOWER, UPPER, MADE, PIXELS, "codes dropped", "text dropped", f"{MADE} in 4 steps"} <= rows.keys()
    assert rows[LOWER]["share"] == 0 or rows[LOWER]["share"] is None
    assert rows[PIXELS]["psnr_db"] == pytest.approx(max(row["psnr_db"] for row in rows.values()))
    assert (out / "9x64x64.png").is_file()
