"""Every command that fills a folder or a list, on the smallest inputs; what it leaves, to be compared."""

import csv
import json
import os
import re
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from safetensors.torch import load_file

from videolm.cli.main import main
from videolm.data.media.clip import write_clip
from videolm.data.runtime import files

_SIZES = "{dim: 16, layers: 2, heads: 2, kv_heads: 1, hidden: 32, rotary_dims: [4, 2, 2]}"
_TEXTS = ("a red square moves left", "a blue circle spins", "a green triangle moves up")
_CHAIN = """seed: 1
steps:
- {name: picture, task: text_to_image, text: a red square}
- {name: film, task: image_to_video, image: picture, text: a red square spins}
- {name: sound, task: video_to_audio, video: film}
"""
_SIZE = ("--height", "32", "--width", "32", "--num-frames", "9", "--fps", "8")
# How long something took.
_VOLATILE = re.compile(r"seconds|per_second|utilisation|started|time|memory", re.IGNORECASE)


class Captioner(ThreadingHTTPServer):
    """A chat server that gives every clip the same caption."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "A red square glides slowly over a plain grey floor."}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def write_inputs(folder: Path, corpus: Any) -> None:
    """Clips with captions, prompts and a chain."""
    (folder / "clips").mkdir(parents=True)
    lines = []
    for number in range(5):
        write_clip(corpus[number], folder / "clips" / f"{number}.mp4")
        lines.append(json.dumps({"path": f"{number}.mp4", "caption": corpus[number].caption}))
    (folder / "clips" / "captions.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "prompts.txt").write_text("\n".join(_TEXTS) + "\n")
    (folder / "chain.yaml").write_text(_CHAIN)


def commands(inputs: Path, model: Path, run: Path, address: str) -> dict[str, Callable[[Path], list[str]]]:
    """Each command's words, given the folder to fill.

    Args:
        run: with shards, and with the tokenizers that they are of.
        address: of a captioner.
    """
    clips, at = str(inputs / "clips"), ("--model", str(model))
    steps = ("--trainer.max_steps", "4", "--trainer.val_check_interval", "4", "--checkpoint-every", "1")
    of_lm = (
        "--data.shards",
        str(run / "shards"),
        "--data.model",
        str(run / "model"),
        "--model.model",
        _SIZES,
    )
    few = ("--data.batch_size", "4", "--data.validation_share", "0.2", "--trainer.callbacks", "null")
    record = ("record", "--env", "minigrid:MiniGrid-Empty-5x5-v0")
    encode = ("encode", clips, *at, "--shard-size", "1", "--num-workers", "0", *_SIZE)

    def words(*before: str, name: str = "") -> Callable[[Path], list[str]]:
        return lambda out: [*before, "--out", str(out / name if name else out)]

    return {
        "tokenizer fit": words("tokenizer", "fit", "--config", "debug", *steps),
        "audio fit": words("audio", "fit", "--config", "debug", *steps),
        "lm fit": words("lm", "fit", "--config", "debug", *of_lm, *few, *steps),
        "encode": words(*encode),
        "record": words(*record, "--episodes", "3", "--steps", "4"),
        "synthesize": words("synthesize", "--clips", "3", *_SIZE),
        "generate": words(
            "generate", *at, "--task", "text_to_video", "--prompts", str(inputs / "prompts.txt")
        ),
        "long-video": words("long-video", *at, "--text", _TEXTS[0], "--seconds", "2.5"),
        "chain": words("chain", str(inputs / "chain.yaml"), *at),
        "evaluate": words("evaluate", "--real", clips, "--generated", clips, "--num-frames", "9"),
        "evaluate shapes": words("evaluate", *at, "--clips", "2", "--tasks", "text_to_video"),
        "tokenizer score": words("tokenizer", "score", clips, *at, *_SIZE[-4:]),
        "audio score": words("audio", "score", clips, *at, "--num-frames", "9"),
        "data caption": words(
            "data", "caption", clips, "--endpoint", address, "--model-name", "x", name="list.jsonl"
        ),
        "data filter": words("data", "filter", clips, name="list.jsonl"),
    }


def run_quietly(words: list[str], log: Path) -> None:
    """Run a command in a forked process, which it ends."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    code = 1
    try:
        code = main(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def count_steps(step: Callable[[int], None]) -> None:
    """Call `step` with the steps so far before and after each that writing through a temporary file takes."""
    taken = 0

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal taken
            taken += 1
            step(taken)
            result = real(*arguments, **options)
            taken += 1
            step(taken)
            return result

        return call

    files.tempfile.mkdtemp = watched(files.tempfile.mkdtemp)
    files.shutil.rmtree = watched(files.shutil.rmtree)
    for name in ("_put", "flush"):
        setattr(files, name, watched(getattr(files, name)))


def left_in(out: Path) -> dict[str, Any]:
    """The content of every file in a folder, without times and without its own name."""
    return {
        str(path.relative_to(out)): _content(path, str(out))
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def is_same(name: str, left: Any, expected: Any) -> bool:
    """Whether a file of a killed run is that of an unbroken one.

    Of metrics.csv rows may be missing: Lightning logs a step after it has saved it. None is there twice. And
    Lightning repeats, for tasks that a step has none of, what an earlier step of the same process logged.
    """
    if not name.endswith("metrics.csv"):
        return left == expected
    waiting = list(expected)
    for row in left:
        match = next((each for each in waiting if set(row) <= set(each)), None)
        if match is None:
            return False
        waiting.remove(match)
    return True


def _content(path: Path, out: str) -> Any:
    if path.suffix == ".ckpt":
        values = torch.load(path, weights_only=True)
        return {name: _plain(values[name]) for name in ("global_step", "state_dict", "optimizer_states")}
    if path.suffix == ".safetensors":
        return _plain(load_file(path))
    if path.suffix == ".json":
        return _lasting(json.loads(path.read_text().replace(out, "OUT")))
    if path.name == "metrics.csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            tuple((name, cell) for name, cell in row.items() if cell and not _VOLATILE.search(name))
            for row in rows
        ]
    if path.suffix in (".html", ".md", ".yaml"):
        text = path.read_text().replace(out, "OUT")
        return "\n".join(line for line in text.splitlines() if not _VOLATILE.search(line))
    return path.read_bytes()


def _plain(value: Any) -> Any:
    """Tensors as bytes, so that results can be compared by ==."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(each) for key, each in value.items() if not _VOLATILE.search(key)}
    return [_lasting(each) for each in value] if isinstance(value, list) else value
