"""Episodes of an environment as clips with actions: the work of `videolm record`.

The folder is that of episode_files.py, and recording.json in it keeps the settings, which a later run must
share to go on. An episode follows from its seed and its policy, so that a run that was killed goes on with
the ones that have no line yet; what it left of one is made again.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..runtime.checksums import file_hash
from ..runtime.made_with import MadeWith
from ..runtime.progress import progress
from .episode_files import Episode, EpisodeFiles
from .policies import Act, Policy, partly_random, policies_named
from .real_environment import RealEnvironment, open_environment
from .real_episode import RealEpisode
from .record_settings import Recording

SETTINGS = "recording.json"


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
    episode = RealEpisode(environment, seed)
    act: Act = policy(environment.env, seed)
    if share:
        act = partly_random(act, environment.env, share, seed)
    while len(episode.actions) < steps and not episode.is_over:
        episode.step(act(episode.last.observation))
    return episode.so_far()


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
        made_with = MadeWith(out / SETTINGS, _settings(recording, policies, environment))
        if made_with.found is not None:
            made_with.claim("episodes")
        files = EpisodeFiles(out)
        with progress("record", recording.episodes, completed=len(files.known)) as report:
            for number in range(recording.episodes):
                if number in files.known:
                    continue
                name = list(policies)[number % len(policies)]
                seed = recording.seed + number
                episode = play_episode(environment, policies[name], seed, recording.steps, share)
                if made_with.found is None:
                    files.describe(environment.space)
                    made_with.write()
                about = {"seed": seed, "policy": name, "environment": recording.environment}
                about |= {"group": f"seed {seed}"}
                files.write(number, episode, environment.space.rate, environment.sample_rate, about)
                report(len(files.known), f"{len(episode.actions)} steps")
        files.finish()
    return [out]


def _settings(
    recording: Recording, policies: Mapping[str, Policy], environment: RealEnvironment
) -> dict[str, Any]:
    """All that an episode follows from but its number; a policy's file by its content, wherever it is."""
    values = {name: value for name, value in asdict(recording).items() if name != "episodes"}
    paths = [Path(each.strip()) for each in recording.policy.split(",")]
    files = {path.name: file_hash(path) for path in paths if path.suffix == ".py"}
    space = environment.space.to_json()
    return values | {"policy": ",".join(policies), "policy_files": files, "actions": space}
