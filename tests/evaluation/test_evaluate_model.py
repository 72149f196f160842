import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.data.media.clip import Clip
from videolm.data.synthetic.corpus import Corpus
from videolm.evaluation.evaluate_model import evaluate_model, sampling_rows
from videolm.evaluation.metrics.shapes import words_of
from videolm.evaluation.protocols.shapes import PROBES, judge, run_shapes
from videolm.evaluation.protocols.shapes_exam import ExamSettings, HeldOut
from videolm.generation.pipeline import VideoLM
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.recommended_sampling import RecommendedSampling

CLIPS = 16


@pytest.fixture(scope="module")
def real() -> HeldOut:
    corpus = Corpus(split="triples")
    clips = [corpus[index] for index in range(CLIPS)]
    return HeldOut("triples", clips, [corpus.scene(index) for index in range(CLIPS)], [], clips)


@pytest.fixture(scope="module")
def training() -> list:
    corpus = Corpus(split="train")
    return [corpus.scene(index) for index in range(500)]


@pytest.mark.parametrize(
    ("task", "given"), [("text_to_video", 0), ("image_to_video", 1), ("frame_prediction", 5)]
)
def test_the_real_clips_themselves_score_nearly_one(real, training, task: str, given: int) -> None:
    scores = judge(task, real.clips, real, training, given)
    for label in ("colour", "shape", "motion"):
        assert scores[label]["score"] >= 0.95, (task, label, scores[label])
    assert scores["colour"]["chance"] == pytest.approx(1 / 8, abs=0.05)


def test_the_real_sound_scores_nearly_one_and_silence_nothing(real, training) -> None:
    assert judge("video_to_audio", real.clips, real, training, 0)["pitch"]["score"] >= 0.95
    silent = [replace(clip, waveform=torch.zeros_like(clip.waveform)) for clip in real.clips]
    assert judge("video_to_audio", silent, real, training, 0)["pitch"]["score"] == 0


def test_clips_of_other_prompts_score_what_their_words_agree_by_chance(real, training) -> None:
    """Every clip is judged by the prompt of its neighbour: only equal neighbours may score."""
    turned = [*real.clips[1:], real.clips[0]]
    scores = judge("text_to_video", turned, real, training, 0)
    for label in ("colour", "shape", "motion"):
        words = words_of(real.scenes, label)
        equal = sum(one == other for one, other in zip(words, [*words[1:], words[0]], strict=True))
        assert scores[label]["score"] <= (equal + 1) / CLIPS


def test_a_video_that_stands_still_after_the_given_frames_has_no_right_motion(real, training) -> None:
    frozen = [_frozen(clip, 5) for clip in real.clips]
    assert judge("frame_prediction", frozen, real, training, 5)["motion"]["score"] <= 0.1


def test_colour_of_frame_prediction_is_read_from_the_generated_frames_only(real, training) -> None:
    blank = [
        replace(clip, frames=torch.cat([clip.frames[:5], torch.full_like(clip.frames[5:], 40)]))
        for clip in real.clips
    ]
    assert judge("frame_prediction", blank, real, training, 5)["colour"]["score"] == 0


def test_unprompted_noise_is_not_readable_and_real_clips_are(real, training) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = [
        replace(clip, frames=torch.randint(0, 256, clip.frames.shape, dtype=torch.uint8, generator=generator))
        for clip in real.clips
    ]
    scores = judge("unconditional", noise, real, training, 0)
    assert scores["readable"]["score"] == 0
    assert scores["variety"] == {"colour": 0.0, "shape": 0.0, "motion": 0.0}
    scores = judge("unconditional", real.clips, real, training, 0)
    assert scores["readable"]["score"] >= 0.9
    assert scores["variety"]["colour"] > 0.7


@pytest.fixture(scope="module")
def evaluation(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluation")
    shutil.copytree(model_folder, out / "model")
    RecommendedSampling({"text_to_video": Sampling(0.5, top_p=0.9)}).save(out / "model")
    asked = Sampling(temperature=1.0, guidance_scale=2.0)
    evaluate_model(out / "model", "shapes", out, ExamSettings(clips=3, sampling=asked))
    return out


def test_the_report_scores_every_task_on_both_splits(evaluation: Path) -> None:
    report = json.loads((evaluation / "report.json").read_text())
    assert set(report["tasks"]) == set(PROBES)
    assert set(report["unseen_pairs"]["tasks"]) == set(PROBES) - {"unconditional"}
    assert set(report["tokenizer"]) >= {"psnr_db", "ssim", "code_use", "ceiling"}
    assert len(report["audio"]["code_use"]) == 2
    for task in set(PROBES) - {"unconditional"}:
        for entry in report["tasks"][task].values():
            assert 0 <= entry["score"] <= 1
            assert 0 <= entry["chance"] < 1


def test_the_page_shows_the_clips_that_stand_beside_it(evaluation: Path) -> None:
    page = (evaluation / "index.html").read_text()
    links = re.findall(r'src="([^"]+)"', page)
    assert len(links) == 3 * (3 * 4 + 1)
    assert all((evaluation / link).is_file() for link in links)


def test_tasks_that_a_model_lacks_are_left_out(model: VideoLM) -> None:
    config = replace(model.config, tasks=("unconditional", "text_to_image"))
    small = VideoLM(
        config, model.vocabulary, model.lm, model.video_tokenizer, model.audio_tokenizer, model.text_tokenizer
    )
    report = run_shapes(small, ExamSettings(clips=2)).report
    assert set(report["tasks"]) == {"unconditional"}


def test_only_the_tasks_that_are_asked_for_are_scored(model: VideoLM) -> None:
    tasks = ("video_to_audio", "unconditional")
    report = run_shapes(model, ExamSettings(clips=2, tasks=tasks)).report
    assert set(report["tasks"]) == set(tasks)
    assert set(report["unseen_pairs"]["tasks"]) == {"video_to_audio"}
    with pytest.raises(ValueError, match="'inpaint' cannot be scored; this model and protocol know text"):
        run_shapes(model, ExamSettings(clips=2, tasks=("unconditional", "inpaint")))


def test_the_report_says_how_codes_of_each_task_were_drawn(evaluation: Path) -> None:
    """The model recommends temperature 0.5 and top-p 0.9 for text_to_video; asked for are 1 and guidance."""
    report = json.loads((evaluation / "report.json").read_text())
    sampled = report["sampling"]
    assert sampled.keys() == report["tasks"].keys()
    assert sampled["text_to_video"].items() >= {"temperature": 1.0, "top_p": 0.9}.items()
    assert sampled["text_to_video"]["guidance_scale"] == sampled["image_to_video"]["guidance_scale"] == 2
    assert sampled["frame_prediction"]["guidance_scale"] == 1
    rows = dict(sampling_rows(report))
    assert rows["text_to_video"] == "top_p 0.9 (recommended), guidance_scale 2"
    assert rows["frame_prediction"] == "the defaults"
    assert "top_p 0.9 (recommended)" in (evaluation / "index.html").read_text()


def _frozen(clip: Clip, from_frame: int) -> Clip:
    still = clip.frames[from_frame - 1 : from_frame].expand(clip.num_frames - from_frame, -1, -1, -1)
    return replace(clip, frames=torch.cat([clip.frames[:from_frame], still]))
