"""The page of a model folder, what people add to it, and the scores on it."""

import json
import shutil
import threading
import warnings
from pathlib import Path

import pytest
import yaml

from videolm.generation.pipeline import VideoLM
from videolm.tasks.model_card import ModelCard, is_written_here, page_of, write_card
from videolm.tasks.model_config import check_model, model_fingerprint
from videolm.tasks.model_scores import Evaluation, ModelScore, add_scores, read_scores

PRETRAINED = Path(__file__).parents[2] / "pretrained"


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def page(folder: Path) -> str:
    return (folder / "README.md").read_text()


def front(folder: Path) -> dict:
    return yaml.safe_load(page(folder).split("---\n")[1])


def test_a_saved_model_has_a_page_with_its_tasks_sizes_and_parameters(folder):
    text = page(folder)
    assert is_written_here(text)
    assert front(folder)["library_name"] == "videolm"
    assert front(folder)["pipeline_tag"] == "text-to-video"
    assert {"videolm", "text-to-video", "video-to-audio"} <= set(front(folder)["tags"])
    assert "license" not in front(folder)
    assert "9 frames of 32x32 (height x width), 8 a second, 1.1 s; sound of 16 kHz" in text
    assert "| `image_to_video` | takes image, [text]; makes video |" in text
    assert 'videolm generate --model MODEL --task text_to_video --text "…" --out out.mp4' in text
    count = sum(value.numel() for value in VideoLM.from_pretrained(folder, "cpu").lm.state_dict().values())
    assert f"| lm | {count:,} | F32, " in text
    assert "None yet: `videolm evaluate --model MODEL` adds them." in text


def test_what_people_know_is_kept_when_the_model_is_written_again(folder, tmp_path):
    card = ModelCard("A film maker", "user/films", data="Films: of *mine*.", license="cc-by-4.0", notes="N")
    write_card(folder, card)
    assert front(folder)["license"] == "cc-by-4.0"
    for line in ("# A film maker", "Films: of *mine*.", "Licence of the weights: cc-by-4.0.", "## Notes"):
        assert line in page(folder).splitlines()
    assert 'VideoLM.from_pretrained("user/films")' in page(folder)
    model = VideoLM.from_pretrained(folder, "cpu")
    model.save_pretrained(folder)
    model.save_pretrained(tmp_path / "other")
    for each in (folder, tmp_path / "other"):
        assert ModelCard.load(each) == card
        assert "# A film maker" in page(each)


def test_a_licence_in_words_is_valid_front_matter(folder):
    write_card(folder, ModelCard(license='Mine: "all"\nrights'))
    assert front(folder)["license"] == "other"
    assert front(folder)["license_name"] == 'Mine: "all" rights'


def test_a_page_that_was_edited_stays_and_the_model_loads(folder):
    before = model_fingerprint(folder)
    edited = page(folder).replace("# A video language model", "# My model")
    (folder / "README.md").write_text(edited)
    with pytest.warns(UserWarning, match=r"README.md was edited by hand and stays; remove it"):
        write_card(folder, ModelCard(data="Films."))
    assert page(folder) == edited
    check_model(folder)
    assert model_fingerprint(folder) == before
    (folder / "README.md").unlink()
    write_card(folder)
    assert "Films." in page(folder)


def test_a_card_that_is_damaged_neither_stops_saving_nor_loading(folder):
    (folder / "card.json").write_text('{"licence": 3}')
    model = VideoLM.from_pretrained(folder, "cpu")
    before = page(folder)
    with pytest.warns(UserWarning, match=r"is not written: .*card.json has unknown settings"):
        model.save_pretrained(folder)
    assert page(folder) == before
    VideoLM.from_pretrained(folder, "cpu")


def evaluation(folder: Path, protocol: str = "shapes", date: str = "2026-11-30", **settings) -> Evaluation:
    scores = (ModelScore("text_to_video colour", 0.981, 0.125, 1.0), ModelScore("fvd"))
    return Evaluation(protocol, date, model_fingerprint(folder), settings, scores)


def test_scores_of_several_protocols_and_days_stand_side_by_side(folder):
    before = model_fingerprint(folder)
    many = [
        evaluation(folder),
        evaluation(folder, date="2026-12-01"),
        evaluation(folder, "ucf101"),
        evaluation(folder, seed=1),
    ]
    for each in [*many, many[0]]:
        add_scores(folder, each)
    assert read_scores(folder) == {each.key: each for each in many}
    assert model_fingerprint(folder) == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_card(folder)
    assert "Protocol ucf101, 2026-11-30:" in page(folder)
    assert "Protocol shapes, 2026-11-30 (seed 1):" in page(folder)
    assert "| text_to_video colour | 0.981 | 0.125 | 1 |" in page(folder)
    assert "None yet" not in page(folder) and "| fvd |" not in page(folder)


def test_scores_of_former_weights_are_not_on_the_page(folder, make_model):
    add_scores(folder, evaluation(folder))
    make_model(1).save_pretrained(folder)
    assert len(read_scores(folder)) == 1
    assert "None yet" in page(folder)


def test_two_writers_of_scores_lose_none(folder):
    each = [evaluation(folder, f"protocol-{number}") for number in range(8)]
    threads = [threading.Thread(target=add_scores, args=(folder, one)) for one in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_scores(folder)) == len(each)


@pytest.mark.parametrize("content", [[], {"a": 3}, {"a": {"scores": 3}}, {"a": {"scores": [{"name": 3}]}}])
def test_other_content_is_refused_by_its_name(folder, content):
    (folder / "scores.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"scores\.json"):
        add_scores(folder, evaluation(folder))


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in PRETRAINED.glob("*/config.json")))
def test_every_model_of_the_project_says_what_it_is_of_and_its_page_is_that_of_its_files(folder):
    card = ModelCard.load(PRETRAINED / folder)
    assert card.title and card.data and card.license and card.notes
    assert (PRETRAINED / folder / "README.md").read_text() == page_of(PRETRAINED / folder)
