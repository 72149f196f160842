"""The command that makes a sheet of one character; in the model's place stands what renders the prompts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.media.clip import Clip
from videolm.examples.sprites import sheet as command
from videolm.examples.sprites.attribute_reader import AttributeReader, Reading
from videolm.examples.sprites.command_line import run_command
from videolm.examples.sprites.description import described
from videolm.examples.sprites.scenes import BACKGROUNDS, KEYS, Scene, draw_frames
from videolm.examples.sprites.sheet import report_of, sheet
from videolm.examples.sprites.sheets import ACTIONS, CELL, DIRECTIONS
from videolm.examples.sprites.soft_fit import Softness
from videolm.examples.sprites.strips import POSES, check_format, make_strips

PARTS_OF = {"body": 1, "hair": 2, "top": 0, "bottom": 2, "shoes": 1}
FORMAT = ClipFormat(64, 64, 17, 8.0, (5, 8, 8), 4, (2,) * 8, "stand-in")
TEXT = "tan skin and spiky orange hair, in a dark red shirt, red trousers and golden boots"


class Renderer:
    """Renders the character of any prompt, and of some seeds another one."""

    def __init__(self, sheets, wrong_seeds: tuple[int, ...] = ()):
        self.sheets, self.clips, self.wrong_seeds = sheets, FORMAT, wrong_seeds
        self.wrong: set[tuple[str, int]] = set()
        character = described(TEXT, 0)
        self.poses = {character.prompt(*pose): pose for pose in POSES}

        self.scenes: list[Scene] = []

    def generate_batch(self, task, prompts, *, seed, progress) -> list[Clip]:
        assert task == "text_to_video"
        made = []
        for number, (prompt, own) in enumerate(zip(prompts, seed, strict=True)):
            action, direction = self.poses[prompt.text]
            is_wrong = own in self.wrong_seeds and number % 2 == 0
            parts = PARTS_OF | ({"hair": 0} if is_wrong else {})
            self.wrong |= {(prompt.text, own)} if is_wrong else set()
            background = list(BACKGROUNDS)[number % len(BACKGROUNDS)]
            phase = (number + own) % ACTIONS[action].period
            scene = Scene(action, direction, **parts, eyes=None, phase=phase, background=background)
            self.scenes.append(scene)
            made.append(Clip(torch.from_numpy(draw_frames(self.sheets, scene, 17)), 8.0))
            progress(number + 1)
        return made


@pytest.fixture
def renderer(sheets, monkeypatch) -> Renderer:
    """In the place of whatever model the command loads."""
    made = Renderer(sheets)
    monkeypatch.setattr(command.VideoLM, "from_pretrained", lambda model, device, tasks: made)
    return made


class Knowing(AttributeReader):
    """Reads of each clip in turn what was rendered, but of walking no action."""

    def __init__(self, renderer: Renderer):
        self.renderer, self.next = renderer, 0

    def read(self, frames) -> Reading:
        scene = self.renderer.scenes[self.next]
        self.next += 1
        told = {key: getattr(scene, key) for key in KEYS}
        told |= {"action": None} if scene.action == "walk" else {}
        return Reading(told, {}, 1.0, scene.phase, Softness(), (0.0, 0.0, 0.0))


def rows_of(picture: Path) -> dict[tuple[str, str], np.ndarray]:
    """The red, green and blue of the cells of each cycle in a sheet."""
    pixels = np.asarray(Image.open(picture)).reshape(21, CELL, 13, CELL, 4).transpose(0, 2, 1, 3, 4)
    assert not pixels[20].any()  # hurt
    assert np.array_equal(pixels[8:12, 0], pixels[12:16, 0]) and pixels[8:12, 0].any()  # walk and slash
    rows = {}
    for action, direction in POSES:
        columns = ACTIONS[action].columns
        row = pixels[ACTIONS[action].row + DIRECTIONS.index(direction)]
        rows[action, direction] = row[columns.start : columns.stop, ..., :3]
    return rows


def drawn(sheets, action: str, direction: str) -> np.ndarray:
    scene = Scene(action, direction, **PARTS_OF, eyes=None, phase=0, background="black")
    return draw_frames(sheets, scene, ACTIONS[action].period)


def test_a_sheet_holds_the_character_in_every_pose(renderer, sheets, capsys: pytest.CaptureFixture[str]):
    written = sheet("any", out=Path("out"), text=TEXT)
    assert written == [Path("out", name) for name in ("sheet.png", "preview.png", "report.json")]
    for (action, direction), row in rows_of(Path("out/sheet.png")).items():
        cycle = drawn(sheets, action, direction)
        assert any(np.array_equal(np.roll(cycle, turn, axis=0), row) for turn in range(len(cycle)))
        with Image.open(f"out/{action}-{direction}.gif") as film:
            times = [film.seek(index) or film.info["duration"] for index in range(film.n_frames)]
        assert abs(sum(times) - 125 * len(cycle)) < 10
    report = json.loads(Path("out/report.json").read_text())
    assert report["attributes"] == PARTS_OF and report["identity_agreement"] is None
    assert report["cycles_closed"] == 20 and len(report["clips"]) == 20
    assert {clip["seed"] for clip in report["clips"]} == {0}
    assert "20 of 20 cycles close" in capsys.readouterr().out


def test_rows_begin_as_those_of_the_sheets_where_the_frame_is_read(sheets):
    renderer, character = Renderer(sheets), described(TEXT, 0)
    strips = make_strips(renderer, character, Knowing(renderer), seed=3, tries=1)
    for strip in strips:
        if strip.action != "walk":
            assert np.array_equal(strip.row[..., :3], drawn(sheets, strip.action, strip.direction))
    begun = {(strip.action, strip.direction): strip.begins for strip in strips}
    assert {begun["walk", way] for way in ("front", "back")} == {"window"}
    assert {begun["walk", way] for way in ("left", "right")} == {"standing"}
    assert {how for (action, _), how in begun.items() if action != "walk"} == {"reading"}
    assert report_of(strips, character)["identity_agreement"]["mean"] == 1


def test_of_several_tries_those_of_one_character_are_kept(sheets):
    character = described(TEXT, 0)
    mixed = Renderer(sheets, wrong_seeds=(5,))
    once = make_strips(mixed, character, None, seed=5, tries=1)
    assert {strip.seed for strip in once} == {5}
    kept = make_strips(mixed, character, None, seed=5, tries=3)
    assert [(strip.action, strip.direction) for strip in kept] == POSES
    reports = [report_of(strips, character)["clips"] for strips in (once, kept)]
    worst = [min(clip["agreement"] for clip in clips) for clips in reports]
    assert worst[1] > worst[0]
    assert not mixed.wrong & {(strip.prompt, strip.seed) for strip in kept}


def test_of_several_tries_those_that_show_what_was_asked_for_are_kept(sheets):
    """All of the first try agree with one another, in the wrong hair."""
    renderer = Renderer(sheets, wrong_seeds=(5,))
    kept = make_strips(renderer, described(TEXT, 0), Knowing(renderer), seed=5, tries=2)
    assert len(renderer.wrong) == 20 and {strip.seed for strip in kept} == {6}


@pytest.mark.long
def test_a_picture_of_a_character_becomes_a_sheet_of_it(
    renderer, sheets, sheets_folder: Path, capsys: pytest.CaptureFixture[str]
):
    Image.fromarray(drawn(sheets, "walk", "front")[0]).save("hero.png")
    sheet("any", out=Path("out"), picture=Path("hero.png"), sheets=sheets_folder)
    for (action, direction), row in rows_of(Path("out/sheet.png")).items():
        assert np.array_equal(row, drawn(sheets, action, direction))
    report = json.loads(Path("out/report.json").read_text())
    assert report["attributes"] == PARTS_OF and report["drawn"] == []
    assert report["identity_agreement"]["mean"] == 1
    assert "identity agreement 1.000 (body 1.00, hair 1.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of --text and --picture"),
        ({"text": TEXT, "picture": Path("a.png")}, "give one of --text and --picture"),
        ({"picture": Path("a.png")}, "a picture is read with the layer sheets; give their folder with"),
        ({"text": TEXT, "tries": 0}, "tries is 0; expected at least 1"),
        ({"text": TEXT, "out": Path("full")}, "full is there already; expected a new or empty folder"),
        ({"text": TEXT, "sheets": Path("nowhere")}, "there is no folder nowhere"),
    ],
)
def test_mistakes_are_said_before_a_model_is_loaded(monkeypatch, options: dict, message: str):
    monkeypatch.setattr(command, "VideoLM", None)
    Path("full").mkdir()
    Path("full/a.txt").touch()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        sheet("any", **{"out": Path("out")} | options)
    assert not Path("out").exists()


def test_a_model_of_other_clips_is_refused():
    check_format(FORMAT)
    check_format(replace(FORMAT, height=128, width=128, num_frames=13))
    for other in ({"height": 48, "width": 48}, {"width": 128}, {"fps": 12.0}, {"num_frames": 9}):
        with pytest.raises(ValueError, match="expected at least 13 of 64x64, or a multiple, at 8"):
            check_format(replace(FORMAT, **other))


def test_a_mistake_on_the_command_line_is_one_line(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.argv", ["sheet", "nowhere", "--out", "out", "--text", "a red car"])
    with pytest.raises(SystemExit) as stopped:
        run_command(sheet, "sheet")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "sheet: error: 'a red car' names no skin, hair or clothes that captions.py knows; expected something "
        "like 'A green orc with curly purple hair'\n"
    )
