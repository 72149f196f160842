"""Episodes of an environment as clips with actions: the work of `videolm record`.

    OUT/episode-000000.mkv     pictures and sound without loss: .mp4 blurs the edges of tiles by up to 160 of
                               255 levels and takes more bytes
       captions.jsonl          {"path": "episode-000000.mkv", "actions": […], "rewards": […],
                                "terminated": false, "seed": 0, "policy": "random", "environment": …}
       actions.json            what the actions mean (action_space.py)
       recording.json          the settings, which a later run must share to go on

An episode follows from its seed and its policy, so that a run that was killed goes on with the ones that have
no line yet; what it left of one is made again. The sound of a step belongs to the picture that the step leads
to, so that frame 0 is silent.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..media.timing import audio_samples
from ..media.writing import write_media
from ..runtime.checksums import file_hash
from ..runtime.files import replacing, write_json
from ..runtime.made_with import MadeWith
from ..runtime.parsing import bounded_text, parse_json
from ..runtime.progress import progress
from .action_space import FILE
from .policies import Act, Policy, partly_random, policies_named
from .real_environment import RealEnvironment, Shown, open_environment
from .record_settings import Recording
from .spaces import values_of

LIST = "captions.jsonl"
_SETTINGS = "recording.json"
_LINES_BETWEEN_LISTS = 100
_MOST_BYTES = 2**31
_MOST_DIGITS = 12


@dataclass(frozen=True)
class Episode:
    """One episode: frames as many as actions and one more.

    Args:
        frames: bytes, RGB.
        waveform: in [-1, 1], of all frames; None without sound.
        actions: in plain numbers, as `ActionSpace.encode` takes them.
        rewards: of each step.
        terminated: whether the last step ended it, by the environment's own rules.
        truncated: whether the environment cut it off; never part of an outcome.
    """

    frames: Tensor
    waveform: Tensor | None
    actions: list[Any]
    rewards: list[float]
    terminated: bool
    truncated: bool


def play_episode(
    environment: RealEnvironment, policy: Policy, seed: int, steps: int, share: float = 0.0
) -> Episode:
    """One episode from its seed on.

    Args:
        steps: at most.
        share: of random actions.

    Raises:
        ValueError: if the policy gives what is no action.
    """
    shown = [environment.reset(seed)]
    act: Act = policy(environment.env, seed)
    if share:
        act = partly_random(act, environment.env, share, seed)
    actions: list[Any] = []
    while len(actions) < steps and not (shown[-1].terminated or shown[-1].truncated):
        action = act(shown[-1].observation)
        actions.append(values_of(environment.env.action_space, action))
        shown.append(environment.step(action))
        shown[-2] = _without_observation(shown[-2])
    frames = torch.stack([each.picture for each in shown])
    return Episode(
        frames,
        _waveform(environment, shown),
        actions,
        [each.reward for each in shown[1:]],
        shown[-1].terminated,
        shown[-1].truncated,
    )


def record(recording: Recording, out: Path) -> list[Path]:
    """Write the episodes of a recording; goes on where an earlier call was stopped.

    Returns:
        The folder, for the list of what was written.

    Raises:
        FileNotFoundError, ValueError: if environment or policy are none, or the folder holds another
            recording.
    """
    policies, share = policies_named(recording.policy), recording.random_share
    out.mkdir(parents=True, exist_ok=True)
    with open_environment(recording.environment, recording.view) as environment:
        made_with = MadeWith(out / _SETTINGS, _settings(recording, policies, environment))
        if made_with.found is not None:
            made_with.claim("episodes")
        lines = _Lines(out)
        with progress("record", recording.episodes, completed=len(lines.known)) as report:
            for number in range(recording.episodes):
                if number in lines.known:
                    continue
                name = list(policies)[number % len(policies)]
                seed = recording.seed + number
                episode = play_episode(environment, policies[name], seed, recording.steps, share)
                if made_with.found is None:
                    write_json(out / FILE, environment.space.to_json())
                    made_with.write()
                write_media(
                    out / episode_name(number),
                    episode.frames,
                    environment.space.rate,
                    episode.waveform,
                    environment.sample_rate if episode.waveform is not None else None,
                )
                lines.add(number, _line(number, episode, seed, name, recording.environment))
                report(len(lines.known), f"{len(episode.actions)} steps")
        lines.finish()
    return [out]


def episode_name(number: int) -> str:
    return f"episode-{number:06d}.mkv"


def _settings(
    recording: Recording, policies: Mapping[str, Policy], environment: RealEnvironment
) -> dict[str, Any]:
    """All that an episode follows from but its number; a policy's file by its content, wherever it is."""
    values = {name: value for name, value in asdict(recording).items() if name != "episodes"}
    paths = [Path(each.strip()) for each in recording.policy.split(",")]
    files = {path.name: file_hash(path) for path in paths if path.suffix == ".py"}
    space = environment.space.to_json()
    return values | {"policy": ",".join(policies), "policy_files": files, "actions": space}


def _line(number: int, episode: Episode, seed: int, policy: str, environment: str) -> dict[str, Any]:
    actions = episode.actions
    return {
        "path": episode_name(number),
        "actions": actions,
        "rewards": [round(each, 6) for each in episode.rewards],
        "terminated": episode.terminated,
        "truncated": episode.truncated,
        "seed": seed,
        "policy": policy,
        "environment": environment,
        "group": f"seed {seed}",
    }


def _without_observation(shown: Shown) -> Shown:
    """What is kept of a frame that was acted upon: an Atari game's observation is large."""
    return Shown(None, shown.picture, shown.sound, shown.reward, shown.terminated, shown.truncated)


def _waveform(environment: RealEnvironment, shown: list[Shown]) -> Tensor | None:
    if environment.sample_rate is None:
        return None
    samples = audio_samples(1, environment.space.rate, environment.sample_rate)
    silence = torch.zeros((1, samples))
    parts = [silence if each.sound is None else each.sound for each in shown]
    return torch.cat(parts, dim=1)


class _Lines:
    """The lines of the episodes that are there whole, by number.

    New ones are kept in a file beside the list, OUT/captions.jsonl.part, to which a line is added for each
    episode once its film is in place; the list itself is written whole.
    """

    def __init__(self, out: Path):
        self.list, self.part = out / LIST, out / f"{LIST}.part"
        self.known: dict[int, str] = {}
        self.part_bytes = self.since = 0
        if self.list.is_file():
            self._take(bounded_text(self.list, _MOST_BYTES), self.list)
        if self.part.is_file():
            whole, newline, _ = self.part.read_bytes().rpartition(b"\n")
            self._take(whole.decode("utf-8"), self.part)
            self.part_bytes = len(whole + newline)

    def add(self, number: int, values: Mapping[str, Any]) -> None:
        line = json.dumps(values, ensure_ascii=False)
        with self.part.open("ab") as file:
            file.truncate(self.part_bytes)  # half a line may be left of a run that was killed
            file.write(f"{line}\n".encode())
            self.part_bytes = file.tell()
        self.known[number] = line
        self.since += 1
        if self.since >= _LINES_BETWEEN_LISTS:
            self.finish()

    def finish(self) -> None:
        """Write the list; afterwards there is no other file."""
        with replacing(self.list.absolute()) as temporary:
            lines = (self.known[number] for number in sorted(self.known))
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self.part.unlink(missing_ok=True)
        self.part_bytes = self.since = 0

    def _take(self, text: str, path: Path) -> None:
        for line in filter(str.strip, text.split("\n")):
            values = parse_json(line, str(path))
            name = values.get("path") if isinstance(values, dict) else None
            number = _number_of(name)
            if number is None:
                raise ValueError(f"{path} has a line that is no episode's: {line[:60]!r}")
            if (path.parent / str(name)).is_file():
                self.known[number] = line


def _number_of(name: Any) -> int | None:
    """The number of an episode, of the name of its file."""
    if not isinstance(name, str) or not name.startswith("episode-") or not name.endswith(".mkv"):
        return None
    digits = name.removeprefix("episode-").removesuffix(".mkv")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < _MOST_DIGITS
    return int(digits) if is_number and episode_name(int(digits)) == name else None
