"""Two sets of clips against each other: scores, files, interruption and mistakes."""

import csv
import json
import re
import shutil
import tarfile
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.psnr import psnr
from videolm.data.sources.manifest import read_manifest
from videolm.data.synthetic.corpus import Corpus
from videolm.evaluation.metrics.measures import measures
from videolm.evaluation.metrics.weights_folder import NO_WEIGHTS, WeightsFolder
from videolm.evaluation.set_evaluation import SetComparison, SetSettings, evaluate_sets

FRAMES = SetSettings(num_frames=9)
LOGGERS = ("csv", "tensorboard")


def write_set(folder: Path, clips: list[Clip]) -> Path:
    folder.mkdir()
    lines = []
    for number, clip in enumerate(clips):
        write_clip(clip, folder / f"{number:03d}.mp4")
        lines.append(json.dumps({"path": f"{number:03d}.mp4", "caption": clip.caption}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    corpus = Corpus(height=32, width=32, num_frames=9, fps=8.0, sample_rate=16000, split="train")
    return [corpus[number] for number in range(20)]


@pytest.fixture(scope="module")
def sets(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same clips at other instants, and damaged in ways that anybody would see."""
    folder = tmp_path_factory.mktemp("sets")
    generator = torch.Generator().manual_seed(0)

    def noisy(clip: Clip) -> Clip:
        noise = 60 * torch.randn(clip.frames.shape, generator=generator)
        frames = (clip.frames + noise).clamp(0, 255).to(torch.uint8)
        hiss = torch.rand(clip.waveform.shape, generator=generator) - 0.5
        return replace(clip, frames=frames, waveform=hiss)

    return {
        "real": write_set(folder / "real", clips[:10]),
        "other": write_set(folder / "other", clips[10:]),
        "noisy": write_set(folder / "noisy", [noisy(clip) for clip in clips[:10]]),
    }


def scores_of(out: Path) -> dict[str, dict]:
    return json.loads((out / "report.json").read_text())["scores"]


@pytest.fixture(scope="module")
def evaluations(sets, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Evaluations of each set against the real one, by its name."""
    folder = tmp_path_factory.mktemp("evaluations")
    for name in sets:
        evaluate_sets(sets["real"], sets[name], folder / name, FRAMES, WeightsFolder(), loggers=LOGGERS)
    return {name: folder / name for name in sets}


def test_noise_is_further_from_real_clips_than_other_real_clips(evaluations) -> None:
    other, noisy = scores_of(evaluations["other"]), scores_of(evaluations["noisy"])
    assert noisy["fvd_random"]["value"] > 1.5 * other["fvd_random"]["value"]
    assert noisy["fad_mel"]["value"] > 5 * other["fad_mel"]["value"]
    assert noisy["fvd_random"]["num_frames"] == 9
    assert noisy["fvd_random"]["network_resize"] == "bilinear to 64x64, antialias"
    assert noisy["fvd_random"]["real_clips"] == noisy["fvd_random"]["clips"] == 10


def test_a_set_against_itself_is_perfect(evaluations) -> None:
    scores = scores_of(evaluations["real"])
    assert scores["fvd_random"]["value"] == pytest.approx(0, abs=1e-9)
    assert scores["ssim"]["value"] == pytest.approx(1, abs=1e-4)
    assert scores["psnr_db"]["value"] > 55


def test_what_needs_weights_says_so_and_is_never_replaced(evaluations) -> None:
    scores = scores_of(evaluations["other"])
    assert scores["is"]["not_computed"] == "C3D sees 16 frames, not 9"
    for name in ("fvd", "clipsim", "fad", "lpips", "fad_clap", "is_classifier"):
        assert scores[name]["value"] is None
        assert "--weights FOLDER" in scores[name]["not_computed"]
    assert "not computed: no i3d.safetensors" in (evaluations["other"] / "scores.md").read_text()


def test_clips_of_the_same_name_are_compared_frame_by_frame(clips, tmp_path: Path) -> None:
    """Lossless pictures in folders, one of them without a partner and one pair of different sizes."""
    for kind in ("real", "generated"):
        (tmp_path / kind / "deep").mkdir(parents=True)
    still = [clip.window(0, 1) for clip in clips[:3]]
    write_clip(still[0], tmp_path / "real/deep/a.png")
    write_clip(still[1], tmp_path / "generated/deep/a.png")
    write_clip(still[0].resized(64, 64), tmp_path / "real/b.png")
    write_clip(still[2], tmp_path / "generated/b.png")
    write_clip(still[2], tmp_path / "generated/alone.png")
    out = tmp_path / "out"
    evaluate_sets(tmp_path / "real", tmp_path / "generated", out, SetSettings(num_frames=1), WeightsFolder())
    scores = scores_of(out)
    pairs = [(still[0], still[1]), (still[0].resized(64, 64).resized(32, 32), still[2])]
    expected = sum(float(psnr(real.frames, other.frames)) for real, other in pairs) / 2
    assert scores["psnr_db"]["value"] == pytest.approx(expected)
    assert scores["psnr_db"]["clips"] == 2
    assert scores["fid_random"]["value"] > 0
    assert "fvd_random" not in scores


def test_an_interrupted_evaluation_goes_on_to_equal_results(evaluations, sets, tmp_path, monkeypatch) -> None:
    reads = 0
    read = SetSettings.read

    def interrupted(settings: SetSettings, entry: object) -> object:
        nonlocal reads
        reads += 1
        if reads == 14:
            raise KeyboardInterrupt
        return read(settings, entry)

    monkeypatch.setattr(SetSettings, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_sets(sets["real"], sets["other"], tmp_path / "killed", FRAMES, WeightsFolder())
    assert evaluate_sets(sets["real"], sets["other"], tmp_path / "killed", FRAMES, WeightsFolder())
    # The real set was done: the generated one is read again, then the pairs and the samples.
    assert reads == 14 + 10 + 2 * 10 + 2 * 6
    assert scores_of(tmp_path / "killed") == scores_of(evaluations["other"])


def test_results_of_other_settings_are_not_mixed(evaluations, sets) -> None:
    other, size = evaluations["other"], SetSettings(num_frames=9, height=16, width=16)
    with pytest.raises(ValueError, match=r"results made with size None, now \[16, 16\]: choose"):
        evaluate_sets(sets["real"], sets["other"], other, size)


def test_results_of_an_earlier_version_go_on(evaluations, sets) -> None:
    """Its record is of these names; renaming a field of the settings must not strand what is there."""
    record = json.loads((evaluations["other"] / "work/settings.json").read_text())
    own = {"num_frames": 9, "fps": None, "size": None, "seed": 0, "splits": 1}
    assert record.items() >= own.items()
    assert record.keys() - own.keys() == {"real", "generated", "networks", "lpips"}


@pytest.mark.long
def test_scores_are_those_of_the_clips_that_are_there_now(sets, clips, tmp_path, capsys, monkeypatch) -> None:
    """The set is replaced under its name, then a clip is added and one goes."""
    made, out = tmp_path / "made", tmp_path / "out"
    shutil.copytree(sets["noisy"], made)
    evaluate_sets(sets["real"], made, out, FRAMES)
    before = scores_of(out)
    for number in range(10):
        shutil.copy(sets["real"] / f"{number:03d}.mp4", made)
    monkeypatch.chdir(tmp_path)
    evaluate_sets(sets["real"], Path("made"), out, FRAMES)  # a relative path is an absolute one
    assert "items are computed again" in capsys.readouterr().out
    after = scores_of(out)
    assert after["fvd_random"]["value"] < 1e-3 < before["fvd_random"]["value"]
    assert after["psnr_db"]["value"] > before["psnr_db"]["value"] + 10
    (made / "000.mp4").unlink()
    (made / "captions.jsonl").unlink()
    write_clip(clips[12], made / "new.mp4")
    evaluate_sets(sets["real"], made, out, FRAMES)
    evaluate_sets(sets["real"], made, tmp_path / "fresh", FRAMES)
    assert scores_of(out) == scores_of(tmp_path / "fresh")
    capsys.readouterr()
    evaluate_sets(sets["real"], made, out, FRAMES)
    assert "computed again" not in capsys.readouterr().out


def test_an_unreadable_clip_is_left_out_and_named(sets, clips, tmp_path: Path) -> None:
    bad = write_set(tmp_path / "bad", clips[10:14])
    (bad / "001.mp4").write_bytes(b"nothing")
    write_clip(clips[0].window(0, 4), bad / "002.mp4")
    evaluate_sets(sets["real"], bad, tmp_path / "out", FRAMES, WeightsFolder())
    generated = json.loads((tmp_path / "out/report.json").read_text())["generated"]
    assert generated["clips"] == 2
    assert [Path(reason.split(":")[0]).name for reason in generated["skipped"]] == ["001.mp4", "002.mp4"]
    assert "4 frames; 9 are compared (--num-frames)" in generated["skipped"][1]


def test_the_page_shows_clips_that_stand_beside_it(evaluations) -> None:
    links = re.findall(r'src="([^"]+)"', (evaluations["other"] / "index.html").read_text())
    assert len(links) == 12
    assert all((evaluations["other"] / link).is_file() for link in links)


def test_loggers_get_what_was_computed(evaluations) -> None:
    out = evaluations["other"]
    row = next(csv.DictReader((out / "scores.csv").open()))
    assert float(row["fvd_random"]) == scores_of(out)["fvd_random"]["value"]
    assert "fvd" not in row
    assert list((out / "tensorboard").glob("events.out.tfevents*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--real {sets}/real", "expected --real and --generated together"),
        ("--real {sets}/real --generated {sets}/nowhere", "nowhere is not there"),
        ("--real {sets}/real --generated {sets}/other --num-frames 99", "no real clip of 10 can be used"),
        ("--real {sets}/real --generated {sets}/other --weights {sets}/none", "no folder"),
        ("--real {sets}/real --generated {sets}/other --logger comet", "unknown logger 'comet'"),
        ("--real {sets}/real --generated {sets}/other --width 8", "--height and --width together"),
    ],
)
def test_mistakes_get_one_line(sets, tmp_path: Path, capsys, arguments: str, message: str) -> None:
    words = arguments.format(sets=sets["real"].parent).split()
    assert main(["evaluate", *words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error


def test_a_file_of_weights_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file({"logits.conv3d.bias": torch.zeros(400)}, tmp_path / "i3d.safetensors")
    with pytest.raises(ValueError, match=r"i3d.safetensors lacks Conv3d_1a_7x7.bn.bias"):
        measures(WeightsFolder(tmp_path), num_frames=16)


def test_a_program_among_the_weights_is_run_with_trust_only(sets, tmp_path: Path) -> None:
    class Detector(torch.nn.Module):
        def forward(self, videos: torch.Tensor, rescale: bool, resize: bool, return_features: bool):
            scaled = videos / 127.5 - 1 if rescale else videos
            return scaled.mean((3, 4)).flatten(1)[:, :4]

    torch.jit.script(Detector()).save(tmp_path / "i3d_torchscript.pt")
    fvd = next(m for m in measures(WeightsFolder(tmp_path), 16) if m.name == "fvd")
    assert fvd.extractor is None
    assert "--trust runs it" in fvd.reason
    fvd = next(m for m in measures(WeightsFolder(tmp_path, trust=True), 16) if m.name == "fvd")
    black = Clip(torch.zeros(9, 8, 8, 3, dtype=torch.uint8), 8.0)
    assert fvd.extractor([black])[0].tolist() == [[-1.0] * 4]


def test_clips_of_a_tar_are_read_like_files(clips: list[Clip], tmp_path: Path) -> None:
    write_clip(clips[0], tmp_path / "a.mp4")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "a.mp4", "a.mp4")
    inside, outside = (
        FRAMES.read(read_manifest(tmp_path / name)[0]) for name in ("set.tar", "a.mp4")
    )
    assert isinstance(inside, Clip) and torch.equal(inside.frames, outside.frames)


def test_sets_of_other_frame_rates_are_said_to_be(clips, sets, tmp_path) -> None:
    silent = {"waveform": None, "sample_rate": None}
    fast = write_set(tmp_path / "fast", [replace(clip, fps=25.0, **silent) for clip in clips[:2]])
    with pytest.warns(UserWarning, match="real ones 8 and generated ones 25 frames a second"):
        SetComparison(sets["real"], fast, tmp_path / "out", FRAMES, NO_WEIGHTS).warn_of_rates()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        at_8 = replace(FRAMES, fps=8.0)
        SetComparison(sets["real"], fast, tmp_path / "at_8", at_8, NO_WEIGHTS).warn_of_rates()
        SetComparison(sets["real"], sets["other"], tmp_path / "same", FRAMES, NO_WEIGHTS).warn_of_rates()
