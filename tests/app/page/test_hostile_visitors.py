"""Who speaks to the page past its browser reads no file of the server and lets it fetch nothing."""

import json

import httpx
import pytest
from job_queues import finished, submit
from page_server import page_server

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def page(model_folder, tmp_path_factory):
    """A page, and a client that asks it."""
    with (
        page_server(model_folder, tmp_path_factory.mktemp("hostile")) as server,
        httpx.Client(base_url=server.address, timeout=60, trust_env=False) as client,
    ):
        yield server, client


def made(client: httpx.Client, **fields) -> list[dict]:
    """What the page answers to its button, with these values in place of the fields' own."""
    config = client.get("/config").json()
    parts = {each["id"]: each for each in config["components"]}
    ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
    (event,) = [each for each in config["dependencies"] if [ids["make"], "click"] in each["targets"]]
    given = {ids[name]: value for name, value in fields.items()}
    data = [given.get(each, parts[each]["props"].get("value")) for each in event["inputs"]]
    asked = {"data": data, "fn_index": event["id"], "session_hash": "visitor"}
    assert client.post("/gradio_api/queue/join", json=asked).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "visitor"}) as answer:
        told = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    return [each for each in told if each["msg"].startswith("process_")]


def test_the_button_makes_a_clip_without_a_browser(page):
    server, client = page
    told = made(client, task="unconditional", seed=3)
    assert told[-1]["success"] and server.queue.jobs()[-1].request.seed == 3


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "http://127.0.0.1:1/x", "job"])
def test_a_file_that_was_not_uploaded_is_not_read(path, page, tmp_path):
    server, client = page
    if path == "job":
        (job,) = finished(server.queue, submit(server.queue, task="unconditional", seed=1))
        path = str(server.queue.store.result(job, "thumbnail"))
    before = len(server.queue.jobs())
    uploads = {each for each in (server.files / "uploads").rglob("*") if each.is_file()}
    for url in (None, "http://127.0.0.1:1/x.png", "data:image/png;base64,AAAA"):
        image = {"path": path, "url": url, "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
        for fields in ({"image": image}, {"text": image}, {"painted": {"mask": image}}, {"seed": image}):
            told = made(client, **{"task": "image_to_video"} | fields)
            assert not told[-1]["success"] and "root:" not in json.dumps(told), (url, fields)
            assert "Traceback" not in json.dumps(told) and "site-packages" not in json.dumps(told)
    assert len(server.queue.jobs()) == before
    assert {each for each in (server.files / "uploads").rglob("*") if each.is_file()} == uploads


def test_no_file_of_the_server_is_served(page):
    server, client = page
    (job,) = finished(server.queue, submit(server.queue, task="unconditional", seed=2))
    result = server.queue.store.result(job, "video")
    for path in ("/etc/passwd", result, server.files.parent, "../pyproject.toml"):
        for route in ("/gradio_api/file=", "/file=", "/gradio_api/stream/", "/gradio_api/proxy=", "/static/"):
            answer = client.get(f"{route}{path}")
            assert answer.status_code in (400, 403, 404, 405, 500) and b"root:" not in answer.content
    for route in ("/gradio_api/info", "/gradio_api/openapi.json"):
        answer = client.get(route)
        assert answer.status_code >= 400 or not answer.json().get("named_endpoints"), route


def test_the_page_is_kept_from_other_names_origins_and_frames(page):
    _, client = page
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    for path in ("/gradio_api/queue/join", "/gradio_api/upload"):
        assert client.post(path, headers={"Origin": "https://evil.org"}).status_code == 403
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy


def test_a_value_that_the_form_does_not_offer_is_refused(page):
    server, client = page
    before = len(server.queue.jobs())
    odd = [{"task": "tasks/mine.py"}, {"count": 1000}, {"count": None}, {"mask": "/etc/passwd"}]
    odd += [{"seed": "x"}, {"upscale": "8 times"}, {"aspect": "9" * 999}, {"clip-top_k": "1e999"}]
    for fields in odd:
        told = made(client, **{"task": "inpainting"} | fields)
        assert "Traceback" not in json.dumps(told) and "site-packages" not in json.dumps(told)
    assert len(server.queue.jobs()) == before
