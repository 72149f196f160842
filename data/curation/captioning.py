"""Long captions by a captioning model, kept beside the original ones: `videolm data caption`.

Web captions describe little of what is seen; models trained on long captions follow their prompts better
(DALL-E 3; Betker et al. 2023, "Improving image generation with better captions").

Lines are added to LIST.part as they come, so that a run that was killed goes on with what is missing. When
every clip has been tried the list itself is written, in the order of the source.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from ..analysis.keyframes import spread_frames
from ..media.streams import MediaError
from ..runtime.files import replacing
from ..runtime.made_with import refuse_others
from ..runtime.progress import progress
from ..runtime.workers import Lost, map_in_processes
from ..sources.entry import LONG_CAPTION, Entry
from ..sources.manifest import read_files
from ..sources.text_rows import json_object
from .answers import caption_of
from .captioner import Captioner, Unanswered, Unreachable, Unusable

# About the 64 pieces that a sequence has room for (tasks/training_data/examples.py).
PROMPT = (
    "These are frames of one video clip, in order. Describe the clip in one paragraph of at most 40 words: "
    "what is seen and how it looks, what happens, the surroundings, the light and how the camera moves. "
    "Say only what can be seen. Answer with the description alone."
)
AUTHOR = "captioner"  # the key of who wrote a long caption, and how
# What is added where an answer was no caption.
AGAIN = (
    " Write plain sentences only: no thoughts, no introduction, no list, no formatting. "
    "If something cannot be told, leave it out."
)
# Failures running that are the captioner's fault rather than the clips', and answers running that are none.
_MOST_RUNNING, _MOST_UNUSABLE = 5, 50


@dataclass(frozen=True)
class Captioned:
    """What became of a source.

    Args:
        captions: in the list.
        new: of these, written by this run.
        failures: what is wrong with the other clips.
    """

    captions: int
    new: int
    failures: list[str]


def caption_source(
    source: str,
    where: dict[str, str],
    out: Path,
    captioner: Captioner,
    prompt: str | None = None,
    *,
    num_frames: int = 4,
    num_workers: int = 1,
    seconds: float = 120.0,
) -> Captioned:
    """Write a list of a source's clips with long captions; goes on where an earlier call was stopped.

    Args:
        source, where: as `read_files`.
        prompt: in place of `PROMPT`; of a captioner that follows none, the beginning of every caption.
        num_frames: that are shown of a clip.
        num_workers: processes that decode.
        seconds: after which a file is given up.

    Raises:
        FileNotFoundError, ValueError: if the source or the list cannot be used, or no clip gets a caption.
        Unreachable: if the captioner fails for good.
    """
    entries = read_files(source, where)
    if prompt is None and captioner.follows:
        prompt = PROMPT
    how = sha256(f"{num_frames} {prompt}".encode()).hexdigest()[:8]
    lines = _Lines(out, entries, f"{captioner.name} {how}")
    missing = lines.missing()
    done, failures = len(entries) - len(missing), []
    frames = map_in_processes(_ShowFrames(entries, num_frames), missing, max(num_workers, 1), seconds)
    with progress("caption", len(entries), completed=done) as report:
        for index, answer in zip(missing, _answers(captioner, prompt, frames), strict=True):
            if answer.caption:
                lines.add(index, answer.caption)
            else:
                failures.append(f"{entries[index].path}: {answer.problem}")
            done += 1
            report(done, entries[index].path.name)
    if not lines.known:
        raise ValueError(f"none of the {len(entries)} clips could be captioned; the first: {failures[0]}")
    return Captioned(lines.finish(), len(missing) - len(failures), failures)


class _ShowFrames:
    """What runs in a worker: a few frames of an entry."""

    def __init__(self, entries: Sequence[Entry], num_frames: int):
        self.entries, self.num_frames = entries, num_frames

    def __call__(self, index: int) -> dict[str, Any]:
        try:
            return {"frames": spread_frames(self.entries[index], self.num_frames)}
        except (MediaError, FileNotFoundError) as error:
            return {"problem": str(error).removeprefix(f"{self.entries[index].path}: ")}


@dataclass(frozen=True)
class _Answer:
    """A caption, or why there is none and whether the captioner was asked at all."""

    caption: str = ""
    problem: str = ""
    was_asked: bool = False
    is_unusable: bool = False


def _answers(captioner: Captioner, prompt: str | None, answers: Iterator[Any]) -> Iterator[_Answer]:
    """The captions of all clips, in order; as many are asked for at a time as the captioner can work on.

    Args:
        answers: of `_ShowFrames`, or `Lost`.

    Raises:
        Unreachable: if the captioner is, or fails several times running.
    """

    def ask(seen: Any) -> _Answer:
        if isinstance(seen, Lost) or "problem" in seen:
            return _Answer(problem=seen.reason if isinstance(seen, Lost) else seen["problem"])
        problem = ""
        for words in (prompt, (prompt or "") + AGAIN) if captioner.follows else (prompt,):
            try:
                return _Answer(captioner(words, list(seen["frames"])), was_asked=True)
            except Unusable as error:
                problem = problem or str(error)
            except Unanswered as error:
                return _Answer(problem=str(error), was_asked=True)
        return _Answer(problem=problem, was_asked=True, is_unusable=True)

    running = unusable = 0
    with ThreadPoolExecutor(captioner.at_once) as pool:
        while group := list(islice(answers, captioner.at_once)):
            for answer in pool.map(ask, group):
                if answer.was_asked:
                    running = 0 if answer.caption or answer.is_unusable else running + 1
                    unusable = unusable + 1 if answer.is_unusable else 0
                if running == _MOST_RUNNING or unusable == _MOST_UNUSABLE:
                    times = max(running, unusable)
                    raise Unreachable(
                        f"{captioner.name} failed {times} times running, lastly: {answer.problem}"
                    )
                yield answer


class _Lines:
    """The lines of a list, those known already and new ones.

    Args:
        out: the list.
        author: who writes the long captions, and how.

    Raises:
        ValueError: if there is a list already and it is by another author or of other clips.
    """

    def __init__(self, out: Path, entries: Sequence[Entry], author: str):
        self.out, self.author = out, author
        self.clips = [entry.to_json() for entry in entries]
        self.keys = [_key(clip) for clip in self.clips]
        self.known: dict[str, str] = {}
        self.part = out.with_name(f"{out.name}.part")
        self.part_bytes = 0
        if out.is_file():
            self._take(out.read_bytes(), out)
        if self.part.is_file():
            whole, newline, _ = self.part.read_bytes().rpartition(b"\n")
            self._take(whole, self.part)
            self.part_bytes = len(whole + newline)

    def missing(self) -> list[int]:
        """Numbers of the entries that have no line; of entries that are the same, one."""
        firsts = {key: index for index, key in reversed(list(enumerate(self.keys)))}
        return sorted(index for key, index in firsts.items() if key not in self.known)

    def add(self, index: int, caption: str) -> None:
        values = self.clips[index] | {LONG_CAPTION: caption, AUTHOR: self.author}
        line = json.dumps(values, ensure_ascii=False)
        with self.part.open("ab") as file:
            file.truncate(self.part_bytes)  # half a line may be left of a run that was killed
            file.write(f"{line}\n".encode())
            self.part_bytes = file.tell()
        self.known[self.keys[index]] = line

    def finish(self) -> int:
        """Write the list; returns the number of its lines."""
        lines = [self.known[key] for key in self.keys if key in self.known]
        with replacing(self.out.absolute()) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self.part.unlink(missing_ok=True)
        return len(lines)

    def _take(self, content: bytes, path: Path) -> None:
        known = set(self.keys)
        for line in filter(str.strip, content.decode().split("\n")):
            values = json_object(line)
            found, wanted = {AUTHOR: values.get(AUTHOR)}, {AUTHOR: self.author}
            if _key(values) not in known:
                found, wanted = found | {"clip": values.get("path")}, wanted | {"clip": "not in the source"}
            refuse_others(path, found, wanted, "captions")
            if _is_caption(values.get(LONG_CAPTION)):
                self.known[_key(values)] = line


def _is_caption(kept: Any) -> bool:
    """Whether what an earlier run kept is a caption by today's rules, too."""
    try:
        return isinstance(kept, str) and caption_of(kept) == kept
    except Unusable:
        return False


def _key(values: dict[str, Any]) -> str:
    """What a clip is told by: its line without what a captioner adds."""
    own = {name: value for name, value in values.items() if name not in (LONG_CAPTION, AUTHOR)}
    return json.dumps(own, sort_keys=True)
