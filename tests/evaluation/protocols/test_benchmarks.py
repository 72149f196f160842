"""The benchmarks of the literature on miniature copies of the layouts in which people have their data."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from videolm.cli.main import main
from videolm.data.analysis.depth import FlatDepth
from videolm.data.analysis.geometry import EstimatedGeometry
from videolm.data.media.clip import Clip, write_clip
from videolm.data.synthetic.corpus import Corpus
from videolm.evaluation.benchmark_run import BenchmarkRun, RunSettings, Sources, run_benchmark
from videolm.evaluation.protocols.benchmark import Footage, Wanted
from videolm.evaluation.protocols.footage import drawn, read_footage
from videolm.evaluation.protocols.registry import BENCHMARKS
from videolm.evaluation.protocols.ucf101 import class_in_words
from videolm.evaluation.resumable import Share
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.model_config import save_model_files
from videolm.tasks.recommended_sampling import RecommendedSampling

STILL = EstimatedGeometry(lambda clip: torch.zeros(clip.num_frames, 2, clip.height, clip.width), FlatDepth())


@pytest.fixture(scope="module")
def video() -> Clip:
    return Corpus(height=48, width=64, num_frames=20, fps=25.0, sample_rate=16000, split="train")[0]


def msr_vtt(folder: Path, video: Clip) -> None:
    (folder / "videos" / "all").mkdir(parents=True)
    names = [f"video{number}" for number in range(4)]
    for name in names:
        write_clip(video, folder / "videos/all" / f"{name}.mp4")
    videos = [{"video_id": name, "split": "train" if name == "video0" else "test"} for name in names]
    sentences = [
        {"video_id": name, "sen_id": 6 * place + turn, "caption": f"a red square moves {turn} {name}"}
        for place, name in enumerate(names)
        for turn in range(6)
    ]
    (folder / "MSRVTT_data.json").write_text(json.dumps({"videos": videos, "sentences": sentences}))
    (folder / "other.json").write_text("[1, 2]")


def ucf101(folder: Path, video: Clip) -> None:
    (folder / "ucfTrainTestlist").mkdir(parents=True)
    lists = {"trainlist01.txt": [], "testlist01.txt": []}
    for number, name in enumerate(("ApplyEyeMakeup", "YoYo")):
        (folder / "UCF-101" / name).mkdir(parents=True)
        for group, listed in zip(("g08", "g01"), lists.values(), strict=True):
            write_clip(video, folder / "UCF-101" / name / f"v_{name}_{group}_c01.mp4")
            suffix = f" {number + 1}" if group == "g08" else ""
            listed.append(f"{name}/v_{name}_{group}_c01.avi{suffix}")
    for name, lines in lists.items():
        (folder / "ucfTrainTestlist" / name).write_text("\n".join(lines) + "\n")


def kinetics600(folder: Path, video: Clip) -> None:
    (folder / "val" / "abseiling").mkdir(parents=True)
    (folder / "annotations").mkdir()
    rows = ["label,youtube_id,time_start,time_end,split"]
    for name, split in (("a_-_b_c_d_e", "val"), ("0123456789a", "train")):
        write_clip(video, folder / "val/abseiling" / f"{name}_000003_000013.mp4")
        rows.append(f"abseiling,{name},3,13,{split}")
    (folder / "annotations" / "kinetics600.csv").write_text("\n".join(rows))


def something(folder: Path, video: Clip) -> None:
    (folder / "20bn-something-something-v2").mkdir(parents=True)
    (folder / "labels").mkdir()
    write_clip(video, folder / "20bn-something-something-v2" / "74225.webm")
    labels = [{"id": "74225", "label": "spinning cube"}, {"id": "1", "label": "lost"}]
    (folder / "labels" / "validation.json").write_text(json.dumps(labels))


def davis(folder: Path, video: Clip) -> None:
    pictures = folder / "JPEGImages" / "480p" / "bear"
    pictures.mkdir(parents=True)
    for number in range(12):
        write_clip(video.window(number, 1), pictures / f"{number:05d}.png")
    lines = [{"video": "bear", "start": 2, "prompt": "a red square"}, {"video": "bear", "prompt": "a circle"}]
    (folder / "prompts.jsonl").write_text("\n".join(json.dumps(line) for line in lines))


def sound(folder: Path, video: Clip) -> None:
    folder.mkdir()
    for number in range(2):
        write_clip(replace(video, fps=10.0), folder / f"{number}.mp4")


LAYOUTS: dict[str, Callable[[Path, Clip], None]] = {
    "msr-vtt": msr_vtt,
    "ucf101": ucf101,
    "kinetics600": kinetics600,
    "ssv2-inpainting": something,
    "ssv2-outpainting": something,
    "davis": davis,
    "sound": sound,
}


@pytest.fixture(scope="module")
def data(video: Clip, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    for name, build in LAYOUTS.items():
        build(folder / name, video)
    return {name: folder / name for name in LAYOUTS}


def run(name: str, model_folder: Path, data: dict[str, Path], out: Path, cases: int = 3) -> dict:
    sources = Sources(model_folder, data[name], geometry=STILL)
    run_benchmark(BENCHMARKS[name], sources, out, RunSettings(clips=cases))
    return json.loads((out / "report.json").read_text())


def test_every_benchmark_has_a_layout_here() -> None:
    assert LAYOUTS.keys() == BENCHMARKS.keys()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_from_a_miniature_of_its_data_to_a_report(
    name: str, model_folder: Path, data, tmp_path: Path
) -> None:
    report = run(name, model_folder, data, tmp_path / "out")
    benchmark = BENCHMARKS[name]
    assert set(report["scores"]) == set(benchmark.scores)
    assert report["generated"]["clips"] == (2 if name in ("davis", "sound") else 3)
    assert report["generated"]["skipped"] == []
    if fallback := {"fvd_random", "fad_mel"} & set(benchmark.scores):
        score = report["scores"][fallback.pop()]
        assert score["value"] is not None or "at least 2 clips" in score["not_computed"]
        assert {"num_frames", "generated_size", "real_size", "real_fps", "seed", "set_size"} <= score.keys()
    assert any("Not the protocol's number of clips" in remark for remark in report["remarks"])
    table = (tmp_path / "out" / "scores.md").read_text()
    assert all(row.model in table and row.source in table for row in benchmark.published)
    assert (tmp_path / "out" / "index.html").is_file()


def test_captions_of_the_test_split_are_asked_in_order(data) -> None:
    material = BENCHMARKS["msr-vtt"].find(data["msr-vtt"], Wanted(None, real=2))
    expected = [f"a red square moves {turn} video{name}" for name in (1, 2, 3) for turn in range(6)]
    assert [case.text for case in material.cases] == expected
    assert len({footage.path for footage in material.real}) == 2
    assert all(footage.path.stem != "video0" for footage in material.real)


def test_classes_of_test_videos_are_asked_and_training_videos_compared(data) -> None:
    material = BENCHMARKS["ucf101"].find(data["ucf101"], Wanted(4, real=3))
    assert sorted(case.text for case in material.cases) == ["apply eye makeup"] * 2 + ["yo yo"] * 2
    assert all("_g08_" in footage.path.name for footage in material.real)
    assert class_in_words("BodyWeightSquats") == "body weight squats"


def test_only_validation_videos_are_continued_and_each_sample_has_its_repeats(data) -> None:
    material = BENCHMARKS["kinetics600"].find(data["kinetics600"], Wanted(4, real=2))
    assert {footage.path.name[:11] for footage in material.real} == {"a_-_b_c_d_e"}
    assert [case.footage for case in material.cases] == [*material.real, *material.real]
    assert material.real[0].draw != material.real[1].draw


def test_the_central_window_and_the_drawn_one_are_of_the_file(data, video: Clip) -> None:
    path = next(data["kinetics600"].rglob("*.mp4"))
    whole = read_footage(Footage(path, "start"), 20, 48, 64)
    centre = read_footage(Footage(path, "centre"), 16, 48, 64)
    assert torch.equal(centre.frames, whole.frames[2:18])
    windows = [read_footage(Footage(path, "anywhere", draw=draw), 16, 48, 64) for draw in range(8)]
    firsts = {
        next(first for first in range(5) if torch.equal(window.frames, whole.frames[first : first + 16]))
        for window in windows
    }
    assert len(firsts) > 1
    assert "20 frames; 21 are needed" in read_footage(Footage(path), 21, 48, 64)


def test_pictures_of_a_folder_begin_where_the_prompt_says(data, video: Clip) -> None:
    folder = data["davis"] / "JPEGImages/480p/bear"
    clip = read_footage(Footage(folder, "start", first_frame=2), 9, 48, 64)
    assert torch.equal(clip.frames, video.frames[2:11])


def test_draws_take_every_item_before_one_twice() -> None:
    items = [Path(str(number)) for number in range(5)]
    draws = list(drawn(items, 12, seed=3))
    assert sorted(path for _, path in draws[:5]) == sorted(path for _, path in draws[5:10]) == items
    assert len({number for number, _ in draws}) == 12
    assert draws == list(drawn(items, 12, seed=3))
    assert draws != list(drawn(items, 12, seed=4))


@pytest.mark.long
def test_a_stopped_run_goes_on_to_the_same_clips(model_folder, data, tmp_path, monkeypatch) -> None:
    whole = run("ucf101", model_folder, data, tmp_path / "whole", cases=20)
    generate = BenchmarkRun._generate

    def interrupted(self: BenchmarkRun, numbers: range) -> list:
        if 16 in numbers:
            raise KeyboardInterrupt
        return generate(self, numbers)

    monkeypatch.setattr(BenchmarkRun, "_generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("ucf101", model_folder, data, tmp_path / "stopped", cases=20)
    monkeypatch.undo()
    first = tmp_path / "stopped/work/clips/000000.npz"
    written = first.stat().st_mtime_ns
    again = run("ucf101", model_folder, data, tmp_path / "stopped", cases=20)
    assert first.stat().st_mtime_ns == written
    assert again["scores"] == whole["scores"]


@pytest.mark.long
def test_two_processes_make_the_clips_of_one(model_folder, data, tmp_path) -> None:
    whole = run("msr-vtt", model_folder, data, tmp_path / "whole", cases=20)
    sources = Sources(model_folder, data["msr-vtt"])
    arguments = BENCHMARKS["msr-vtt"], sources, tmp_path / "shared", RunSettings(clips=20)
    assert not run_benchmark(*arguments, share=Share(1, 2))
    assert run_benchmark(*arguments, share=Share(0, 2))
    shared = json.loads((tmp_path / "shared" / "report.json").read_text())
    assert shared["scores"] == whole["scores"]


def test_footage_that_cannot_be_read_is_left_out_and_the_others_keep_their_seeds(
    model_folder, data, video, tmp_path
) -> None:
    whole = run("sound", model_folder, data, tmp_path / "whole")
    broken = tmp_path / "broken"
    sound(broken, video)
    (broken / "0.mp4").write_bytes(b"no film")
    report = run("sound", model_folder, {"sound": broken}, tmp_path / "out")
    assert whole["generated"]["clips"] == 2
    assert report["generated"]["clips"] == 1
    assert "0.mp4: not a media file" in report["generated"]["skipped"][0]
    sounds = [np.load(tmp_path / out / "work/clips/000000.npz")["1/waveform"] for out in ("whole", "out")]
    np.testing.assert_allclose(*sounds, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--protocol ucf101", "needs --data, a folder with class folders"),
        ("--protocol ucf101 --data {tmp}/nowhere", "there is no folder"),
        ("--protocol msr-vtt --data {data}/ucf101", "expected annotations of MSR-VTT"),
        ("--protocol ucf101 --data {data}/msr-vtt", "has no testlist01.txt"),
        ("--protocol davis --data {data}/sound", "has no prompts.jsonl"),
        ("--protocol ssv2-inpainting --data {data}/sound", "has no validation.json"),
        ("--protocol ucf101 --data {data}/ucf101 --clips 0", "clips is 0"),
        ("--protocol sound --data {data}/sound --rank 3 --world 2", "rank is 3 of 2"),
    ],
)
def test_mistakes_get_one_line(model_folder, data, tmp_path, capsys, arguments: str, message: str) -> None:
    words = arguments.format(tmp=tmp_path, data=data["sound"].parent).split()
    code = main(["evaluate", "--model", str(model_folder), *words, "--out", str(tmp_path / "out")])
    assert code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_the_record_says_what_was_decided_and_a_changed_recommendation_is_refused(
    model_folder, data, tmp_path
) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    RecommendedSampling({"video_to_audio": Sampling(0.5)}).save(tmp_path / "model")
    settings = RunSettings(sampling=Sampling(top_k=5, guidance_scale=2.0))
    arguments = (BENCHMARKS["sound"], Sources(tmp_path / "model", data["sound"]), tmp_path / "out", settings)
    run_benchmark(*arguments)
    sampling = json.loads((tmp_path / "out" / "report.json").read_text())["settings"]["sampling"]
    assert sampling.items() >= {"temperature": 0.5, "top_k": 5, "guidance_scale": 1.0}.items()
    RecommendedSampling({"video_to_audio": Sampling(0.6)}).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"holds results made with sampling.temperature 0.5, now 0.6"):
        run_benchmark(*arguments)


def test_a_model_without_the_task_is_refused_by_name(model, data, tmp_path) -> None:
    config = replace(model.config, tasks=("unconditional",))
    model.save_pretrained(tmp_path / "model")
    save_model_files(tmp_path / "model", config, model.vocabulary)
    with pytest.raises(ValueError, match="ucf101 needs the task text_to_video; this model has unconditional"):
        run("ucf101", tmp_path / "model", data, tmp_path / "out")
