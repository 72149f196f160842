"""Forms of prompts: training has some and never the others; all are read as what they say."""

import re

import pytest

from videolm.data.sources.caption_variation import FORMS as VARIATIONS
from videolm.data.sources.caption_variation import varied
from videolm.data.synthetic.caption_grammar import NUM_PHRASINGS, caption_of
from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.scene import COLOURS, SHAPES
from videolm.evaluation.evaluate_model import page_of, print_scores
from videolm.evaluation.protocols.prompt_forms import FORMS, HELD_OUT, TRAINED, Form
from videolm.evaluation.protocols.prompt_forms_exam import lowest, run_prompt_forms
from videolm.evaluation.protocols.shapes_exam import ExamSettings
from videolm.generation.best_of import words_in
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.text_budget import LEAST_PIECES, vocabulary_size
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer

CORPUS = Corpus(height=16, width=16, num_frames=2, split="all")
SCENES = [CORPUS.scene(number) for number in range(24)]
WORDS = re.compile(r"\{\w+\}")
SAID = {"{colour}": f"({'|'.join(COLOURS)})", "{shape}": f"({'|'.join(SHAPES)})"}


def training_captions(count: int) -> list[str]:
    """As a training shows them: told plainly and in written forms, each at times varied once more."""
    told = [text for number in range(count) for text in CORPUS.captions(number)]
    return told + [varied(text, number % VARIATIONS) for number, text in enumerate(told)]


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return training_captions(600)


@pytest.fixture(scope="module")
def tokenizer(captions) -> TextTokenizer:
    return TextTokenizer.train(captions, vocabulary_size(captions))


def pattern(form: Form) -> re.Pattern[str]:
    """Matches texts of a form: its own words and signs, with anything for most of the scene's."""
    own = form.template.replace("{{", "{").replace("}}", "}")
    written = iter(WORDS.findall(own))
    parts = [re.escape(part.casefold()) for part in WORDS.split(own)]
    for number in range(1, len(parts)):
        parts[number] = f"{SAID.get(next(written), '.+')}{parts[number]}"
    return re.compile("".join(parts), re.DOTALL)


@pytest.mark.parametrize("form", HELD_OUT, ids=lambda form: form.name)
def test_training_has_no_caption_of_a_held_out_form(captions, form: Form):
    known = {caption.casefold() for caption in captions}
    for scene in SCENES:
        assert form(scene).casefold() not in known
    if form.change is not str:
        return
    assert pattern(form).fullmatch(form(SCENES[0]).casefold())
    assert not [caption for caption in known if pattern(form).fullmatch(caption)]
    longest = max((part.strip().casefold() for part in WORDS.split(form.template)), key=len)
    assert len(longest) < 7 or not any(longest in caption for caption in known)


@pytest.mark.parametrize("form", TRAINED, ids=lambda form: form.name)
def test_training_has_the_words_and_signs_of_the_other_forms(captions, form: Form):
    everything = "\n".join(captions).casefold()
    for part in WORDS.split(form.template):
        for word in part.casefold().split():
            assert word in everything


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_what_is_read_of_a_form_is_known_and_says_the_same(tokenizer, form: Form):
    for scene in SCENES:
        reading = tokenizer.read(form(scene))
        assert set(reading.ids) <= tokenizer.seen
        assert len(reading.ids) <= LEAST_PIECES
        camera = {} if scene.camera == "still" else {"camera": scene.camera}
        said = {"colour": scene.colour, "shape": scene.shape, "motion": scene.motion} | camera
        assert words_in(tokenizer.decode(reading.ids)) == said, (form(scene), tokenizer.decode(reading.ids))


def test_plain_captions_stay_what_they_were():
    scene = SCENES[0]
    assert FORMS[0](scene) == caption_of(scene)
    told = {caption_of(scene, phrasing) for phrasing in range(NUM_PHRASINGS)}
    assert CORPUS[0].caption in told and CORPUS.captions(0)[0] == CORPUS[0].caption


def entry(name: str, held_out: bool, motion: float) -> dict:
    scores = {"colour": 1.0, "shape": 0.9, "motion": motion}
    return {"name": name, "held_out": held_out} | {label: {"score": each} for label, each in scores.items()}


def test_the_lowest_scores_name_their_forms():
    scored = [entry("plain", False, 0.1), entry("quotes", False, 0.8), entry("full stop", False, 0.9)]
    found = lowest([*scored, entry("gif", True, 0.7)])
    assert found["trained"]["motion"] == {"score": 0.8, "form": "quotes"}
    assert found["held_out"]["motion"] == {"score": 0.7, "form": "gif"}
    assert "held_out" not in lowest(scored)


def test_a_model_is_scored_on_each_form_beside_the_plain_one(model, capsys):
    settings = ExamSettings(clips=1, sampling=Sampling(temperature=0.5))
    (web_sites,) = [form for form in HELD_OUT if form.name == "web sites"]
    forms = (TRAINED[0], TRAINED[1], web_sites)
    report = run_prompt_forms(model, settings, forms).report
    assert [each["name"] for each in report["prompt_forms"]] == [form.name for form in forms]
    assert [each["held_out"] for each in report["prompt_forms"]] == [False, False, True]
    for each in report["prompt_forms"]:
        assert all(0 <= each[label]["score"] <= 1 and each[label]["n"] == 1 for label in ("colour", "motion"))
    assert "hyperrealistic" in report["prompt_forms"][2]["left_out"]
    assert not report["prompt_forms"][0]["left_out"]
    report |= {"protocol": "prompt-forms", "source": "synthetic", "clips": 1, "model": "m", "examples": []}
    tables = page_of(report).sections[0].blocks
    assert [table.title for table in tables] == ["in training captions", "held out of training captions"]
    assert [len(table.rows) for table in tables] == [2, 1]
    print_scores(report)
    assert re.search(r"web sites +\d\.\d\d", capsys.readouterr().out)
