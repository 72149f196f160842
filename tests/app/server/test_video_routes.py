"""What goes beyond the stock client: vLLM-Omni's names, ComfyUI's requests, waiting, events, a full queue."""

import json
from pathlib import Path

import pytest
from job_queues import Painter, wait_until
from video_server import video_server

from videolm.app.jobs.job_queue import QueueLimits
from videolm.data.media.reading import read_clip
from videolm.data.media.streams import Blob

TEXT = "a red square moves right"
# What the nodes of ComfyUI-vLLM-Omni post for a video: a form, of texts but for files; the node of diffusion
# sampling adds its settings, and the job is deleted when its film was fetched.
COMFYUI = {
    "model": "tiny", "prompt": TEXT, "width": "32", "height": "32", "num_frames": "9", "fps": "8",
    "n": "1", "num_inference_steps": "50", "guidance_scale": "1.5", "true_cfg_scale": "1.0",
    "vae_use_slicing": "False", "vae_use_tiling": "False", "seed": "7",
}  # fmt: skip


def form(fields):
    """As a multipart form, which a client without files would not send by itself."""
    return [(name, (None, value)) for name, value in fields.items()]


def film(answer):
    assert answer.status_code == 200, answer.text
    return read_clip(Blob("film", answer.content))


def test_a_request_of_comfyui_is_made_with_its_sound(server, files):
    sound = [("generate_sound", (None, "True"))]
    picture = [("input_reference", ("image.png", files["picture.png"], "image/png"))]
    for task, more in (("text_to_video", sound), ("image_to_video", [*sound, *picture])):
        job = server.finished(server.post(files=form(COMFYUI) + more))
        assert (job["status"], job["task"], job["seed"]) == ("completed", task, 7), job
        assert any("num_inference_steps" in note for note in job["notes"])
        clip = film(server.get(f"{job['id']}/content"))
        assert clip.frames.shape == (9, 32, 32, 3) and clip.waveform is not None
        assert server.client.delete(f"/v1/videos/{job['id']}").json()["deleted"]


def test_the_sound_of_an_edited_film_is_kept(server, files):
    mask = json.dumps([[1, 1, 0, 0]] * 4)
    parts = [
        ("source_video", ("source.mp4", files["film.mp4"], "video/mp4")),
        ("video_noise_mask", ("video-mask.json", mask.encode(), "application/json")),
    ]
    job = server.finished(server.post(files=form(COMFYUI) + parts))
    assert (job["status"], job["task"]) == ("completed", "inpainting"), job
    assert film(server.get(f"{job['id']}/content")).waveform is not None


@pytest.mark.parametrize(
    ("task", "file", "fields"),
    [
        ("audio_to_video", "audio_reference", {}),
        ("video_to_audio", "source_video", {"extra_params": '{"task": "video_to_audio"}'}),
        ("outpainting", "source_video", {"extra_params": '{"task": "outpainting", "aspect": "1:1"}'}),
        ("audio_video_continuation", "input_reference", {"prompt": TEXT}),
        ("unconditional", None, {"extra_params": '{"task": "unconditional", "temperature": 0.5}'}),
        ("text_to_image", None, {"prompt": TEXT, "extra_params": '{"task": "text_to_image"}'}),
    ],
)
def test_the_inputs_or_extra_params_say_the_task(task, file, fields, server, files):
    name = "sound.wav" if file == "audio_reference" else "film.mp4"
    parts = [] if file is None else [(file, (name, files[name]))]
    job = server.finished(server.post(files=form(fields) + parts))
    assert (job["status"], job["task"]) == ("completed", task), job


def test_a_chain_is_led_by_what_comes_with_it_and_gives_every_step(server, files):
    steps = [
        {"name": "film", "task": "image_to_video", "image": "input", "seed": 3},
        {"name": "sound", "task": "video_to_audio"},
    ]
    fields = {"extra_params": json.dumps({"task": "chain", "steps": steps})}
    parts = [("input_reference", ("picture.png", files["picture.png"]))]
    job = server.finished(server.post(files=form(fields) + parts))
    assert (job["status"], job["task"], job["steps"]) == ("completed", "chain", ["film", "sound"]), job
    step = film(server.get(f"{job['id']}/content", params={"step": "film"}))
    whole = film(server.get(f"{job['id']}/content"))
    assert step.waveform is None and whole.waveform is not None and step.num_frames == whole.num_frames
    for name in ("input", "../job", "job.json", "film/../sound"):
        answer = server.get(f"{job['id']}/content", params={"step": name})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "step_not_found")


def test_a_long_video_is_longer_than_a_clip(server):
    extra = {"task": "long_video", "script": [{"text": TEXT, "seconds": 1}, {"text": TEXT}], "silent": True}
    job = server.finished(server.post(json={"extra_params": extra, "seed": 1}))
    assert job["status"] == "completed" and job["num_frames"] > 9, job
    assert film(server.get(f"{job['id']}/content")).num_frames == job["num_frames"]


@pytest.mark.parametrize(
    "extra",
    [
        {"task": "chain", "steps": [{"task": "image_to_video", "image": "/etc/passwd"}]},
        {"task": "chain", "steps": [{"task": "tasks/mine.py"}]},
        {"task": "chain", "steps": [{"task": "inpainting", "video": "input", "mask": "../mask.png"}]},
        {"task": "chain", "steps": [{"task": "unconditional", "name": "../../etc"}]},
        {"task": "chain", "steps": [{"task": "unconditional", "depth": "/models"}]},
        {"task": "chain", "steps": "/etc/passwd"},
        {"task": "chain", "steps": [["task", "unconditional"]]},
        {"task": "long_video", "script": "/etc/passwd"},
        {"task": "long_video", "script": [{"text": 3}]},
        {"task": "long_video", "script": [{"text": "a"}], "given": "x"},
        {"task": "text_to_video", "steps": [{"task": "unconditional"}]},
        {"task": "text_to_video", "upscale": 2},
        {"task": "text_to_video", "upscale": 3},
    ],
)
def test_other_workflows_are_refused_in_a_line(extra, server):
    prompt = {"prompt": TEXT} if extra["task"] == "text_to_video" else {}
    answer = server.post(json=prompt | {"extra_params": extra})
    assert answer.status_code == 400, answer.text
    message = answer.json()["error"]["message"]
    assert "\n" not in message and "Error" not in message and len(message) <= 500


def test_a_film_comes_at_once_and_leaves_nothing(server):
    answer = server.post("/sync", json={"prompt": TEXT, "seed": 5})
    assert answer.headers["content-type"] == "video/mp4"
    assert film(answer).num_frames == 9
    kept = [job for job in server.queue.jobs() if job.request.seed == 5]
    wait_until(lambda: not [job for job in server.queue.jobs() if job in kept])


def test_events_tell_the_progress_up_to_the_end(server):
    job = server.post(json={"prompt": TEXT}).json()
    with server.client.stream("GET", f"/v1/videos/{job['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [each["progress"] for each in told] == sorted(each["progress"] for each in told)
    assert told[-1]["status"] == "completed" and "event: video.completed" in lines


@pytest.fixture
def blocked(model, tmp_path):
    """A server with a queue of two whose maker does not come to an end before it is told."""
    held = {"on": True}

    def before(jobs, report):
        while held["on"]:
            report(0.3)

    limits = QueueLimits(waiting=2, batch=1)
    with video_server(model, Path(tmp_path), Painter(before), limits) as started:
        yield started
        held["on"] = False


def test_a_full_queue_answers_429_and_a_cancelled_job_makes_room(blocked):
    first = blocked.post(json={"prompt": TEXT}).json()["id"]
    wait_until(lambda: blocked.get(first).json()["progress"] == 30)
    second, _ = (blocked.post(json={"prompt": TEXT}).json()["id"] for _ in range(2))
    refused = blocked.post(json={"prompt": TEXT})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"
    metrics = blocked.client.get("/metrics").text
    for line in ("videolm_jobs_waiting 2.0", "videolm_jobs_running 1.0", "videolm_jobs_refused_total 1.0"):
        assert line in metrics
    assert blocked.client.get("/health").json() == {
        "status": "ok", "model": "tiny", "waiting": 2, "running": 1
    }  # fmt: skip
    assert blocked.get(f"{first}/content").json()["error"]["code"] == "video_not_ready"
    cancelled = blocked.post(f"/{second}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert blocked.post(json={"prompt": TEXT}).status_code == 200
