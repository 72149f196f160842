"""`videolm serve` as a user starts it: its refusals, and SIGKILL in the middle of its work."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from job_queues import wait_until

from videolm.app.server import options
from videolm.cli.main import main
from videolm.data.runtime.import_path import isolated_environment

TEXTS = ("a red square moves right", "a blue circle", "a green triangle")


@pytest.fixture
def start(model_folder, tmp_path):
    """Starts a server on the same jobs; returns its process and address."""
    started: list[subprocess.Popen] = []

    def serve() -> tuple[subprocess.Popen, str]:
        words = ["serve", "--model", str(model_folder), "--port", "0", "--jobs", str(tmp_path / "jobs")]
        process = subprocess.Popen(
            [sys.executable, "-m", "videolm.cli.main", *words, "--batch", "2"],
            stdout=subprocess.PIPE,
            text=True,
            env=isolated_environment() | {"OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"at (http://127\.0\.0\.1:\d+)/v1", line)
        assert match, line
        return process, match[1]

    yield serve
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.long
def test_after_sigkill_every_accepted_job_is_made_once(start):
    process, address = start()
    with httpx.Client(base_url=f"{address}/v1", trust_env=False) as client:
        jobs = {}
        for seed in range(12):
            body = {"prompt": TEXTS[seed % 3], "seed": seed}
            jobs[client.post("/videos", json=body).json()["id"]] = seed
        finished = [each for each in jobs if client.get(f"/videos/{each}").json()["status"] == "completed"]
        wait_until(lambda: any(client.get(f"/videos/{each}").json()["progress"] > 0 for each in jobs))
        process.send_signal(signal.SIGKILL)
        process.wait()
    _, address = start()
    with httpx.Client(base_url=f"{address}/v1", trust_env=False) as client:

        def status(name: str) -> str:
            return client.get(f"/videos/{name}").json()["status"]

        wait_until(lambda: all(status(each) == "completed" for each in jobs), 240)
        listed = client.get("/videos", params={"limit": 100}).json()["data"]
        assert {each["id"]: each["seed"] for each in listed} == jobs and set(finished) <= set(jobs)
        assert all(client.get(f"/videos/{each}/content").content[4:8] == b"ftyp" for each in jobs)


@pytest.mark.long
def test_ctrl_c_ends_it_in_good_order(start):
    process, address = start()
    assert httpx.get(f"{address}/health", trust_env=False).status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


def test_what_is_wrong_is_said_before_anything_heavy_is_loaded(capsys, tmp_path, monkeypatch):
    (tmp_path / "tokens").write_text("short\n")
    for words, told in (
        (["--model", "no/such/model/here"], "no model folder"),
        (["--tokens", "missing"], "no file of tokens"),
        (["--port", "70000"], "port is 70000"),
        (["--tokens", str(tmp_path / "tokens")], "fewer than 8 characters"),
        (["--host", "256.1.1.1"], "cannot listen"),
        (["--queue", "0"], "queue is 0"),
    ):
        assert main(["serve", *words]) == 2, words
        assert told in capsys.readouterr().err
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert "pip install 'videolm[app]'" in capsys.readouterr().err
    assert os.listdir(Path.cwd()) == []
