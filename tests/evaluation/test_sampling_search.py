"""The search for a sampling: grid, order, ties, luck, resuming; and the scores of the embedded corpus."""

import json
import shutil

import pytest

from videolm.cli.main import main
from videolm.evaluation.protocols.shapes_search import summary
from videolm.evaluation.sampling_search import FRESH, PLAIN, Scored, grid, search
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.recommended_sampling import RecommendedSampling

GRID = grid(temperatures=(0.5, 1.0), guidance_scales=(1.0, 2.0))


def scoring(values, fresh=None):
    """A score that looks settings up by temperature and guidance, and notes what it was asked for."""
    asked = []

    def score(sampling, prompts):
        asked.append((sampling, prompts))
        key = sampling.settings().temperature, sampling.settings().guidance_scale
        return Scored((fresh if fresh and prompts == FRESH else values)[key], 0.05, 64)

    return score, asked


def test_the_grid_has_every_combination_once_the_plain_default_first():
    assert GRID[0] == PLAIN and len(GRID) == 4
    assert [str(each) for each in GRID[1:]] == [
        "guidance_scale 2", "temperature 0.5", "temperature 0.5, guidance_scale 2"
    ]  # fmt: skip
    assert grid(temperatures=(0.5,)) == [PLAIN, Sampling(0.5, recommended=False)]


def test_the_best_setting_is_chosen_and_of_equal_ones_the_nearest_to_the_default(tmp_path):
    score, _ = scoring({(1, 1): 0.5, (0.5, 1): 0.8, (1, 2): 0.7, (0.5, 2): 0.8})
    found = search(GRID, score, tmp_path)
    assert found.chosen == Sampling(0.5)
    assert "1 of the 3 others are within a standard error" in str(found)
    assert "on fresh prompts: the first 0.800 ± 0.050, the defaults 0.500 ± 0.050" in str(found)


def test_nothing_is_recommended_where_the_best_was_only_lucky(tmp_path):
    values = {(1, 1): 0.5, (0.5, 1): 0.6, (1, 2): 0.4, (0.5, 2): 0.4}
    score, _ = scoring(values, fresh={(1, 1): 0.55, (0.5, 1): 0.54})
    assert search(GRID, score, tmp_path).chosen == Sampling()


def test_a_stopped_search_goes_on_with_the_settings_that_are_missing(tmp_path):
    values = {(1, 1): 0.5, (0.5, 1): 0.8, (1, 2): 0.7, (0.5, 2): 0.6}
    score, asked = scoring(values)
    found = search(GRID, score, tmp_path)
    assert len(asked) == 6
    (tmp_path / "temperature=0.5.json").unlink()
    asked.clear()
    assert search(GRID, score, tmp_path) == found
    assert asked == [(Sampling(0.5, recommended=False), 0)]


def test_the_summary_is_the_mean_of_shares_with_its_largest_error():
    entries = {
        "colour": {"score": 0.5, "n": 100},
        "shape": {"score": 0.9, "n": 100},
        "psnr": {"score": 20.0, "n": 100, "unit": "dB"},
        "colour_composited": {"score": 1.0, "n": 100},
        "variety": {"colour": 0.3},
    }
    found = summary(entries, 100)
    assert (found.score, found.clips) == (pytest.approx(0.7), 100)
    assert found.standard_error == pytest.approx((0.05 + 0.03) / 2, rel=0.02)
    assert summary({"colour": {"score": 0.0, "n": 2}}, 2).standard_error > 0.2  # two wrong ones prove little


def test_the_command_searches_and_writes_what_it_found(model_folder, tmp_path, capsys):
    shutil.copytree(model_folder, tmp_path / "model")
    before = RecommendedSampling({"unconditional": Sampling(0.8), "text_to_video": Sampling(0.9)})
    before.save(tmp_path / "model")
    words = ["sampling", "search", "--model", str(tmp_path / "model"), "--tasks", "text_to_video"]
    words += ["--clips", "2", "--temperatures", "0.2", "--guidance-scales", "1", "--write"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "the defaults" in said and "temperature 0.2" in said and "2 clips each" in said
    tables = (tmp_path / "sampling-search" / "sampling.txt").read_text()
    assert tables.startswith("text_to_video\nsampling") and tables in said
    scores = tmp_path / "sampling-search" / "text_to_video"
    kept = {path.stem: json.loads(path.read_text())["score"] for path in scores.iterdir()}
    lucky = kept["temperature=0.2"] > kept["defaults"]
    better = lucky and kept["temperature=0.2-fresh"] > kept["defaults-fresh"]
    wanted = {"unconditional": Sampling(0.8)} | ({"text_to_video": Sampling(0.2)} if better else {})
    assert RecommendedSampling.load(tmp_path / "model").tasks == wanted
    assert main([*words, "--seed", "1"]) == 2
    assert "holds scores made with seed 0, now 1" in capsys.readouterr().err
    assert main([*words, "--top-ps", "much"]) == 2
    assert "numbers with commas for --top-ps, such as 0.5,1; got 'much'" in capsys.readouterr().err
