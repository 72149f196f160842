"""Every reader of files on damaged ones, in this process: a program that a test runs, watches and judges.

    python fuzzing.py 2000 FOLDER     prints what each reader did as JSON; FOLDER/case names the current case
    python fuzzing.py 2000 FOLDER chains        the cases of one reader

A case follows from its number alone. What is neither read nor refused in one line is an error; what the
process touches outside of FOLDER is counted by an audit hook.
"""

import json
import os
import pickle
import random
import signal
import sys
import tarfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from damage import damaged, damaged_text, with_another_value
from safetensors.torch import save_file
from tiny_model import tiny_corpus, tiny_model, write_coded_run

from videolm.cli.config_files import CONFIGS, read_config
from videolm.cli.main import one_line
from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter
from videolm.data.codes.trained_clips import ClipSize
from videolm.data.environments.action_space import ActionDimension, ActionSpace
from videolm.data.loading.episode_source import action_space_of
from videolm.data.media.clip import write_clip
from videolm.data.media.probe import probe
from videolm.data.media.reading import read_clip, read_waveform
from videolm.data.media.writing import WRITABLE
from videolm.data.runtime.weights_file import read_weights
from videolm.data.sources.manifest import read_listing
from videolm.generation.chain.chain_file import read_chain
from videolm.generation.long_video.script import read_script
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt_file import read_prompts
from videolm.generation.run_request import PromptOptions
from videolm.lm.decoding.sampling import Sampling
from videolm.tasks.recommended_sampling import RecommendedSampling
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from videolm.tokenizers.video.clip_codes import ClipCodes, encode_clip
from videolm.training.checkpoints import step_of

SECONDS = 10
CHAIN = """seed: 0
sampling: {temperature: 0.9, top_k: 5}
aspect: "16:9"
steps:
  - {task: text_to_image, name: picture, text: a red square}
  - {task: image_to_video, image: picture, text: a red square spins, frames: 17, seed: 3}
"""
PROMPTS = '{"text": "a red square", "image": "red.png", "aspect": "16:9", "name": "left", "seed": 7}\n'
SCRIPT = "a red square moves left\n2: a blue star\n# a remark\n"
CSV = 'path,caption,start,end\na.mp4,"a dog, in quotes",0:00:00.1,0:00:01\na.mp4,a cat,,\n'
PANDA = '''path,caption,times
a.mp4,"['a dog', 'a cat']","[['0:00:00', '0:00:02'], ['0:00:02', '0:00:05']]"
'''
_MOVE = ActionDimension("move", choices=2, names=("left", "right"))
SPACE = ActionSpace((_MOVE, ActionDimension("gas", low=0, high=1, bins=3)), 8.0)
LLAVA = [{"video": "a.mp4", "conversations": [{"from": "gpt", "value": "a dog"}], "where": {"b": [1, 2.5]}}]


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


Change = Callable[[Path, random.Random], None]


def bytes_changed(path: Path, chance: random.Random) -> None:
    path.write_bytes(damaged(path.read_bytes(), chance))


def text_changed(path: Path, chance: random.Random) -> None:
    path.write_bytes(damaged_text(path.read_bytes(), chance))


def value_changed(path: Path, chance: random.Random) -> None:
    """Another value somewhere in a JSON file or in one of its lines; sometimes other bytes."""
    if chance.random() < 0.3:
        return text_changed(path, chance)
    if path.suffix == ".jsonl":
        first, *others = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps(with_another_value(json.loads(first), chance)), *others]))
    else:
        path.write_text(json.dumps(with_another_value(json.loads(path.read_text()), chance)))


def pickle_put_in(path: Path, chance: random.Random) -> None:
    path.write_bytes(pickle.dumps(Bomb(path.parent / "exploded")))


class Reader:
    """One kind of file: good files to damage, how, and who reads them.

    Args:
        share: of all cases, relative to the others.
        files: of which one is damaged in each case, relative to the folder `root` that is then read.
        read: reads a folder of files, of which `path` is the damaged one.
    """

    def __init__(
        self,
        share: float,
        root: Path,
        files: list[str],
        read: Callable[[Path, Path], Any],
        *changes: Change,
    ):
        self.share, self.root, self.files, self.read, self.changes = share, root, files, read, changes

    def case(self, number: int, name: str) -> None:
        chance = random.Random(f"{name} {number}")
        path = self.root / chance.choice(self.files)
        good = path.read_bytes()
        try:
            chance.choice(self.changes)(path, chance)
            self.read(self.root, path)
        finally:
            path.write_bytes(good)


def read_media(_: Path, path: Path) -> None:
    for read in (probe, lambda each: read_clip(each, fps=8.0, height=16, width=16), read_waveform):
        refused_or(read, path)


def read_source(source: Path) -> None:
    for entry in read_listing(source).entries:
        assert all(isinstance(each, str) for each in entry.captions)
        if entry.load is not None:
            refused_or(lambda entry=entry: entry.media)


def read_shards(root: Path, _: Path) -> None:
    reader = ShardReader(root)
    for number in range(min(len(reader), 3)):
        refused_or(reader.__getitem__, number)


def write_episodes(folder: Path) -> Path:
    """Shards of two clips with actions."""
    clips = ClipFormat(8, 8, 5, 8.0, (2, 1, 2), 4, (8, 4), "v", actions=SPACE.to_json())
    writer = ShardWriter(folder, clips, {"source": "here"})
    shapes = clips.episode_shapes(3)
    codes = {name: torch.zeros(shape, dtype=torch.int64) for name, shape in shapes.items()}
    writer.write(0, [CodedClip(codes, ("a dog",))] * 2)
    writer.finish()
    return folder


def readers(folder: Path) -> dict[str, Reader]:
    """All of them, with good files in the folder."""
    corpus = tiny_corpus()
    model, clip = tiny_model(corpus, 0), corpus[0]
    media, lists, sides, tars = (folder / name for name in ("media", "lists", "sides", "tars"))
    texts, weights, whole = folder / "texts", folder / "weights", folder / "model"
    for each in (media, lists, sides, tars, texts, weights):
        each.mkdir()
    for suffix in WRITABLE:
        write_clip(clip.window(0, 1) if suffix == ".png" else clip, media / f"a{suffix}")
    from PIL import Image

    for suffix in (".jpg", ".webp", ".bmp"):
        Image.fromarray(clip.frames[0].numpy()).save(media / f"a{suffix}")
    film = (media / "a.mp4").read_bytes()
    for each in (lists, sides):
        (each / "a.mp4").write_bytes(film)
    (sides / "a.txt").write_text("a dog\nruns")
    (sides / "a.json").write_text(json.dumps({"caption": "a cat", "start": 0.1, "end": 0.5, "group": "b"}))
    row = {"path": "a.mp4", "caption": ["a dog", "a cat"], "start": 0.5, "end": "0:00:02", "group": "s1"}
    rows = [row] * 2
    played = {"actions": [[0, 1], [1, 0.5]], "rewards": [0, 1.5], "terminated": True, "action_rate": 8}
    (lists / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (lists / "played.jsonl").write_text("\n".join(map(json.dumps, [row | played] * 2)))
    (lists / "a.json").write_text(json.dumps(LLAVA))
    (lists / "a.csv").write_text(CSV)
    (lists / "b.csv").write_text(PANDA)
    (lists / "a.tsv").write_text(CSV.replace(",", "\t"))
    (lists / "a.txt").write_text("a.mp4\na.mp4 a dog\n")
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), lists / "a.parquet")
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz")):
        with tarfile.open(tars / name, mode) as archive:
            for each in ("a.mp4", "a.txt", "a.json"):
                archive.add(sides / each, each)
    model.recommended = RecommendedSampling({"text_to_video": Sampling(0.5, guidance_scale=2.0)})
    model.save_pretrained(whole)
    write_coded_run(folder / "run", model, corpus)
    shards = folder / "run" / "shards"
    encode_clip(model.video_tokenizer, clip).save(texts / "a.codes")
    (texts / "actions.json").write_text(json.dumps(SPACE.to_json()))
    episodes = write_episodes(folder / "episodes")
    (texts / "chain.yaml").write_text(CHAIN)
    (texts / "prompts.jsonl").write_text(PROMPTS)
    (texts / "prompts.csv").write_text("text,seed,frames\na red square,3,9\n")
    (texts / "prompts.txt").write_text("a red square\n# a remark\n")
    (texts / "script.txt").write_text(SCRIPT)
    (texts / "config.yaml").write_text((CONFIGS / "lm" / "clips-tasks.yaml").read_text())
    save_file(model.lm.state_dict(), weights / "a.safetensors")
    torch.save({"state_dict": model.lm.state_dict(), "global_step": 3}, weights / "last.ckpt")
    import numpy

    numpy.savez(weights / "a.npz", a=numpy.zeros((3, 4)), b=numpy.arange(5))
    common = PromptOptions()
    json_of_model = [str(each.relative_to(whole)) for each in sorted(whole.rglob("*.json"))]
    weights_of_model = [str(each.relative_to(whole)) for each in sorted(whole.rglob("*.safetensors"))]
    of_lists = [each.name for each in sorted(lists.iterdir()) if each.suffix not in (".mp4", ".jsonl")]
    return {
        "media": Reader(4, media, [each.name for each in sorted(media.iterdir())], read_media, bytes_changed),
        "lists": Reader(2, lists, of_lists, lambda _, path: read_source(path), text_changed, bytes_changed),
        "rows": Reader(
            2, lists, ["a.jsonl", "a.json", "played.jsonl"], lambda _, path: read_source(path), value_changed
        ),
        "actions": Reader(
            1, texts, ["actions.json"], lambda _, path: action_space_of("", str(path)), value_changed
        ),
        "episodes": Reader(
            1, episodes, [each.name for each in sorted(episodes.iterdir())], read_shards, bytes_changed
        ),
        "sidecars": Reader(1, sides, ["a.txt", "a.json"], lambda root, _: read_source(root), text_changed),
        "tars": Reader(2, tars, ["a.tar", "a.tar.gz"], lambda _, path: read_source(path), bytes_changed),
        "shards": Reader(
            2, shards, [each.name for each in sorted(shards.iterdir())], read_shards, bytes_changed
        ),
        "codes": Reader(1, texts, ["a.codes"], lambda _, path: ClipCodes.load(path), bytes_changed),
        "model's settings": Reader(
            1, whole, json_of_model, lambda root, _: VideoLM.from_pretrained(root, "cpu"), value_changed
        ),
        "model's weights": Reader(
            0.5, whole, weights_of_model, lambda root, _: VideoLM.from_pretrained(root, "cpu"), bytes_changed
        ),
        "pieces": Reader(
            1, whole / "text_tokenizer", ["spiece.model", "config.json"],
            lambda root, _: TextTokenizer.from_pretrained(root).encode("a red square"), bytes_changed,
        ),
        "sizes": Reader(
            0.5, whole / "video_tokenizer", ["config.json"],
            lambda root, _: ClipSize(32, 32, 9, 8.0).of(root), value_changed,
        ),
        "configs": Reader(1, texts, ["config.yaml"], lambda _, path: read_config(path), text_changed),
        "chains": Reader(2, texts, ["chain.yaml"], lambda _, path: read_chain(path), text_changed),
        "prompts": Reader(
            1, texts, ["prompts.jsonl", "prompts.csv", "prompts.txt"],
            lambda _, path: read_prompts(path, common), text_changed,
        ),
        "rows of prompts": Reader(
            1, texts, ["prompts.jsonl"], lambda _, path: read_prompts(path, common), value_changed
        ),
        "scripts": Reader(0.5, texts, ["script.txt"], lambda _, path: read_script(path), text_changed),
        "weights": Reader(
            1, weights, ["a.safetensors", "a.npz"], lambda _, path: read_weights(path), bytes_changed,
            pickle_put_in,
        ),
        "checkpoints": Reader(
            1, weights, ["last.ckpt"], lambda _, path: (read_weights(path), step_of(path)), bytes_changed,
            pickle_put_in,
        ),
    }  # fmt: skip


def refused_or(read: Callable[..., Any], *arguments: Any) -> None:
    """Read, or be refused in one line."""
    try:
        read(*arguments)
    except (ValueError, OSError) as error:
        line = one_line(error)
        assert line and "\n" not in line, repr(error)


class Watch:
    """What this process does to the rest of the machine, as far as Python is asked (PEP 578)."""

    # Event -> which of its arguments is the folder that a relative path stands in, if it has one.
    _CHANGES: ClassVar[dict[str, int | None]] = {
        "os.remove": 1, "os.rename": 2, "os.mkdir": 2, "os.rmdir": 1, "os.link": 2, "os.symlink": 2,
        "os.truncate": None,
    }  # fmt: skip
    _PROCESSES = ("os.fork", "os.exec", "os.posix_spawn", "os.system", "subprocess.Popen", "socket.connect")

    def __init__(self, folder: Path):
        self.folder, self.found = str(folder), list[str]()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in self._PROCESSES:
            self.found.append(f"{event} {arguments[:2]}")
        elif event in self._CHANGES or (event == "open" and self._writes(arguments)):
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)):
                path = self._whole(os.fsdecode(path), self._CHANGES.get(event), arguments)
                if not self._is_ours(path):
                    self.found.append(f"{event} {path!r}")

    @staticmethod
    def _whole(path: str, folder_at: int | None, arguments: tuple[Any, ...]) -> str:
        """A path that is relative to an open folder, as shutil.rmtree removes files, with that folder's."""
        if folder_at is None or arguments[folder_at] < 0 or os.path.isabs(path):
            return path
        return os.path.join(os.readlink(f"/proc/self/fd/{arguments[folder_at]}"), path)

    def _is_ours(self, path: str) -> bool:
        return path == os.devnull or os.path.realpath(path).startswith(self.folder)

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        _, mode, flags = arguments
        if mode is None:
            return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return any(each in mode for each in "wax+")


def main(total: int, folder: Path, only: str = "") -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    table = readers(folder)
    shares = sum(reader.share for reader in table.values())
    watch, report, errors = Watch(folder), {}, []

    def too_long(*_: Any) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, too_long)
    for name, reader in table.items():
        count, slowest = max(1, round(total * reader.share / shares)), 0.0
        began = time.monotonic()
        for number in range(count if only in ("", name) else 0):
            (folder / "case").write_text(f"{name} {number}")
            start = time.monotonic()
            signal.alarm(SECONDS)
            try:
                refused_or(reader.case, number, name)
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{Path(where.filename).name}:{where.lineno}"
                errors.append(f"{name} {number}: {type(error).__name__} {str(error)[:120]!r} at {place}")
            finally:
                signal.alarm(0)
            slowest = max(slowest, time.monotonic() - start)
        took = round(time.monotonic() - began, 1)
        report[name] = {"cases": count, "slowest": round(slowest, 2), "seconds": took}
    exploded = [str(path) for path in folder.rglob("exploded")]
    seen = {"touched": watch.found, "exploded": exploded, "peak": _peak()}
    print(json.dumps({"readers": report, "errors": errors} | seen))


def _peak() -> int:
    """The most bytes of memory that this program held (Linux); getrusage would count those of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(os.path.realpath(sys.argv[2])), *sys.argv[3:])
