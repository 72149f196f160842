"""The packaged world model beside its real environment: both on the same actions, by the command itself."""

import json
import signal
import subprocess
import sys

import httpx
import pytest
import torch
from job_queues import wait_until
from play_server import PlayServer, play_server

from videolm import VideoLM, read_clip
from videolm.app.play.world import world_of
from videolm.cli.main import main
from videolm.data.environments.action_space import ActionSpace
from videolm.data.environments.record_settings import Recording, View
from videolm.data.environments.recording import record
from videolm.data.media.psnr import psnr
from videolm.data.runtime.model_source import model_folder
from videolm.data.sources.manifest import read_manifest

pytest.importorskip("minigrid")
ENV = "minigrid:MiniGrid-Empty-Random-6x6-v0"


@pytest.fixture(scope="module")
def played():
    model = VideoLM.from_pretrained(model_folder("minigrid"), "cpu", tasks=["world"])
    return world_of(model, "minigrid", ENV, View(), None, 200)


def purposeful(seed: int, folder) -> list[list[int]]:
    """The actions of a recorded way to the goal."""
    record(Recording(ENV, "purposeful", episodes=1, seed=seed), folder)
    line = json.loads((folder / "captions.jsonl").read_text())
    return [[action] for action in line["actions"]]


def test_dream_and_environment_show_the_same_on_the_same_keys(played, tmp_path):
    way = purposeful(3000000, tmp_path / "way")
    with play_server(played, tmp_path / "games") as server, server.player() as player:
        assert player.hello["environment"] == ENV
        told = player.play(3000000, way)
        assert player.ask("save")["name"] == "episode-000000"
    sides = {side: torch.cat([each[side]["frames"] for each in told]) for side in ("dream", "real")}
    assert len(sides["dream"]) == len(sides["real"]) == len(way) + 1
    assert psnr(sides["real"], sides["dream"]).min() > 50
    last = told[-1]
    assert last["dream"]["end"] == last["real"]["end"] == "terminated"
    assert last["dream"]["reward"] == 1 > last["real"]["reward"] > 0
    for side, frames in sides.items():
        assert torch.equal(read_clip(tmp_path / f"games/{side}/episode-000000.mkv").frames, frames)
    recorded, kept = ((tmp_path / name / "episode-000000.mkv") for name in ("way", "games/real"))
    assert torch.equal(read_clip(recorded).frames, read_clip(kept).frames)


def test_what_was_played_is_a_source_of_clips_like_a_recording(played, tmp_path):
    with play_server(played, tmp_path / "games") as server, server.player() as player:
        for seed in (1, 2):
            player.play(seed, [[2], [0], [1]])
            player.ask("save")
    record(Recording(ENV, episodes=2, seed=1, steps=3), tmp_path / "clips")
    own, other = tmp_path / "games/real", tmp_path / "clips"
    spaces = [ActionSpace.from_json(json.loads((each / "actions.json").read_text())) for each in (own, other)]
    assert spaces[0] == spaces[1]
    lines = [json.loads((each / "captions.jsonl").read_text().splitlines()[0]) for each in (own, other)]
    assert lines[0].keys() == lines[1].keys()
    assert [entry.extra["group"] for entry in read_manifest(own)] == ["seed 1", "seed 2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "shapes", "--env", ENV], "not trained on task world"),
        (["--model", "minigrid"], "give one of them"),
        (["--model", "minigrid", "--env", ENV, "--starts", "x.png"], "give one of them"),
        (["--model", "minigrid", "--env", "gymnasium:CliffWalking-v1"], "actions are not the model's"),
        (["--model", "minigrid", "--env", "minigrid:MiniGrid-Empty-8x8-v0"], "pictures are 64x64"),
        (["--model", "minigrid", "--env", "minigrid:Nope"], "cannot be opened"),
        (["--model", "minigrid", "--starts", "nope.png"], "nope.png"),
        (["--model", "minigrid", "--env", ENV, "--players", "0"], "expected 1 or more"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(words, message, capsys):
    assert main(["play", *words, "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_the_server_s_packages_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "websockets", None)
    assert main(["play", "--model", "minigrid", "--env", ENV]) == 2
    assert "pip install 'videolm[app]'" in capsys.readouterr().err


def is_alive(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", trust_env=False).json()["status"] == "ok"
    except httpx.ConnectError:
        return False


def test_an_interrupt_ends_it_in_good_order_while_somebody_plays(tmp_path):
    command = [sys.executable, "-m", "videolm.cli.main", "play", "--model", "minigrid", "--env", ENV]
    process = subprocess.Popen(
        [*command, "--port", "0", "--out", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = process.stdout.readline().split()[1]
        wait_until(lambda: is_alive(address))
        with PlayServer(address, tmp_path).player() as player:
            player.play(0, [[2], [0]])
            player.ask("save")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130 and errors == "videolm play: stopped\n"
    names = {path.name for path in (tmp_path / "real").iterdir()}
    assert names == {"episode-000000.mkv", "captions.jsonl", "actions.json"}
