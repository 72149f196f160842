"""The page in a headless browser, with the packaged model: every task and input, by mouse and by keyboard."""

import re
from pathlib import Path

import pytest
import torch
from browser import browser
from page_server import Visitor, of, page_server, told

from videolm.app.jobs.job import Job
from videolm.app.server.access import owner_of
from videolm.data.media.reading import read_clip
from videolm.data.runtime.model_source import model_folder
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.task import load_task

pytestmark = pytest.mark.long
TASKS = ModelConfig.load(model_folder()).tasks
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with page_server(model_folder(), tmp_path_factory.mktemp("page")) as server, browser() as page:
        yield server, page


@pytest.fixture
def visitor(served):
    """Somebody who opens the page; what the browser complains of fails the test."""
    server, page = served
    page.resize(*SIZES["wide"])
    page.problems.clear()
    page.requests.clear()
    yield Visitor(page, server)
    assert page.problems == []
    foreign = [each for each in page.requests if not each.startswith((server.address, "data:", "blob:"))]
    assert page.requests and foreign == []


def shown(visitor: Visitor, code: str) -> str:
    return visitor.page.evaluate(f"{of(code, '.cm-content')}.innerText").replace("\u200b", "")


def film(visitor: Visitor, job: Job):
    return read_clip(visitor.server.queue.store.result(job, "video"))


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_made_from_its_example_and_again_by_the_call_below(task, visitor, monkeypatch):
    visitor.choose("task", task)
    visitor.page.wait(told_about(task))
    visitor.press("example")
    for name in load_task(task).needs:
        visitor.wait_for(name)
    (job,) = visitor.made()
    assert (job.status, job.request.task) == ("completed", task), job.error
    tag = "img" if load_task(task).makes_image else "video"
    ready = "naturalWidth" if tag == "img" else "readyState > 1 && it.videoWidth"
    visitor.page.wait(f"(it => it && it.{ready})({of('results', f'figure {tag}')})")
    program = shown(visitor, "python")
    assert f'"{task}"' in program and f"--task {task}" in shown(visitor, "command")
    monkeypatch.chdir(visitor.server.files / "examples")
    exec(compile(program, "shown", "exec"), {})
    (written,) = [path for path in Path().iterdir() if path.stem == task]
    again, made = read_clip(written), film(visitor, job)
    if written.suffix == ".png":  # the job's is a film of one frame, in other colours
        assert (again.frames.int() - made.frames.int()).abs().float().mean() < 4
    else:
        assert torch.equal(again.frames, made.frames)
        assert (again.waveform is None) == (made.waveform is None)
    written.unlink()


def told_about(task: str) -> str:
    return f"{of('about')}.innerText.startsWith({load_task(task).description.split('.')[0][:30]!r})"


def test_several_seeds_are_a_gallery_with_frames_while_they_are_made(visitor):
    visitor.fill("text", "a red square moves right")
    visitor.fill("count", "3")
    visitor.fill("seed", "5")
    visitor.press("make")
    visitor.page.wait(of("results", "figure img[alt*=first]"))
    visitor.page.wait(told("All 3 clips are made.$"))
    captions = "[...document.querySelectorAll('#results figcaption')]"
    seeds = visitor.page.evaluate(f"{captions}.map(it => it.innerText.match(/seed (\\d+)/)[1])")
    assert seeds == ["5", "6", "7"] and "--num-samples 3" in shown(visitor, "command")


def test_what_is_painted_is_made_anew(visitor):
    visitor.choose("task", "inpainting")
    visitor.page.wait(told_about("inpainting"))
    visitor.press("example")
    visitor.wait_for("video")
    visitor.choose("mask", "what I paint")
    canvas = of("painted", "canvas")
    visitor.page.wait(f"{canvas}?.width > 300")
    visitor.press("make")
    visitor.page.wait(f"/Nothing is painted yet/.test({of('results')}.innerText)")
    box = visitor.page.evaluate(
        f"(it => (it.scrollIntoView({{block: 'center'}}), it.getBoundingClientRect().toJSON()))({canvas})"
    )
    left, top = box["x"] + box["width"] / 6, box["y"] + box["height"] / 6
    visitor.page.mouse("mousePressed", left, top)
    visitor.page.mouse("mouseMoved", left + box["width"] / 3, top)
    visitor.page.mouse("mouseReleased", left + box["width"] / 3, top)
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", " "):  # on from where the mouse ended
        visitor.page.press(key)
    visitor.page.wait(of("painted", "a:not([hidden])"))
    (job,) = visitor.made()
    assert job.status == "completed", job.error
    media = visitor.server.queue.store.media(job)
    white = media["mask"].frames[0, :, :, 0] > 127
    height, width = white.shape
    assert white[height // 6, width // 6] and white[height // 6, width // 3] and not white[-1, -1]
    assert white[height // 6 + 4 :].any()
    known = ~white.expand(job.num_frames, -1, -1)
    kept = (film(visitor, job).frames.int() - media["video"].frames.int()).abs().float()[known]
    assert kept.mean() < 4  # but for what the film's compression changes


def test_the_form_is_filled_and_sent_by_keyboard_alone(visitor):
    page = visitor.page
    seen = []
    for _ in range(40):
        page.press("Tab")
        where = page.evaluate("(it => it.closest('[id]')?.id || it.tagName)(document.activeElement)")
        seen.append(page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel"))
        if page.evaluate(f"{of('text')}.contains(document.activeElement)"):
            page.type("a blue circle moves up")
        if where == "make":
            break
    assert where == "make", seen
    visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle + "
                            "getComputedStyle(document.activeElement).boxShadow")  # fmt: skip
    assert visible != "nonenone"
    page.press("Enter")
    page.wait(told("The clip is made.$"))
    assert visitor.server.queue.jobs()[-1].request.text == "a blue circle moves up"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_tab_fits_its_window_and_can_be_read(size, scheme, visitor, tmp_path):
    page = visitor.page
    page.resize(*SIZES[size], scheme == "dark")
    page.open(visitor.server.address)
    page.wait(of("make"))
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground)[:3])) < 64) == (scheme == "dark")
    for tab in ("Clip", "Long video", "Chain", "Made before"):
        visitor.open_tab(tab)
        page.screenshot(tmp_path / f"{tab}.png", whole=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        assert page.evaluate(_FAINT) == [], tab


# Texts that stand out from their ground by less than 4.5 to 1.
_FAINT = """(() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = it => {
    for (; it; it = it.parentElement) {
      const colour = numbers(getComputedStyle(it).backgroundColor);
      if (colour.length < 4 || colour[3] > .99) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [], seen = {opacityProperty: true, visibilityProperty: true};
  for (const it of document.querySelectorAll('p, label, span, button, figcaption, a, h1, textarea, input')) {
    const own = [...it.childNodes].some(child => child.nodeType == 3 && child.textContent.trim());
    if (!own || !it.getBoundingClientRect().width || it.disabled || !it.checkVisibility(seen)) continue;
    const a = light(numbers(getComputedStyle(it).color)), b = light(ground(it));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faint.push(`${it.textContent.trim().slice(0, 40)}: ${ratio.toFixed(1)}`);
  }
  return faint;
})()"""


def test_mistakes_are_told_in_sentences(visitor, tmp_path):
    page, alert = visitor.page, f"{of('results', '[role=alert]')}?.innerText"
    visitor.press("make")
    assert page.wait(alert) == "Task text_to_video takes a text; text is missing."
    visitor.fill("text", '<img src=x onerror="document.title=1"> ☃ {{1}} ${1}')
    visitor.press("make")
    page.wait(f"{alert}.includes('never showed any word')")
    assert page.evaluate("document.title").startswith("videolm")
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    visitor.choose("task", "frame_prediction")
    page.wait(told_about("frame_prediction"))
    visitor.give("video", tmp_path / "broken.mp4")
    visitor.press("make")
    message = page.wait(f"(text => text?.includes('video') && text)({alert})")
    assert message.endswith(".") and "/" not in message and "Traceback" not in message


def test_clips_are_stopped(visitor):
    visitor.fill("text", "a red square moves right")
    visitor.fill("count", "8")
    visitor.press("make")
    visitor.page.wait(told("(Making|Waiting).*"))
    visitor.press("stop")
    visitor.page.wait(told("(No clip is|[1-7] of 8 clips are) made.$"))
    assert any(job.code == "cancelled" for job in visitor.server.queue.jobs()[-8:])


def test_a_long_video_and_a_chain_are_made(visitor):
    page = visitor.page
    for tab, group, task in (("Long video", "long", "long_video"), ("Chain", "chain", "chain")):
        visitor.open_tab(tab)
        visitor.press(f"{group}-make")
        page.wait(f"/The clip is made/.test({of(f'{group}-results')}.innerText)")
        job = visitor.server.queue.jobs()[-1]
        assert (job.request.task, job.status) == (task, "completed"), job.error
        page.wait(f"{of(f'{group}-results', 'video')}.readyState > 1")
        assert "videolm" in shown(visitor, f"{group}-command")
    assert page.evaluate("document.querySelectorAll('#chain-results figure').length") == 3
    visitor.open_tab("Made before")
    page.wait(of("earlier", "figure"))


def test_with_tokens_a_browser_signs_in_and_sees_its_own_clips(tmp_path):
    tokens = ("first-token", "second-token")
    with page_server(model_folder(), tmp_path, tokens) as server, browser() as page:
        page.open(server.address)
        page.wait("document.querySelector('input[name=token]')")
        for token in ("wrong-token", tokens[0]):
            page.wait("document.activeElement?.name == 'token'")
            page.type(token)
            page.press("Enter")
            page.wait(of("make") if token in tokens else "document.querySelector('[role=alert]')")
        visitor = Visitor(page, server)
        visitor.fill("text", "a red square moves right")
        visitor.press("make")
        page.wait(told("The clip is made.$"))
        page.wait("document.querySelector('#results video').readyState > 1")
        (job,) = [job for token in tokens for job in server.queue.jobs(owner_of(token))]
        assert job.owner == owner_of(tokens[0])
