"""The protocol "world": does a world model show what the actions of recorded episodes really led to?

    videolm evaluate --model runs/world/model --protocol world --data runs/world/held-out --clips 200

Episodes that the model has not seen (another seed of `videolm record`). A world is begun with the first
latent of each and is given the recorded actions; what it shows is compared with the recorded frames, step by
step:

    psnr_db          of the frame at a step, beside that of the first frame shown again (copied_db)
    delta_psnr_db    psnr_db with the true actions less that with random ones: how far actions decide what is
                     seen (Bruce et al. 2024, "Genie", arXiv:2402.15391, section 3)
    agent, doors, carried    of minigrid: the share of episodes in which place and direction of the agent, all
                     doors, and the keys that are gone are read right at that step
    legible          of minigrid: the share in which every tile of the frame is one that there can be, and one
                     of them the agent; this asks for no truth
    rewards, ends    precision and recall of the steps with a reward, and of those that end an episode

A frame that is not compared, for the episode is over or its own state cannot be read, counts nowhere. Under
"drift" stand the same scores of the episodes of 300 steps or more, at every fiftieth step: they are of the
same episodes from the first to the last line, so that what changes is the dream.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ...data.environments.action_space import ACTIONS, OUTCOME
from ...data.environments.minigrid_state import (
    TILE,
    MinigridState,
    missing_keys,
    read_state,
    read_states,
    tiles_to_come,
)
from ...data.loading.clip_sources import open_source
from ...data.media.clip import Clip
from ...data.media.psnr import psnr
from ...data.runtime.progress import progress
from ...generation.pipeline import VideoLM
from ...generation.world.context import Context
from ...generation.world.worlds import Moment, Worlds

HORIZONS = (1, 4, 8, 16, 32, 64, 128)
DRIFT = (1, 50, 100, 150, 200, 250, 300)
_ROWS = 32  # worlds side by side
_MINIGRID = "minigrid"
_EXAMPLES = 3

Frames = UInt8[Tensor, "frames height width 3"]


@dataclass(frozen=True, eq=False)
class Episode:
    """A recorded episode.

    Args:
        frames: from the first one on.
        actions, outcome: codes of the steps between them.
        is_minigrid: its state can be read off its frames.
    """

    frames: Frames
    actions: Int[Tensor, "dimensions steps"]
    outcome: Int[Tensor, " steps"]
    is_minigrid: bool


@dataclass
class Counts:
    """Right and wrong claims of one kind."""

    right: int = 0
    claimed: int = 0
    true: int = 0

    def add(self, claimed: Tensor, true: Tensor) -> None:
        self.right += int((claimed & true).sum())
        self.claimed += int(claimed.sum())
        self.true += int(true.sum())

    def report(self) -> dict[str, float | int | None]:
        """Precision and recall; None where there is nothing to divide by."""
        return {
            "precision": self.right / self.claimed if self.claimed else None,
            "recall": self.right / self.true if self.true else None,
            "true": self.true,
        }


@dataclass
class Curve:
    """Scores of episodes, by step and name."""

    scores: dict[int, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.scores.setdefault(step, {}).setdefault(name, []).append(value)

    def report(self) -> dict[int, dict[str, float]]:
        """Means."""
        return {
            step: {"episodes": len(values["psnr_db"])}
            | {name: sum(own) / len(own) for name, own in values.items()}
            for step, values in sorted(self.scores.items())
        }


@dataclass
class Tally:
    """All that is counted over episodes.

    Args:
        steps: of all episodes.
        drift: of the long ones.
    """

    steps: Curve = field(default_factory=Curve)
    drift: Curve = field(default_factory=Curve)
    rewards: Counts = field(default_factory=Counts)
    ends: Counts = field(default_factory=Counts)

    def report(self) -> dict[str, Any]:
        curves = {"steps": self.steps.report(), "drift": self.drift.report()}
        return curves | {"rewards": self.rewards.report(), "ends": self.ends.report()}


@dataclass(frozen=True, eq=False)
class WorldScores:
    """The report for JSON, and rows of frames with what they are for a sheet."""

    report: dict[str, Any]
    rows: list[tuple[Tensor, str]]


def run_world(model: VideoLM, data: str, episodes: int, seed: int, steps: int = max(DRIFT)) -> WorldScores:
    """Score a world model on recorded episodes.

    Args:
        data: clips with actions: a folder or list, as of `videolm record`.
        episodes: how many, at most.
        seed: of what the model draws, and of the random actions.
        steps: that a world goes on for, at most.

    Raises:
        FileNotFoundError: if there are no such clips.
        ValueError: if the model is no world model, or no episode of the clips can be read.
    """
    worlds, tally, rows, seconds, made = Worlds(model), Tally(), [], 0.0, 0
    known = list(recorded(model, data, episodes, steps))
    if not known:
        raise ValueError(f"{data} has no episode that can be read")
    with progress("episodes", len(known)) as tell:
        for first in range(0, len(known), _ROWS):
            some = known[first : first + _ROWS]
            seeds = range(seed + first, seed + first + len(some))
            started = time.process_time()
            shown = dream(worlds, some, [each.actions for each in some], seeds)
            seconds += time.process_time() - started
            made += sum(len(own) for own, _ in shown)
            other = dream(worlds, some, _random_actions(worlds, some, seed + first), seeds)
            for episode, (frames, moments), (random, _) in zip(some, shown, other, strict=True):
                _compare(tally, episode, frames, random)
                _count_outcomes(tally, worlds, episode, moments)
                if len(rows) < 2 * _EXAMPLES:
                    places = list(range(0, len(frames), max(len(frames) // 8, 1)))
                    rows += [(episode.frames[places], "recorded"), (frames[places], f"made, steps {places}")]
            tell(first + len(some))
    report = tally.report() | {"episodes": len(known), "frames_a_cpu_second": made / max(seconds, 1e-9)}
    return WorldScores(report, rows)


def recorded(model: VideoLM, data: str, episodes: int, steps: int) -> Iterator[Episode]:
    """The first episodes that can be read, each up to `steps` actions."""
    source = open_source(model.clips, data)
    found = 0
    for number in range(len(source)):
        if found == episodes:
            return
        reading = source[number]
        if not reading.clips or ACTIONS not in reading.codes:
            continue
        found += 1
        (clip,), codes = reading.clips, reading.codes
        kept = min(clip.num_frames - 1, steps)
        kept -= kept % model.clips.temporal_stride
        environment = str((reading.extra or {}).get("environment", ""))
        yield Episode(
            clip.frames[: kept + 1],
            codes[ACTIONS][:, :kept],
            codes[OUTCOME][:kept],
            environment.startswith(_MINIGRID) and not clip.height % TILE and not clip.width % TILE,
        )


def dream(
    worlds: Worlds, episodes: Sequence[Episode], actions: Sequence[Tensor], seeds: Sequence[int]
) -> list[tuple[Frames, list[Moment]]]:
    """What a world shows of each episode, the first frame included, and what it says of each latent."""
    model, numbers = worlds.model, list(range(len(episodes)))
    stride = worlds.stride
    starts = [_start(model, episode) for episode in episodes]
    shown = [[frames] for frames in worlds.begin(numbers, starts, list(seeds))]
    moments: list[list[Moment]] = [[] for _ in episodes]
    longest = max(each.shape[1] for each in actions)
    padded = torch.stack(
        [torch.nn.functional.pad(each, (0, longest - each.shape[1])) for each in actions]
    )
    for step in range(0, longest, stride):
        for number, moment in enumerate(worlds.act(numbers, padded[:, :, step : step + stride])):
            if step < actions[number].shape[1]:
                shown[number].append(moment.frames)
                moments[number].append(moment)
    return [(torch.cat(frames), own) for frames, own in zip(shown, moments, strict=True)]


def _start(model: VideoLM, episode: Episode) -> Context:
    picture = Clip(episode.frames[:1], model.clips.fps)
    return Context.first(model.codec.visual_codes(picture), len(episode.actions))


def _random_actions(worlds: Worlds, episodes: Sequence[Episode], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [worlds.space.sample(each.actions.shape[1], generator) for each in episodes]


def _compare(tally: Tally, episode: Episode, frames: Frames, random: Frames) -> None:
    """Add the scores of one episode at each step that counts and that it reaches."""
    copied = episode.frames[:1].expand_as(episode.frames)
    quality = {name: psnr(episode.frames, own) for name, own in
               (("psnr_db", frames), ("random_db", random), ("copied_db", copied))}  # fmt: skip
    first = read_state(episode.frames[0]) if episode.is_minigrid else None
    for curve, steps in ((tally.steps, HORIZONS), (tally.drift, DRIFT)):
        if curve is tally.drift and len(episode.frames) <= max(steps):
            continue
        for step in (each for each in steps if each < len(episode.frames)):
            values = {name: float(own[step]) for name, own in quality.items()}
            values["delta_psnr_db"] = values["psnr_db"] - values.pop("random_db")
            if first is not None:
                values |= _states(first, episode.frames[step], frames[step])
            curve.add(step, values)


def _states(first: MinigridState, true: Tensor, made: Tensor) -> dict[str, float]:
    """What of the state is right in a frame; of doors and keys only where there are some."""
    real, seen = read_states(torch.stack([true, made]), tiles_to_come(first))
    found = {"legible": float(seen.agent is not None and seen.is_whole)}
    if real.agent is None or not real.is_whole:
        return found
    found["agent"] = float(seen.agent == real.agent)
    if first.doors:
        found["doors"] = float(seen.doors == real.doors)
    if first.keys:
        found["carried"] = float(missing_keys(first, seen) == missing_keys(first, real))
    return found


def _count_outcomes(tally: Tally, worlds: Worlds, episode: Episode, moments: Sequence[Moment]) -> None:
    rewards, ends = worlds.space.decode_outcomes(episode.outcome)
    made = torch.tensor([reward for moment in moments for reward in moment.rewards])
    ended = torch.tensor([end for moment in moments for end in moment.ends])
    tally.rewards.add(made != 0, torch.as_tensor(rewards) != 0)
    tally.ends.add(ended, torch.as_tensor(ends))
