"""The whole path once, with the debug configs; it is stopped on the way and must go on."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from videolm.cli import main as cli
from videolm.cli.config_files import CONFIGS, read_config
from videolm.cli.demo.demo import Record
from videolm.cli.demo.demo_page import BARS, bars
from videolm.cli.demo.demo_plan import Plan, Stage
from videolm.cli.training_curves import draw, read_curves
from videolm.data.runtime import model_source
from videolm.data.runtime.files import write_json
from videolm.data.runtime.model_source import DEFAULT
from videolm.data.runtime.progress import WHOLE, clock, progress
from videolm.generation.pipeline import VideoLM
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.task import film_task_names

STAGES = ["first clips", "synthesize", "tokenizer fit", "audio fit", "encode", "lm fit"]
STAGES += ["generate", "evaluate"]


class Demo(NamedTuple):
    out: Path
    pretrained: Path
    exit_code_when_stopped: int
    checkpoints_before: dict[str, float]
    exit_code: int
    printed: str


@pytest.fixture(scope="module")
def demo(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo of an installation with a packaged model, which is there in all tests."""
    out, pretrained = tmp_path_factory.mktemp("demo") / "run", tmp_path_factory.mktemp("pretrained")
    shutil.copytree(model_folder, pretrained / DEFAULT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_source, "PACKAGED", pretrained)
        yield _stopped_and_gone_on(out, pretrained)


def _stopped_and_gone_on(out: Path, pretrained: Path) -> Demo:
    arguments = ["demo", "--quick", "--clips", "2", "--out", str(out)]

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("videolm.tasks.training_data.encode_shards.encode_ranges", stopped)
        first = cli.main(arguments)
    before = _checkpoints(out)
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        second = cli.main(arguments)
    return Demo(out, pretrained, first, before, second, "\n".join(lines))


def test_a_stopped_demo_goes_on_with_the_stage_it_was_stopped_in(demo: Demo) -> None:
    assert demo.exit_code_when_stopped == 130
    assert demo.exit_code == 0
    for name in STAGES[:4]:
        assert f"{name}: done before" in demo.printed
    for name in STAGES[4:]:
        assert f"{name}: done before" not in demo.printed
    assert demo.checkpoints_before.keys() == {"tokenizer", "audio"}
    assert demo.checkpoints_before.items() <= _checkpoints(demo.out).items()


def test_the_report_has_every_number_it_promises(demo: Demo) -> None:
    report = json.loads((demo.out / "report.json").read_text())
    assert list(report["seconds"]) == [*STAGES, "page", "total"]
    assert report["seconds"]["total"] == pytest.approx(sum(list(report["seconds"].values())[:-1]), abs=0.1)
    assert {"psnr_db", "ssim", "code_use", "ceiling"} <= report["tokenizer"].keys()
    assert {"si_sdr_db", "code_use"} <= report["audio"].keys()
    assert report["lm"]["loss"] > 0
    assert report["lm"]["unigram_nats"] >= 0
    for task, labels in BARS.items():
        for label in labels:
            assert {"score", "chance", "n"} <= report["tasks"][task][label].keys()
    assert set(report["tasks"]) == set(film_task_names())
    for labels in report["tasks"].values():
        assert all({"score", "chance", "n"} <= entry.keys() for entry in labels.values())
    assert len(report["bars"]) == sum(len(labels) for labels in BARS.values())
    assert all(bar["met"] == (bar["score"] >= bar["at_least"]) for bar in report["bars"])


def test_one_model_has_all_tasks_and_recommends_what_its_config_says(demo: Demo) -> None:
    assert set(ModelConfig.load(demo.out / "model").tasks) == set(film_task_names())
    assert not list(demo.out.glob("*/*/model")) and not (demo.out / "all-tasks").exists()
    for name in ("debug", "demo"):
        config = read_config(CONFIGS / "lm" / f"{name}-tasks.yaml")
        assert set(config["data"]["tasks"]) == set(film_task_names())
    said = read_config(CONFIGS / "lm" / "demo-tasks.yaml")["data"]["recommended_sampling"]
    assert set(said) == set(film_task_names())


def test_the_page_shows_every_task_and_its_links_are_relative_and_exist(demo: Demo) -> None:
    page = (demo.out / "index.html").read_text()
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert len(links) == 11 * 3 + 1 + 2 * 4
    for link in links:
        assert not link.startswith(("/", "http", "file:"))
        assert (demo.out / link).is_file(), link
    for task in film_task_names():
        assert f"<b>{task}</b>" in page
        if not task.startswith("stylization"):
            assert f"videolm generate --model {demo.out}/model --task {task}" in page
    assert page.count("<svg") == 3


def test_a_new_packaged_model_makes_the_first_page_again_and_trains_nothing(
    demo: Demo, make_model: Callable[[int], VideoLM], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, former = demo.pretrained / DEFAULT, demo.pretrained / "former"
    folder.rename(former)
    make_model(1).save_pretrained(folder)
    try:
        assert cli.main(["demo", "--quick", "--clips", "2", "--out", str(demo.out)]) == 0
        printed = capsys.readouterr().out
        assert f"open {demo.out}/first/index.html while the training goes on" in printed
        assert "first clips: done before" not in printed
        assert printed.count("done before") == len(STAGES) - 1
    finally:
        shutil.rmtree(folder)
        former.rename(folder)


def test_without_a_packaged_model_one_line_says_so_and_the_rest_is_the_same(
    demo: Demo, packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--quick", "--clips", "2", "--out", str(demo.out)]) == 0
    line, *rest = capsys.readouterr().out.splitlines()
    assert line.startswith("this installation holds no packaged model shapes")
    assert sum("done before" in each for each in rest) == len(STAGES) - 1


def test_a_finished_demo_does_nothing_again(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--quick", "--clips", "2", "--out", str(demo.out)]) == 0
    capsys.readouterr()  # another test may have had another packaged model
    before = json.loads((demo.out / "report.json").read_text())["seconds"]
    assert cli.main(["demo", "--quick", "--clips", "2", "--out", str(demo.out)]) == 0
    assert capsys.readouterr().out.count("done before") == len(STAGES)
    after = json.loads((demo.out / "report.json").read_text())["seconds"]
    assert {name: after[name] for name in STAGES} == {name: before[name] for name in STAGES}


def test_a_stage_made_with_others_starts_anew_and_with_the_same_adds_its_seconds(tmp_path: Path) -> None:
    one, two = {"commands": ["videolm lm fit"]}, {"commands": ["videolm lm fit --seed_everything 2"]}
    stage = Stage("lm fit", (("lm", "fit"),), 1, folder=tmp_path / "training/lm")
    checkpoint = tmp_path / "training/lm/last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    record = Record(tmp_path, stage, one)
    record.begin()
    record.end(5.0, done=False)
    again = Record(tmp_path, stage, one)
    assert not again.is_done
    again.begin()
    again.end(2.0, done=True)
    assert Record(tmp_path, stage, one).is_done
    assert Record(tmp_path, stage, one).seconds == 7.0
    assert checkpoint.exists()
    other = Record(tmp_path, stage, two)
    assert not other.is_done
    other.begin()
    assert not checkpoint.exists()
    assert other.seconds == 0.0


def test_a_record_of_an_earlier_version_starts_anew(tmp_path: Path) -> None:
    stage = Stage("lm fit", (("lm", "fit"),), 1, folder=tmp_path / "training/lm")
    (tmp_path / "training/lm").mkdir(parents=True)
    path = tmp_path / "demo/lm-fit.json"
    write_json(path, {"key": "0123456789abcdef", "done": True, "seconds": 5.0, "started": None})
    record = Record(tmp_path, stage, {"commands": ["videolm lm fit"]})
    assert not record.is_done
    record.begin()
    assert not (tmp_path / "training/lm").exists() and record.seconds == 0.0


def test_a_killed_stage_counts_the_seconds_up_to_its_last_file(tmp_path: Path) -> None:
    stage = Stage("lm fit", (("lm", "fit"),), 1, folder=tmp_path / "training/lm")
    Record(tmp_path, stage, {"commands": []}).begin()  # and never ends
    checkpoint = tmp_path / "training/lm/last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    later = time.time() + 30
    os.utime(checkpoint, (later, later))
    again = Record(tmp_path, stage, {"commands": []})
    again.begin()
    assert again.seconds == pytest.approx(30, abs=2)


def test_every_full_stage_is_a_command_that_exists(tmp_path: Path) -> None:
    for stage in Plan(tmp_path, seed=0, clips=4, quick=False).stages():
        for command in stage.commands:
            assert " ".join(command[:2]) in cli.COMMANDS or command[0] in cli.COMMANDS


def test_a_bar_is_met_from_its_score_on() -> None:
    scores = {"video_to_audio": {"pitch": {"score": 0.8}}}
    assert bars(scores) == [
        {"task": "video_to_audio", "label": "pitch", "at_least": 0.8, "score": 0.8, "met": True}
    ]
    scores["video_to_audio"]["pitch"]["score"] = 0.79
    assert not bars(scores)[0]["met"]


def test_curves_hold_what_the_file_says_and_are_drawn_in_the_pages_colour(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("epoch,step,train/loss,val/loss\n0,0,2.0,\n0,10,1.5,\n0,10,,1.75\n")
    curves = read_curves(metrics)
    assert curves == {"train/loss": [(0, 2.0), (10, 1.5)], "val/loss": [(10, 1.75)]}
    svg = draw(curves, ["train/loss", "val/loss"], "test")
    assert svg.startswith("<svg")
    assert "currentColor" in svg


def test_progress_in_a_log_is_a_line_now_and_then_with_the_time_left(monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr("videolm.data.runtime.progress.time.monotonic", lambda: now[0])
    token = WHOLE.set(lambda share: f"(half of all: {share:.1f})")
    try:
        with progress("work", 100) as report:
            for step in range(1, 51):
                now[0] += 1.0
                report(step, "loss 1")
    finally:
        WHOLE.reset(token)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "work: 15/100, 1:25 left  loss 1  (half of all: 0.1)"


def test_clock_counts_minutes_and_hours() -> None:
    assert [clock(seconds) for seconds in (0.4, 42, 725, 3723)] == ["0:00", "0:42", "12:05", "1:02:03"]


def _checkpoints(out: Path) -> dict[str, float]:
    """When the checkpoint of each stage was written."""
    return {path.parent.name: path.stat().st_mtime for path in (out / "training").glob("*/last.ckpt")}
