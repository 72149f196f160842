"""The clips of jobs: what `VideoLM.generate` gives, in any batch, with their sound."""

import shutil

import pytest
import torch
from job_queues import Painter
from tiny_stage import add_stage, tiny_stage

from videolm.app.jobs.admission import Admission
from videolm.app.jobs.clip_maker import ClipMaker
from videolm.app.jobs.job import Job, JobRequest
from videolm.app.jobs.job_queue import JobQueue
from videolm.app.jobs.job_store import JobStore
from videolm.data.runtime.typed_fields import from_fields
from videolm.generation.pipeline import VideoLM

TEXT = "a red square moves right"


@pytest.fixture
def make_jobs(model, tmp_path):
    """Takes requests as a server would; returns the jobs and their clips, made in one batch."""
    store = JobStore(tmp_path)
    queue = JobQueue(store, Painter())

    def made(*requests: JobRequest, **media) -> tuple[list[Job], list]:
        jobs = [queue.submit(each, Admission(model).check(each, media).size, media) for each in requests]
        return jobs, ClipMaker(model, store)(jobs, lambda share: None)

    return made


def test_a_clip_is_that_of_generate_whatever_its_batch(make_jobs, model):
    requests = [JobRequest("text_to_video", text=TEXT, seed=seed) for seed in (3, 4, 5)]
    _, clips = make_jobs(*requests)
    for request, clip in zip(requests, clips, strict=True):
        alone = model.generate("text_to_video", text=TEXT, seed=request.seed)
        assert torch.equal(clip.frames, alone.frames)


def test_a_clip_is_enlarged_by_the_stage_of_the_model(model, make_model, model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    large = make_model(1).video_tokenizer
    add_stage(folder, tiny_stage(model.video_tokenizer, large, 32, model.text_tokenizer), large)
    staged = VideoLM.from_pretrained(folder)
    request = JobRequest("text_to_video", text=TEXT, seed=3, upscale=2)
    admitted = Admission(staged).check(request, {})
    assert admitted.size[:2] == (64, 64)
    store = JobStore(tmp_path / "jobs")
    job = JobQueue(store, Painter()).submit(request, admitted.size, {})
    (clip,) = ClipMaker(staged, store)([job], lambda share: None)
    small = staged.generate("text_to_video", text=TEXT, seed=3)
    assert torch.equal(clip.frames, staged.upscale(small, text=TEXT, factor=2, seed=3).frames)
    with pytest.raises(ValueError, match="4"):
        Admission(staged).check(JobRequest("text_to_video", text=TEXT, upscale=4), {})


def test_sound_is_made_on_request_and_left_out_on_request(make_jobs, clip):
    request = JobRequest("text_to_video", text=TEXT, sound=True)
    _, (sounding,) = make_jobs(request)
    assert sounding.waveform is not None and float(sounding.waveform.abs().sum()) > 0
    given = {"video": clip, "mask": None}
    request = JobRequest("inpainting", mask="box", media=("video",))
    assert make_jobs(request, video=given["video"])[1][0].waveform is not None
    request = JobRequest("inpainting", mask="box", media=("video",), sound=False)
    assert make_jobs(request, video=given["video"])[1][0].waveform is None


@pytest.mark.parametrize("task", ["frame_prediction", "audio_video_continuation"])
def test_an_extension_begins_with_the_given_video(task, make_jobs, clip):
    request = JobRequest(task, text=TEXT, media=("video",), extends=True)
    (job,), (longer,) = make_jobs(request, video=clip)
    assert longer.num_frames == job.num_frames > clip.num_frames
    assert torch.equal(longer.frames[: clip.num_frames], clip.frames)
    assert longer.waveform is not None
    assert longer.waveform.shape[1] == round(longer.seconds * longer.sample_rate)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (JobRequest("tasks/mine.py", text=TEXT), "this model has"),
        (JobRequest("text_to_video"), "text is missing"),
        (JobRequest("text_to_video", text=TEXT, aspect="48x64"), "not trained on clips of 48x64"),
        (JobRequest("text_to_video", text=TEXT, seconds=60.0), "longest clips"),
        (JobRequest("text_to_image", text=TEXT, sound=True), "without sound"),
        (JobRequest("audio_video_continuation", media=("video",)), "takes a video with sound"),
        (JobRequest("stylization", text=TEXT, media=("video",)), "optical flow"),
    ],
)
def test_what_the_model_cannot_do_is_refused_before_it_is_queued(request_, message, model, clip):
    media = {"video": clip.silent()} if "video" in request_.media else {}
    with pytest.raises(ValueError, match=message):
        Admission(model).check(request_, media)


def test_words_that_training_never_showed_are_noted(model):
    admitted = Admission(model).check(JobRequest("text_to_video", text="a red square at Xÿ☃"), {})
    assert admitted.notes and "training never showed" in admitted.notes[0]


@pytest.mark.parametrize(
    "fields", [{"sampling": {"top_k": -1}}, {"mask": "/etc/passwd"}, {"media": ("job.json",)}, {"text": 3}]
)
def test_a_request_of_other_values_is_refused(fields):
    with pytest.raises(ValueError):
        from_fields(JobRequest, {"task": "text_to_video"} | fields, "request")
