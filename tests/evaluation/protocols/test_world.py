"""The protocol "world": an exact world scores all, one that stands still what copying scores; the command."""

import json
from pathlib import Path

import pytest
import torch
from tiny_world import LEVELS, SPACE, LevelCodec, levels_of, world_model

from videolm import VideoLM
from videolm.cli.main import main
from videolm.data.environments.minigrid_state import Tile, drawn_tiles
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.pixels import frames_from_pixels
from videolm.evaluation.evaluate_world import kept_scores, table
from videolm.evaluation.protocols import world as protocol
from videolm.evaluation.protocols.world import Episode, Tally, recorded, run_world
from videolm.generation.world.worlds import Moment
from videolm.tasks.model_scores import ModelScore

STEPS = (5, 9)


@pytest.fixture
def clips(tmp_path) -> Path:
    """Two recorded episodes of the world of tiny_world.py, and one whose actions are too few."""
    folder = tmp_path / "clips"
    folder.mkdir()
    lines = []
    for number, steps in enumerate((*STEPS, 6)):
        actions = SPACE.sample(steps, torch.Generator().manual_seed(number))[0]
        levels = levels_of(actions)[None].float() / (LEVELS - 1) * 2 - 1
        pixels = levels.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, None].expand(-1, 3, -1, -1, -1)
        write_clip(Clip(frames_from_pixels(pixels)[0], SPACE.rate), folder / f"{number}.mkv")
        ends = [(step + 1) % LEVELS == 0 for step in range(steps)]
        rewards = [float(each == 2) for each in actions]
        kept = actions.tolist() if number < len(STEPS) else actions.tolist()[:2]
        line = {"path": f"{number}.mkv", "actions": kept, "rewards": rewards[: len(kept)]}
        lines.append(json.dumps(line | {"terminated": ends[: len(kept)]}) + "\n")
    (folder / "captions.jsonl").write_text("".join(lines))
    (folder / "actions.json").write_text(json.dumps(SPACE.to_json()))
    return folder


def exact(worlds, episodes, actions, seeds):
    """The world itself in place of a model's dream, given any actions."""
    made = []
    for episode, own in zip(episodes, actions, strict=True):
        codec, levels = LevelCodec(1), levels_of(own[0])
        frames = frames_from_pixels(codec.decode(codec.codes_of(levels[None])))[0]
        rewards, ends = SPACE.decode_outcomes(episode.outcome)
        moments = [
            Moment(frames[step + 1 : step + 2], [float(rewards[step])], [bool(ends[step])])
            for step in range(own.shape[1])
        ]
        made.append((frames, moments))
    return made


def test_the_world_itself_scores_all_that_there_is(clips, monkeypatch):
    monkeypatch.setattr(protocol, "dream", exact)
    scores = run_world(world_model(), str(clips), 10, 0)
    steps = scores.report["steps"]
    assert [steps[step]["episodes"] for step in (1, 4, 8)] == [2, 2, 1] and 16 not in steps
    for values in steps.values():
        assert values["psnr_db"] == pytest.approx(58.9, abs=0.1)
        assert values["delta_psnr_db"] >= 0
    assert steps[1]["copied_db"] < 20
    assert max(values["delta_psnr_db"] for values in steps.values()) > 10
    for kind in ("rewards", "ends"):
        assert scores.report[kind]["precision"] == scores.report[kind]["recall"] == 1
    assert "precision 1.00, recall 1.00" in table(scores.report)


def test_episodes_are_read_up_to_so_many_steps_and_broken_ones_left_out(clips):
    found = list(recorded(world_model(), str(clips), 10, 7))
    assert [len(each.frames) for each in found] == [6, 8]
    assert [each.actions.shape[1] for each in found] == [5, 7]
    assert len(list(recorded(world_model(), str(clips), 1, 7))) == 1


def test_a_model_of_random_weights_is_scored_from_its_own_dreams(clips):
    report = run_world(world_model(), str(clips), 2, 0, steps=3).report
    assert report["episodes"] == 2 and report["frames_a_cpu_second"] > 0
    assert report["steps"][1]["psnr_db"] < 40


def test_the_state_of_a_minigrid_is_right_or_wrong_by_what_is_read():
    tiles = {
        name: Tile(*what) for name, what in {
            "floor": ("empty",), "right": ("empty", "", "", 0), "down": ("empty", "", "", 1),
            "shut": ("door", "red", "closed"), "open": ("door", "red", "open"), "key": ("key", "red"),
        }.items()
    }  # fmt: skip

    def picture(*names):
        return torch.cat([drawn_tiles([tiles[name]])[0] for name in names], 1)[None]

    first = picture("right", "shut", "key")
    frames = torch.cat([first, picture("down", "open", "floor")])
    episode = Episode(frames, torch.zeros((1, 1), dtype=torch.int64), torch.zeros(1, dtype=torch.int64), True)
    for made, expected in (("down", "open", "floor"), (1, 1, 1)), (("right", "shut", "key"), (0, 0, 0)):
        tally = Tally()
        shown = torch.cat([first, picture(*made)])
        protocol._compare(tally, episode, shown, shown)
        values = tally.report()["steps"][1]
        assert (values["agent"], values["doors"], values["carried"]) == expected and values["legible"] == 1


def test_the_command_asks_for_clips_and_a_world_model(clips, model_folder, capsys):
    words = ["evaluate", "--protocol", "world", "--model", str(model_folder)]
    assert main(words) == 2
    assert "protocol world needs --data" in capsys.readouterr().err
    assert main([*words, "--data", str(clips)]) == 2
    assert "world" in capsys.readouterr().err


def test_clips_that_are_not_there_are_refused_before_the_model_is_read(monkeypatch, capsys):
    monkeypatch.setattr(VideoLM, "from_pretrained", lambda *given: pytest.fail("the model was read"))
    assert main(["evaluate", "--protocol", "world", "--model", "minigrid", "--data", "nowhere"]) == 2
    assert "there are no clips nowhere (--data)" in capsys.readouterr().err


def test_drift_is_told_of_the_same_episodes_at_every_step():
    picture = torch.zeros((1, 8, 16, 3), dtype=torch.uint8)
    nothing = torch.zeros(0, dtype=torch.int64)
    tally = Tally()
    for steps, brightness in ((300, 9), (40, 90)):
        frames = picture.expand(steps + 1, -1, -1, -1)
        made = frames.clone()
        made[100:] = brightness  # the longer dream goes wrong at the hundredth step
        protocol._compare(tally, Episode(frames, nothing[None], nothing, False), made, made)
    report = tally.report()
    assert [values["episodes"] for values in report["drift"].values()] == [1] * len(protocol.DRIFT)
    assert list(report["drift"]) == list(protocol.DRIFT) and report["steps"][32]["episodes"] == 2
    assert report["drift"][50]["psnr_db"] > 50 > report["drift"][100]["psnr_db"]
    report |= {"frames_a_cpu_second": 1.0}
    assert "episodes of 300 steps or more" in table(report)


def test_a_model_keeps_the_scores_of_the_steps_that_there_are(tmp_path):
    values = {"episodes": 2, "psnr_db": 30.0, "copied_db": 20.0, "delta_psnr_db": 5.0, "agent": 0.5}
    counts = {"precision": None, "recall": 1.0, "true": 3}
    report = {"steps": {1: values, 16: values}, "drift": {}, "rewards": counts, "ends": counts}
    kept = {each.name: each for each in kept_scores(report)}
    assert kept["psnr_db at step 16"] == ModelScore("psnr_db at step 16", 30.0, 20.0)
    assert kept["agent at step 1"].value == 0.5 and "psnr_db at step 64" not in kept
    assert kept["precision of rewards"].value is None and "same return" not in kept
