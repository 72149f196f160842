"""Scores of an evaluation in the folder of its model."""

import shutil
from pathlib import Path

import pytest

from videolm.data.runtime.files import read_json
from videolm.evaluation.evaluate_model import evaluate_model
from videolm.evaluation.metrics.score import Score
from videolm.evaluation.protocols.shapes_exam import ExamSettings
from videolm.evaluation.stored_scores import of_measures, store_scores
from videolm.tasks.model_config import model_fingerprint
from videolm.tasks.model_scores import ModelScore, read_scores


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def test_an_evaluation_puts_its_scores_into_the_folder_and_on_its_page(folder, tmp_path):
    settings = ExamSettings(clips=1, tasks=("text_to_video",))
    before = model_fingerprint(folder)
    written = evaluate_model(folder, "shapes", tmp_path / "out", settings)
    assert folder / "scores.json" in written
    (stored,) = read_scores(folder).values()
    report = read_json(tmp_path / "out" / "report.json")
    colour = report["tasks"]["text_to_video"]["colour"]
    assert stored.protocol == "shapes" and stored.model_fingerprint == model_fingerprint(folder) == before
    assert stored.settings == {"source": "synthetic", "clips": 1, "seed": 0}
    found = {each.name: each for each in stored.scores}
    ceiling = report["tokenizer"]["ceiling"]["colour"]["score"]
    expected = ModelScore("text_to_video colour", colour["score"], colour["chance"], ceiling)
    assert found["text_to_video colour"] == expected
    assert "text_to_video colour, unseen pairs" in found
    assert "Protocol shapes, " in (folder / "README.md").read_text()


def test_what_was_not_computed_is_not_stored():
    scores = [Score("fvd", reason="no weights"), Score("psnr_db", 20.5)]
    assert of_measures(scores) == [ModelScore("psnr_db", 20.5)]


def test_a_packaged_model_and_a_folder_without_rights_stay_as_they_are(folder, packaged, monkeypatch, capsys):
    shipped = Path(shutil.copytree(folder, packaged / "shapes"))
    assert store_scores(shipped, "shapes", {}, []) == []
    assert "the scores are not added to shapes" in capsys.readouterr().out
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert store_scores(folder, "shapes", {}, []) == []
    assert f"not added to {folder.resolve()}" in capsys.readouterr().out
    for each in (shipped, folder):
        assert not (each / "scores.json").exists()
