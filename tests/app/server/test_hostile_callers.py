"""Hostile callers: what they send is refused as their own mistake, and they see nobody else's jobs."""

import base64
import os
import random
import socket
from pathlib import Path

import httpx
import pytest
from damage import damaged
from job_queues import Painter
from video_server import video_server

TEXT = "a red square moves right"
CASES = int(os.environ.get("VIDEOLM_FUZZ_CASES", "40"))
PATHS = ("/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "mine.py", "tasks/mine.py", "user/model")


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """A server that paints without the model, so that only what it refuses takes time."""
    with video_server(model, tmp_path_factory.mktemp("hostile"), Painter(), most_bytes=2**20) as started:
        yield started


def assert_refused(answer: httpx.Response, *statuses: int) -> dict:
    assert answer.status_code in (statuses or range(400, 500)), (answer.status_code, answer.text)
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    for trace in ("Traceback", 'File "', "/tmp", "site-packages", "Error("):
        assert trace not in answer.text, answer.text
    assert "\n" not in error["message"]
    return error


def test_jobs_are_seen_by_their_token_only(model, tmp_path):
    tokens = ("token-of-anna", "token-of-bert")
    anna, bert = ({"Authorization": f"Bearer {each}"} for each in tokens)
    with video_server(model, Path(tmp_path), Painter(), tokens=tokens) as server:
        job = server.finished(server.post(json={"prompt": TEXT}, headers=anna), headers=anna)["id"]
        for said in ("", "Bearer wrong-token", f"Basic {tokens[0]}"):
            headers = {"Authorization": said}
            assert_refused(server.get(job, headers=headers), 401)
            assert_refused(server.client.get("/metrics", headers=headers), 401)
        assert server.client.get("/health").status_code == 200
        for path in (job, f"{job}/content", f"{job}/events"):
            assert server.get(path, headers=anna).status_code == 200
            assert_refused(server.get(path, headers=bert), 404)
        for path in (f"/{job}/cancel", f"/{job}/remix"):
            assert_refused(server.post(path, json={"prompt": TEXT}, headers=bert), 404)
        body = {"prompt": TEXT, "video": {"id": job}}
        assert_refused(server.post("/edits", json=body, headers=bert), 404)
        assert_refused(server.client.delete(f"/v1/videos/{job}", headers=bert), 404)
        assert_refused(server.get("", params={"after": job}, headers=bert), 404)
        assert server.get("", headers=bert).json()["data"] == []
        assert [each["id"] for each in server.get("", headers=anna).json()["data"]] == [job]
        for path in (tmp_path / "jobs").rglob("job.json"):
            assert tokens[0] not in path.read_text()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.org", "a b"])
def test_a_name_that_is_rebound_to_this_server_is_refused(host, server):
    assert_refused(server.client.get("/health", headers={"Host": host}), 400, 421)


def test_own_names_and_addresses_are_answered(server, model, tmp_path):
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert server.client.get("/health", headers={"Host": host}).status_code == 200
    with video_server(model, Path(tmp_path), Painter(), hosts=("gpu.lan",)) as named:
        assert named.client.get("/health", headers={"Host": "gpu.lan:8000"}).status_code == 200


def test_pages_of_other_origins_are_refused(server):
    for name, value in (("Origin", "https://evil.org"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")):
        headers = {name: value}
        assert_refused(server.post(json={"prompt": TEXT}, headers=headers), 403)
    own = {"Origin": server.address, "Sec-Fetch-Site": "same-origin"}
    assert server.post(json={"prompt": TEXT}, headers=own).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_no_parameter_names_a_file_or_another_model(path, server):
    for body in (
        {"prompt": TEXT, "model": path},
        {"prompt": TEXT, "extra_params": {"task": path}},
        {"prompt": TEXT, "extra_params": {"mask": path}},
        {"prompt": TEXT, "extra_params": {"task_file": path}},
        {"prompt": TEXT, "input_reference": {"image_url": path}},
        {"prompt": TEXT, "input_reference": {"file_id": path}},
        {"prompt": TEXT, "input_reference": path},
        {"prompt": TEXT, "lora": path},
    ):
        assert_refused(server.post(json=body), 400, 404)
    for place in (path, path.replace("/", "%2f"), f"{path}/content"):
        assert_refused(server.get(place), 400, 404)


def test_addresses_are_not_fetched_unless_that_is_allowed(server):
    for url in ("http://127.0.0.1:1/x.png", "https://example.com/x.png", "ftp://x/y", "data:text/html,x"):
        error = assert_refused(server.post(json={"prompt": TEXT, "input_reference": {"image_url": url}}), 400)
        assert error["param"] == "input_reference"


def test_what_is_too_large_or_no_medium_is_refused(server):
    large = b"x" * (2**20 + 1)
    assert_refused(server.post(files={"input_reference": large}), 413)
    chunks = (large[:1000] for _ in range(2000))  # of which no length is said
    assert_refused(server.post(content=chunks, headers={"Content-Type": "application/json"}), 413)
    error = assert_refused(server.post(data={"prompt": TEXT}, files={"input_reference": b"no picture"}), 400)
    assert error["code"] == "invalid_media" and error["param"] == "input_reference"


def test_a_request_that_is_no_http_leaves_the_server_alive(server):
    host, port = server.address.removeprefix("http://").split(":")
    begun = b"POST /v1/videos HTTP/1.1\r\nHost: x"
    for data in (b"\x00\xff garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", begun):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(data)
    assert server.client.get("/health").status_code == 200


VALUES = [
    None, True, -1, 0, 10**30, -0.5, 1e308, "", "x" * 5000, "\x00", "☃", [], [1], {}, {"a": {"b": 1}},
    "9" * 400, "NaN", "1e999", "../x", {"image_url": "data:image/png;base64,AAAA"},
    {"id": "video_" + "0" * 32},
]  # fmt: skip
NAMES = (
    "prompt", "model", "seconds", "size", "num_frames", "fps", "width", "height", "seed", "guidance_scale",
    "generate_sound", "extra_params", "input_reference", "video_reference", "audio_reference",
    "source_video", "video_noise_mask", "negative_prompt", "n", "nonsense",
)  # fmt: skip

EXTRA = ("task", "mask", "aspect", "composite", "temperature", "top_k", "guidance_schedule", "joint", "x")


def malformed(chance: random.Random) -> dict:
    """A request that is wrong in one of many ways."""
    body = {chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(1, 4))}
    way = chance.randrange(6)
    if way == 0:
        return {"json": body}
    if way == 1:
        return {"json": {"prompt": TEXT, "extra_params": {chance.choice(EXTRA): chance.choice(VALUES)}}}
    if way == 2:
        text = damaged(b'{"prompt": "a red square", "seconds": "1", "extra_params": {"task": "x"}}', chance)
        return {"content": text, "headers": {"Content-Type": "application/json"}}
    if way == 3:
        parts = [(name, (None, str(value))) for name, value in body.items()]
        return {"files": [*parts, ("input_reference", ("x.png", chance.randbytes(50)))]}
    if way == 4:
        lines = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na red square\r\n--x--\r\n'
        kind = "multipart/form-data" + chance.choice(["; boundary=x", "", "; b="])
        return {"content": damaged(lines, chance), "headers": {"Content-Type": kind}}
    kinds = ["text/plain", "", "application/json; charset=x", "application/x-www-form-urlencoded", "a/b"]
    return {"content": chance.randbytes(30), "headers": {"Content-Type": chance.choice(kinds)}}


def fuzz(server, cases: int) -> int:
    """Send malformed requests; how many were refused. What happens to be right is taken or the queue full."""
    paths = ("", "/sync", "/edits", "/extensions", "/video_x/remix", "/video_" + "0" * 32 + "/cancel")
    refused = 0
    for number in range(cases):
        chance = random.Random(number)
        answer = server.post(chance.choice(paths), **malformed(chance))
        if answer.status_code == 200:
            continue
        refused += 1
        if answer.status_code == 501:  # characters and the like, by name
            assert "error" in answer.json()
        else:
            assert_refused(answer)
    for number in range(cases // 10):
        chance = random.Random(-number - 1)
        query = {chance.choice(["after", "limit", "order", "variant"]): str(chance.choice(VALUES))}
        answer = server.get(chance.choice(["", "video_x", "video_x/content", "video_x/events"]), params=query)
        assert answer.status_code == 200 or assert_refused(answer)
    return refused


def test_malformed_requests_are_refused_and_the_server_lives(server, capfd):
    assert fuzz(server, min(CASES, 40)) > 25
    assert server.client.get("/health").json()["status"] == "ok"
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.long
def test_a_thousand_malformed_requests(server, capfd):
    assert fuzz(server, max(CASES, 1000)) > 700
    assert server.client.get("/health").json()["status"] == "ok"
    assert "Traceback" not in capfd.readouterr().err


def test_base64_that_is_none_is_refused(server):
    for data in ("%%%", base64.b64encode(b"x" * 99).decode()):
        body = {"prompt": TEXT, "input_reference": {"image_url": f"data:image/png;base64,{data}"}}
        assert assert_refused(server.post(json=body), 400)["code"] == "invalid_media"
