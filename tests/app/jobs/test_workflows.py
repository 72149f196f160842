"""Long videos and chains as jobs: made as their commands make them, in parts that outlast a stop."""

import pytest
import torch
from job_queues import finished, wait_until

from videolm.app.jobs.admission import Admission
from videolm.app.jobs.clip_maker import ClipMaker
from videolm.app.jobs.job import JobRequest
from videolm.app.jobs.job_queue import JobQueue
from videolm.app.jobs.job_store import JobStore
from videolm.data.media.reading import read_clip
from videolm.generation.long_video.long_video import LongPrompt, generate_long
from videolm.generation.long_video.script import Line
from videolm.generation.long_video.windows import WindowMaker

TEXTS = ("a red square moves right", "a red square spins")
STEPS = (
    {"name": "picture", "task": "text_to_image", "text": "a red square"},
    {"name": "film", "task": "image_to_video", "image": "picture", "seed": 3},
)


def done(model, folder, request, **media):
    """The job of a request when it is finished, and where it is kept."""
    store = JobStore(folder)
    with JobQueue(store, ClipMaker(model, store)) as queue:
        size = Admission(model).check(request, media).size
        (job,) = finished(queue, queue.submit(request, size, media))
    assert job.status == "completed", job.error
    return job, store


def test_a_long_video_is_that_of_its_command(model, tmp_path):
    request = JobRequest("long_video", script=tuple({"text": text} for text in TEXTS), seed=5, silent=True)
    job, store = done(model, tmp_path, request)
    film = read_clip(store.result(job, "video"))
    lines = [Line(text) for text in TEXTS]
    made, _ = generate_long(model, LongPrompt(lines, silent=True), seed=5)
    assert film.num_frames == made.num_frames == job.num_frames > model.clips.num_frames
    made.save(tmp_path / "made.mp4")
    assert torch.equal(film.frames, read_clip(tmp_path / "made.mp4").frames)
    assert not store.parts(job).exists()


def test_after_a_restart_a_long_video_goes_on_with_the_windows_that_it_has(model, tmp_path, monkeypatch):
    made, window = [], WindowMaker.window

    def counted(maker, segment, *others):
        clip = window(maker, segment, *others)
        made.append(segment.number)
        return clip

    monkeypatch.setattr(WindowMaker, "window", counted)
    request = JobRequest("long_video", text=TEXTS[0], seconds=3.0, seed=5, silent=True)
    whole, whole_store = done(model, tmp_path / "whole", request)
    windows, made[:] = list(made), []
    store, size = JobStore(tmp_path / "stopped"), Admission(model).check(request, {}).size
    with JobQueue(store, ClipMaker(model, store)) as queue:
        name = queue.submit(request, size, {}).id
        wait_until(lambda: len(made) > 0)
    assert queue.job(name).status == "queued"
    with JobQueue(store, ClipMaker(model, store)) as queue:
        (job,) = finished(queue, queue.job(name))
    assert made == windows and len(windows) > 2
    films = [read_clip(each.result(of, "video")) for each, of in ((whole_store, whole), (store, job))]
    assert torch.equal(films[0].frames, films[1].frames)


def test_every_step_of_a_chain_is_kept_and_led_by_those_before_it(model, tmp_path):
    job, store = done(model, tmp_path, JobRequest("chain", steps=STEPS, seed=2))
    picture, film = (read_clip(store.step(job, name)) for name in ("picture", "film"))
    whole = model.generate("image_to_video", image=picture, seed=3)
    assert picture.num_frames == 1 and film.num_frames == whole.num_frames == job.num_frames
    alone = model.generate("text_to_image", text="a red square", seed=2)
    assert torch.equal(picture.frames, alone.frames)
    for other in ("input", "../job", "film/", ""):
        assert store.step(job, other) is None


def test_a_chain_may_begin_with_what_is_given(model, tmp_path, clip):
    steps = ({"task": "video_to_audio", "video": "input"},)
    request = JobRequest("chain", steps=steps, media=("video",))
    job, store = done(model, tmp_path, request, video=clip.silent())
    assert read_clip(store.result(job, "video")).waveform is not None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": "chain"}, "has no steps"),
        ({"task": "chain", "steps": ({"task": "mine.py"},)}, "expected one of"),
        ({"task": "chain", "steps": ({"task": "text_to_video"},)}, "text is missing"),
        ({"task": "chain", "steps": ({"task": "image_to_video", "image": "/etc/passwd"},)}, "cannot be nam"),
        ({"task": "chain", "steps": ({"task": "image_to_video", "image": "input"},)}, "cannot be named"),
        ({"task": "chain", "steps": ({"task": "unconditional", "depth": "folder"},)}, "cannot be named"),
        ({"task": "chain", "steps": ({"task": "unconditional", "name": "../../x"},)}, "name"),
        ({"task": "chain", "steps": ({"task": "unconditional", "name": "x" * 300},)}, "other signs"),
        ({"task": "chain", "steps": ({"task": "unconditional", "sampling": {"window": 3}},)}, "has sampling"),
        ({"task": "chain", "steps": ({"task": "unconditional"},) * 17}, "at most 16"),
        ({"task": "chain", "steps": STEPS, "text": "a"}, "leave out prompt"),
        ({"task": "chain", "steps": STEPS, "upscale": 2}, "no use for upscale"),
        ({"task": "long_video"}, "how long"),
        ({"task": "long_video", "text": "a red square", "seconds": 1e4}, "at most"),
        ({"task": "long_video", "text": "a red square", "seconds": 600.0}, "at most 1200"),
        ({"task": "long_video", "script": ({"text": ""},)}, "no text"),
        ({"task": "long_video", "script": ({"file": "/etc/passwd"},)}, "unknown settings"),
        ({"task": "long_video", "text": "a red square", "seconds": 3.0, "given": 9}, "9 given frames"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_before_it_is_queued(fields, message, model):
    with pytest.raises(ValueError, match=message):
        Admission(model).check(JobRequest(**fields), {})


@pytest.mark.parametrize("fields", [{"script": ({"text": "a"},)}, {"steps": STEPS}, {"given": 5}])
def test_other_tasks_have_no_script_and_no_steps(fields):
    with pytest.raises(ValueError, match="for the task"):
        JobRequest("text_to_video", text="a", **fields)
