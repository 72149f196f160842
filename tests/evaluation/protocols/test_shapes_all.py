"""The protocol "shapes-all": real clips score about 1, clips that ignore their prompt do not, and a tiny
model with every task is scored on all of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from videolm.data.analysis.geometry import SceneGeometry
from videolm.data.media.clip import Clip
from videolm.data.synthetic.caption_grammar import caption_of
from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.describing import Description, describe
from videolm.data.synthetic.rendering import render_frames
from videolm.data.synthetic.sonification import render_sound
from videolm.evaluation.evaluate_model import evaluate_model
from videolm.evaluation.metrics.shapes import LABELS
from videolm.evaluation.protocols.shapes_all import (
    ALL_PROBES,
    judge_all,
    leading,
    moves_alike,
    run_shapes_all,
)
from videolm.evaluation.protocols.shapes_exam import ExamSettings, HeldOut
from videolm.generation.pipeline import VideoLM
from videolm.tasks.conditions import Material
from videolm.tasks.masks import Mask, draw_mask
from videolm.tasks.task import film_task_names, load_task

CLIPS, GIVEN = 12, 5
MOST_DB = 58.9  # of PSNR: rounding
LED = ("inpainting", "outpainting", "stylization", "stylization_with_image")  # by altered clips
MASKS = {"inpainting": "box", "outpainting": "centre"}


@pytest.fixture(scope="module")
def real() -> HeldOut:
    corpus = Corpus(split="triples", seed=3)
    clips = [corpus[index] for index in range(CLIPS)]
    return HeldOut("triples", clips, [corpus.scene(index) for index in range(CLIPS)], [], clips)


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """The same clip is read once for all tests, which takes most of their time."""
    readings: dict[bytes, Description] = {}

    def remembered(clip: Clip) -> Description:
        sound = b"" if clip.waveform is None else clip.waveform.numpy().tobytes()
        key = sha256(b"%d" % clip.num_frames + clip.frames.numpy().tobytes() + sound).digest()
        if key not in readings:
            readings[key] = describe(clip)
        return readings[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("videolm.evaluation.metrics.shapes.describe", remembered)
        yield


@pytest.fixture(scope="module")
def training() -> list:
    corpus = Corpus(split="train")
    return [corpus.scene(index) for index in range(300)]


def judged(task: str, made: list[Clip], real: HeldOut, training: list) -> dict:
    given = GIVEN if ALL_PROBES[task].given == "first half" else int(ALL_PROBES[task].given == "first frame")
    return judge_all(task, made, real, training, given, known(task))


def known(task: str) -> list[Mask]:
    return [draw_mask(MASKS[task], 9, 64, 64)] * CLIPS if task in MASKS else []


def altered(clips: list[Clip], change) -> list[Clip]:
    return [replace(clip, frames=change(clip.frames)) for clip in clips]


def noisy(frames: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, frames.shape, dtype=torch.uint8, generator=generator)


def test_every_task_of_the_package_is_asked() -> None:
    assert set(ALL_PROBES) == set(film_task_names())


@pytest.mark.parametrize("task", [name for name in film_task_names() if name != "unconditional"])
def test_the_real_clips_themselves_score_nearly_the_most(real, training, task: str) -> None:
    made = [clip.window(0, 1) for clip in real.clips] if task == "text_to_image" else real.clips
    scores = judged(task, made, real, training)
    assert set(scores) >= {"inpainting": {"psnr_painted"}, "video_to_audio": {"pitch", "click"}}.get(
        task, {"colour"}
    )
    for label, entry in scores.items():
        most = MOST_DB if "unit" in entry else 1.0
        assert entry["score"] >= 0.9 * most, (task, label, entry)
        assert entry["ceiling"] == entry["score"]
        assert entry["chance"] < entry["score"], (task, label, entry)


def test_readings_of_real_clips_are_as_varied_as_their_scenes(real, training) -> None:
    scores = judged("unconditional", real.clips, real, training)
    assert scores["variety_colour"]["score"] > 0.7
    same = judged("unconditional", real.clips[:1] * CLIPS, real, training)
    assert same["variety_colour"]["score"] == 0 < same["variety_colour"]["ceiling"]
    assert same["readable"]["score"] == 1


@pytest.mark.parametrize("task", MASKS)
def test_known_pixels_are_scored_apart_and_put_back(real, training, task: str) -> None:
    """Noise in place of the known pixels harms only what is scored without compositing."""
    mask = known(task)[0]
    made = altered(real.clips, lambda frames: torch.where(mask[..., None], noisy(frames), frames))
    scores = judged(task, made, real, training)
    assert scores["psnr_painted"]["score"] == pytest.approx(MOST_DB, abs=0.1)
    assert scores["psnr_composited"]["score"] == pytest.approx(MOST_DB, abs=0.1)
    assert scores["psnr_known"]["score"] < scores["psnr"]["score"] < 15
    assert scores["colour_composited"]["score"] >= 0.95
    assert scores["colour"]["score"] < 0.5


def test_chance_is_not_of_the_clips_of_the_same_numbers(real, training) -> None:
    """Which share their places, sizes and times with the real ones."""
    scores = judged("inpainting", real.clips, real, [*real.scenes, *training])
    assert scores["psnr"]["chance"] < 20 < scores["psnr"]["score"]


def test_an_empty_box_leaves_no_right_shape(real, training) -> None:
    """What is left of the object around the box must not answer for what should be painted in it."""
    inside = ~known("inpainting")[0][..., None]
    made = altered(real.clips, lambda frames: torch.where(inside, torch.full_like(frames, 44), frames))
    assert judged("inpainting", made, real, training)["shape_composited"]["score"] <= 0.2


def test_the_video_to_restyle_has_another_colour_and_the_same_motion(real) -> None:
    condition = load_task("stylization").conditions
    for clip, scene in zip(real.clips[:6], real.scenes, strict=False):
        prompt = moves_alike(clip, scene)
        assert prompt.text == caption_of(scene, scene.phrasing)
        seen = describe(prompt.video)
        assert seen.colour not in (None, scene.colour)
        assert seen.motion == scene.motion
        given, own = (
            condition(each, None)["motion"].frames
            for each in (
                Material(prompt.video, prompt.geometry),
                Material(clip, SceneGeometry(Corpus(), scene)),
            )
        )
        assert torch.equal(given, own)


def test_a_restyled_video_in_its_old_colour_has_no_right_colour(real, training) -> None:
    made = [moves_alike(clip, scene).video for clip, scene in zip(real.clips, real.scenes, strict=True)]
    scores = judged("stylization", made, real, training)
    assert scores["colour"]["score"] == 0
    assert scores["motion"]["score"] >= 0.9


def test_clicks_count_within_a_frame_of_the_impact_only(real, training) -> None:
    def sounding(shift: float) -> list[Clip]:
        scenes = [replace(scene, impact=scene.impact + shift / 8) for scene in real.scenes]
        return [
            replace(clip, waveform=render_sound(scene, 9, 8.0, 16000))
            for clip, scene in zip(real.clips, scenes, strict=True)
        ]

    assert judged("video_to_audio", sounding(0.9), real, training)["click"]["score"] == 1
    assert judged("video_to_audio", sounding(1.2), real, training)["click"]["score"] == 0


def test_clicks_where_nothing_bounces_are_counted_as_wrong(real, training) -> None:
    click = render_sound(replace(real.scenes[0], motion="bounce", impact=0.5), 9, 8.0, 16000)
    made = [replace(clip, waveform=click) for clip in real.clips]
    assert judged("video_to_audio", made, real, training)["no_click"]["score"] == 0


@pytest.mark.parametrize(("frames", "right"), [(0.0, True), (2.0, False)])
def test_impacts_count_within_a_frame_of_the_click_that_is_given(real, training, frames, right) -> None:
    scenes = [replace(scene, impact=0.42) for scene in real.scenes]
    later = [replace(scene, impact=0.42 + frames / 8) for scene in scenes]
    made = [
        replace(clip, frames=render_frames(scene, 64, 64, 9))
        for clip, scene in zip(real.clips, later, strict=True)
    ]
    assert judged("audio_to_video", made, replace(real, scenes=scenes), training)["click"]["score"] == right


def test_a_picture_at_rest_fits_no_click(real, training) -> None:
    still = altered(real.clips, lambda frames: frames[:1].expand(9, -1, -1, -1))
    scores = judged("audio_to_video", still, real, training)
    assert scores["click"]["score"] == 0
    assert scores["no_click"]["score"] == 1
    assert scores["colour"]["score"] >= 0.95


@pytest.mark.parametrize("task", ["frame_prediction", "audio_video_continuation"])
def test_a_video_that_stands_still_has_chance_as_its_psnr(real, training, task: str) -> None:
    still = altered(real.clips, lambda frames: frames[[0, 1, 2, 3, 4, 4, 4, 4, 4]])
    entry = judged(task, still, real, training)["psnr"]
    assert entry["score"] == entry["chance"] < entry["ceiling"] - 20
    assert entry["n"] == sum(scene.motion != "bounce" for scene in real.scenes) < CLIPS


def test_impacts_are_seen_when_clicks_are_heard(real) -> None:
    for clip, scene in zip(real.clips, real.scenes, strict=True):
        read = describe(clip)
        assert len(read.impacts) == len(scene.impacts)
        assert read.clicks == pytest.approx(read.impacts, abs=0.5 / clip.fps)


@pytest.fixture(scope="module")
def evaluation(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("all")
    evaluate_model(model_folder, "shapes-all", out, ExamSettings(clips=3))
    return out


@pytest.mark.long
def test_the_report_scores_every_task_with_chance_and_ceiling(evaluation: Path) -> None:
    report = json.loads((evaluation / "report.json").read_text())
    assert set(report["tasks"]) == set(film_task_names())
    assert set(report["unseen_pairs"]["tasks"]) == set(film_task_names()) - {"unconditional"}
    for scores in (report["tasks"], report["unseen_pairs"]["tasks"]):
        for task, labels in scores.items():
            assert labels, task
            for label, entry in labels.items():
                assert {"score", "chance", "ceiling", "n"} <= set(entry), (task, label)
                assert ("unit" in entry) == (label not in LABELS and label.startswith("psnr"))
    assert "camera" not in report["tasks"]["text_to_image"]


def test_the_best_of_several_paintings_shows_more_of_what_is_known(model_folder: Path) -> None:
    model = VideoLM.from_pretrained(model_folder)
    settings = ExamSettings(clips=1, tasks=("inpainting",))
    reports = [run_shapes_all(model, settings, best_of=tries).report for tries in (1, 12)]
    splits = [(report["tasks"], report["unseen_pairs"]["tasks"]) for report in reports]
    one, best = ([tasks["inpainting"]["psnr_known"]["score"] for tasks in each] for each in splits)
    assert best[0] >= one[0] and best[1] >= one[1] and best != one


@pytest.mark.long
def test_the_page_shows_pictures_and_clips_that_stand_beside_it(evaluation: Path) -> None:
    page = (evaluation / "index.html").read_text()
    links = re.findall(r'src="([^"]+)"', page)
    assert len(links) == 3 * (3 * (len(film_task_names()) - 1) + 1) + 3 * len(LED)
    assert all((evaluation / link).is_file() for link in links)
    assert "clips/text_to_image-0-generated.png" in links
    assert {link for link in links if "given" in link} == {
        f"clips/{task}-{index}-given.mp4" for task in LED for index in range(3)
    }


def test_the_altered_clips_that_lead_a_task_are_what_the_model_is_given(model: VideoLM) -> None:
    corpus = Corpus(height=32, width=32, split="triples")
    clips, scenes = zip(*((corpus[index], corpus.scene(index)) for index in range(3)), strict=True)
    held_out = HeldOut("triples", list(clips), list(scenes), [], list(clips))
    for task, kinds in {"inpainting": ("box", "moving box"), "outpainting": ("centre", "vertical")}.items():
        for clip, shown, kind in zip(clips, leading(model, task, held_out, 2), kinds, strict=False):
            mask = draw_mask(kind, 9, 32, 32)
            assert torch.equal(shown.frames[mask], clip.frames[mask])
            assert not torch.equal(shown.frames, clip.frames)
    (motion,) = leading(model, "stylization", held_out, 1)
    assert (motion.frames[0, ..., :2] == 128).all()  # nothing has moved yet
    assert not (motion.frames[1:, ..., :2] == 128).all()
    assert leading(model, "text_to_video", held_out) == []


@pytest.mark.long
def test_shares_of_the_page_are_drawn_within_their_bars(evaluation: Path) -> None:
    page = (evaluation / "index.html").read_text()
    widths = [float(each) for each in re.findall(r"width:([-.\d]+)%", page)]
    assert all(0 <= width <= 100 for width in widths)
