"""What a training says while it runs, in plain lines and once."""

from datetime import datetime

from tiny_fit import QUALITY, TinyTraining, tiny_fit

from videolm.data.loading.training_amount import TrainingAmount
from videolm.training.best_model import BestModel
from videolm.training.run_news import RunNews, pace


def test_the_pace_says_how_long_and_until_when():
    now = datetime(2026, 3, 1, 14, 20)
    assert pace(0.31, 2000, now) == (
        "0.31 s a step: 2,000 steps to go take about 10:20, until 14:30, and validations"
    )
    assert "until 2026-03-02 02:20" in pace(0.5, 86_400, now)



def said(tmp_path, capsys, scores, **settings) -> list[str]:
    amount = TrainingAmount(400, 20, "8 clips", steps_a_pass=5.0)
    best = BestModel(tmp_path / "news", "part", QUALITY, keeps=False)
    tiny_fit(
        tmp_path, TinyTraining(scores), callbacks=[best, RunNews("lm", lambda _: amount, best)], **settings
    )
    return [line.removeprefix("lm: ") for line in capsys.readouterr().out.splitlines()]


def test_a_training_says_what_it_is_about_to_do_and_how_long_it_takes(tmp_path, capsys):
    lines = said(tmp_path, capsys, {}, steps=30, interval=10, checkpoint_every=5)
    assert lines[:2] == [
        "400 clips to learn from, 20 held out; a step sees 8 clips; 1 parameters",
        "30 steps: each clip is seen 6 times; validated every 10 steps, and soon for the first time",
    ]
    assert lines[2] == "step 10: PSNR of held-out clips 0.00 dB"
    (timed,) = (line for line in lines if " s a step" in line)
    assert " s a step: 10 steps to go take about 0:0" in timed


def test_a_training_that_goes_on_says_from_where(tmp_path, capsys):
    said(tmp_path, capsys, {}, steps=4)
    lines = said(tmp_path, capsys, {}, steps=30, interval=10)
    assert lines[1] == "step 4 of 30 steps: each clip is seen 6 times; validated every 10 steps"
    assert any("s a step: 6 steps to go" in line for line in lines)


def test_a_short_training_says_nothing_of_its_pace(tmp_path, capsys):
    assert not any("s a step" in line for line in said(tmp_path, capsys, {}, steps=6))


def test_the_first_validation_says_where_pictures_are(tmp_path, capsys):
    (tmp_path / "samples").mkdir()
    lines = said(tmp_path, capsys, {2: 1.5, 4: 2.5}, steps=4)
    shown = f"step 2: PSNR of held-out clips 1.50 dB; pictures in {tmp_path / 'samples'}"
    assert lines[2:] == [shown, "step 4: PSNR of held-out clips 2.50 dB"]


def test_it_warns_once_that_validation_has_become_worse(tmp_path, capsys):
    scores = {2: 5.0, 4: 3.0, 6: 2.0, 8: 1.5, 10: 1.0, 12: 0.5}
    lines = said(tmp_path, capsys, scores, steps=12)
    assert [line for line in lines if "worse" in line] == [
        "validation is worse since step 2 (5.00 -> 1.50 dB): the model learns its clips by heart; "
        "more clips or fewer steps would help"
    ]
