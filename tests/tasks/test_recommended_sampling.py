import json

import pytest

from videolm.data.runtime.checksums import check_files
from videolm.lm.decoding.sampling import DrawSettings, Sampling
from videolm.tasks.model_config import model_fingerprint
from videolm.tasks.recommended_sampling import SAMPLING, RecommendedSampling
from videolm.tasks.task import task_names

RECOMMENDED = RecommendedSampling({"image_to_video": Sampling(0.5, top_p=0.9, guidance_scale=2.0)})


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_what_is_asked_for_wins_over_the_recommendation_and_that_over_the_defaults():
    asked = Sampling(temperature=0.7, top_k=8)
    wanted = DrawSettings(0.7, top_k=8, top_p=0.9, guidance_scale=2.0)
    assert RECOMMENDED.settings("image_to_video", asked) == wanted
    assert RECOMMENDED.used("image_to_video", asked) == ["top_p", "guidance_scale"]
    assert RECOMMENDED.settings("text_to_video", asked) == asked.settings()
    assert RECOMMENDED.settings("image_to_video", Sampling(top_p=1)) == DrawSettings(0.5, guidance_scale=2.0)


def test_the_plain_defaults_can_be_asked_for():
    asked = Sampling(top_k=8, recommended=False)
    assert RECOMMENDED.settings("image_to_video", asked) == DrawSettings(top_k=8)
    assert RECOMMENDED.used("image_to_video", asked) == []


def test_a_recommended_guidance_is_left_out_where_there_is_no_text():
    assert RECOMMENDED.settings("image_to_video", text=False) == DrawSettings(0.5, top_p=0.9)
    asked = Sampling(guidance_scale=3.0)  # the prompt refuses it
    assert RECOMMENDED.settings("image_to_video", asked, text=False).guidance_scale == 3


def test_a_recommendation_goes_over_another_field_by_field():
    other = RecommendedSampling({"image_to_video": Sampling(0.1, top_k=5), "unconditional": Sampling(0.8)})
    both = RECOMMENDED.over(other)
    assert both.tasks["image_to_video"] == Sampling(0.5, 5, 0.9, 2.0)
    assert both.of_tasks(["unconditional", "inpainting"]).tasks == {"unconditional": Sampling(0.8)}


def test_a_folder_keeps_it_outside_the_fingerprint_and_its_checksums_stay_right(folder):
    before = model_fingerprint(folder)
    assert RecommendedSampling.load(folder) == RecommendedSampling()
    for wanted in (RECOMMENDED, RecommendedSampling({"unconditional": Sampling(0.5)})):
        wanted.save(folder)
        check_files(folder)
        assert RecommendedSampling.load(folder) == wanted and model_fingerprint(folder) == before
        assert SAMPLING in json.loads((folder / "checksums.json").read_text())["files"]
    (folder / SAMPLING).write_text((folder / SAMPLING).read_text().replace("0.5", "0.6"))
    with pytest.raises(ValueError, match=r"sampling\.json is damaged or was changed"):
        RecommendedSampling.load(folder)
    RecommendedSampling().save(folder)
    check_files(folder)
    assert not (folder / SAMPLING).exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"it holds \[\]; expected settings by tasks"),
        ({"text_to_song": {}}, "it names task 'text_to_song'; the tasks of the model are audio_to_video"),
        ({"text_to_video": 1}, "it, text_to_video holds 1; expected an object"),
        ({"text_to_video": {"heat": 1}}, r"it, text_to_video has unknown settings \['heat'\]"),
        ({"text_to_video": {"temperature": "1"}}, "temperature is '1'; expected a finite number"),
        ({"text_to_video": {"top_p": 0}}, "top_p is 0; expected a number above 0"),
        ({"text_to_video": {"decoding": "compiled"}}, "decoding cannot be recommended"),
        ({"video_to_audio": {"guidance_scale": 2}}, "leads towards a text, and video_to_audio takes none"),
    ],
)
def test_what_cannot_be_recommended_is_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=message) as error:
        RecommendedSampling.of(values, task_names(), "it")
    assert "\n" not in str(error.value)


def test_a_file_of_another_version_is_refused(folder):
    (folder / SAMPLING).write_text('{"version": 2, "tasks": {}}')
    with pytest.raises(ValueError, match=r"sampling\.json is none that this videolm reads"):
        RecommendedSampling.load(folder)
