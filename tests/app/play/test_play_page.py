"""The page of play in a headless browser: by keyboard and mouse, light and dark, wide and narrow."""

import json
from pathlib import Path

import pytest
from browser import Page, browser
from play_server import play_server

from videolm import VideoLM
from videolm.app.play.world import world_of
from videolm.data.environments.record_settings import View
from videolm.data.runtime.model_source import model_folder

pytestmark = pytest.mark.long
ENV = "minigrid:MiniGrid-Empty-Random-6x6-v0"
STEP = "Number(document.querySelector('#%s .numbers')?.innerText.match(/step (\\d+)/)?.[1] ?? -1)"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    pytest.importorskip("minigrid")
    model = VideoLM.from_pretrained(model_folder("minigrid"), "cpu", tasks=["world"])
    world = world_of(model, "minigrid", ENV, View(), None, 200)
    with play_server(world, tmp_path_factory.mktemp("games")) as server, browser() as page:
        yield server, page


@pytest.fixture
def page(served):
    """The page, at its first picture; what the browser complains of fails the test."""
    server, page = served
    page.resize(1280, 900)
    page.problems.clear()
    page.requests.clear()
    page.open(server.address)
    page.wait(f"{STEP % 'dream'} == 0 && {STEP % 'real'} == 0")
    yield page
    assert page.problems == []
    own = (server.address, server.address.replace("http", "ws", 1), "data:")
    assert page.requests and not [each for each in page.requests if not each.startswith(own)]


def picture(page: Page, side: str) -> str:
    return page.evaluate(f"document.querySelector('#{side} canvas').toDataURL()")


def until_step(page: Page, step: int) -> None:
    page.wait(f"{STEP % 'dream'} == {step} && {STEP % 'real'} == {step}")


def test_each_press_of_a_key_is_one_step_in_both_pictures(page):
    before = picture(page, "dream")
    assert before == picture(page, "real")
    for step, key in enumerate(("ArrowLeft", "ArrowLeft", "ArrowRight"), start=1):
        page.press(key)
        until_step(page, step)
    page.wait(f"document.querySelector('#dream canvas').toDataURL() != {json.dumps(before)}")
    page.wait("document.querySelector('#dream canvas').toDataURL() == "
              "document.querySelector('#real canvas').toDataURL()")  # fmt: skip
    page.press("ArrowLeft")  # the reverse of the turn to the right
    until_step(page, 4)


def test_a_game_is_saved_and_played_again(page, served):
    for step in (1, 2):
        page.press("ArrowRight")
        until_step(page, step)
    after = picture(page, "dream")
    page.click("document.getElementById('save')")
    page.wait("document.getElementById('told').innerText.startsWith('Saved as episode-0000')")
    page.click("document.getElementById('next')")
    page.wait(f"{STEP % 'dream'} == 0 && document.getElementById('seed').value == '1'")
    page.click("document.getElementById('replay')")
    until_step(page, 2)
    page.wait(f"document.querySelector('#dream canvas').toDataURL() == {json.dumps(after)}")
    assert list((served[0].out / "real").glob("*.mkv"))


def test_all_that_can_be_pressed_is_reached_by_keyboard(page):
    seen = set()
    for _ in range(25):
        page.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement == document.body")
    assert {"seed", "reset", "next", "pace", "save", "replay"} <= seen
    buttons = "[...document.querySelectorAll('#keys button')]"
    page.evaluate(f"{buttons}.find(it => /forward/.test(it.innerText)).focus()")
    page.press("Enter")
    until_step(page, 1)


def test_the_page_fits_wide_and_narrow_light_and_dark(page, tmp_path):
    shots = []
    for width, is_dark in ((1280, False), (390, False), (390, True)):
        page.resize(width, 844, is_dark)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        path = Path(tmp_path) / f"{width}-{is_dark}.png"
        page.screenshot(path)
        shots.append(path.read_bytes())
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") != is_dark
    assert len(set(shots)) == 3


def test_a_held_key_is_ten_pictures_a_second_or_more(page):
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))")
    until_many = f"{STEP % 'dream'} >= 12"
    page.wait(until_many)
    assert int(page.evaluate("document.getElementById('speed').innerText").split()[0]) >= 2
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keyup', {key: 'ArrowLeft', bubbles: true}))")
