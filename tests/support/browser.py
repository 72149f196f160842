"""A headless Chromium for tests, driven by the DevTools protocol over a pipe: nothing is installed for it.

    with browser() as page:
        page.open("http://127.0.0.1:8000/")
        page.wait("document.title")
        page.press("Tab")
        page.screenshot(Path("page.png"))
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--disable-extensions", "--hide-scrollbars", "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)  # fmt: skip
_READ, _WRITE = 3, 4  # the ends that Chromium takes
_KEYS = {
    "Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "Escape": (27, ""),
    "ArrowLeft": (37, ""), "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""),
}  # fmt: skip
SECONDS = 120.0


def chromium() -> str:
    """The path of a Chromium; a test that asks for it is skipped where there is none."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium is installed here")


# The middle of an element that has not moved for a moment and that nothing covers.
_STANDING = """async it => {
  if (!it) return null;
  it.scrollIntoView({block: 'center'});
  const middle = () => {
    const box = it.getBoundingClientRect();
    return box.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
  };
  const before = middle();
  await new Promise(done => setTimeout(done, 100));
  const now = middle();
  if (!before || !now || before[0] !== now[0] || before[1] !== now[1]) return null;
  const hit = document.elementFromPoint(...now);
  return hit && (it.contains(hit) || hit.contains(it)) ? now : null;
}"""


class Page:
    """One page of a browser.

    Attributes:
        requests: addresses of all that it asked for.
        problems: what it wrote to its console as errors, and scripts that failed.
    """

    def __init__(self, send: int, receive: int):
        self._send, self._number = send, 0
        self._answers: Queue[dict[str, Any]] = Queue()
        self.requests, self.problems = list[str](), list[str]()
        self._session = ""
        self._thread = threading.Thread(target=self._listen, args=(receive,), daemon=True)
        self._thread.start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser for something; fails the test if it says that it cannot."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._send, data) :]
        try:
            answer = self._answers.get(timeout=SECONDS)
            while answer["id"] != self._number:
                answer = self._answers.get(timeout=SECONDS)
        except Empty:
            raise AssertionError(f"the browser does not answer {method}") from None
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def resize(self, width: int, height: int, is_dark: bool = False) -> None:
        """The size of the window in pixels, and whether the user likes dark pages."""
        size = {"width": width, "height": height}
        self.call("Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, mobile=False, **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = SECONDS) -> Any:
        """The value of an expression as soon as it is true, of an element true; else the test fails."""
        script = f"Promise.resolve({script}).then(it => it instanceof Node ? true : it)"
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"waited in vain for {script}; {self.problems}; the page says {text}")
            time.sleep(0.05)
        return value

    def press(self, key: str, shift: bool = False) -> None:
        """A key of the keyboard."""
        code, text = _KEYS[key]
        name = "Space" if key == " " else key
        common = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """A text, into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, script: str) -> None:
        """The mouse, at the middle of the element that an expression gives, once it stands still."""
        x, y = self.wait(f"({_STANDING})({script})")
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def mouse(self, kind: str, x: float, y: float) -> None:
        held = {"button": "left", "buttons": 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def give_files(self, script: str, *paths: Path) -> None:
        """Files for the input element that an expression gives."""
        answer = self.call("Runtime.evaluate", expression=script)
        assert answer["result"].get("subtype") == "node", f"there is no {script}"
        files = [str(path) for path in paths]
        self.call("DOM.setFileInputFiles", files=files, objectId=answer["result"]["objectId"])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """A picture of the window, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _listen(self, receive: int) -> None:
        rest = b""
        while piece := os.read(receive, 2**16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers.put(message)
                else:
                    self._note(message["method"], message["params"])

    def _note(self, event: str, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.problems.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with one empty page and no memory of earlier ones."""
    program = chromium()
    commands, answers = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [sys.executable, "-c", _STARTER, str(commands[0]), str(answers[1]), program, *_OPTIONS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands[0], answers[1]), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True, env=os.environ | {"HOME": profile},
        )  # fmt: skip
        os.close(commands[0])
        os.close(answers[1])
        try:
            yield Page(commands[1], answers[0])
        finally:
            os.close(commands[1])  # the end of the pipe ends the browser
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(answers[0])


# Puts the pipes where Chromium looks for them. Both are copied away first: one may be in the other's place.
_STARTER = f"""
import os, sys
here = [os.dup(int(each)) for each in sys.argv[1:3]]
away = [os.dup(each) for each in here]
while min(away) <= {_WRITE}:
    away = [os.dup(each) for each in away]
os.dup2(away[0], {_READ})
os.dup2(away[1], {_WRITE})
os.execv(sys.argv[3], sys.argv[3:])
"""
