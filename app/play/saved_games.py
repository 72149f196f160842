"""Games that are kept: recordings as `videolm record` writes them, so that they are clips to train on.

    OUT/real/     what the environment showed: episode-000000.mkv, captions.jsonl, actions.json
        dream/    what the model showed, under the same numbers
        play.json what they were made with

Of a server with tokens there is such a folder for each, named by the hash of the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.environments.action_space import ActionSpace
from ...data.environments.episode_files import EpisodeFiles, episode_name
from ...data.runtime.made_with import MadeWith
from .game import Game

POLICY = "play"
_SETTINGS = "play.json"
_LETTERS = 16  # of an owner's hash
_SUFFIX = ".mkv"


@dataclass(frozen=True)
class Replay:
    """A game to be played again.

    Args:
        seed: it begins with.
        actions: codes of each.
    """

    seed: int
    actions: list[list[int]]


class SavedGames:
    """The games of all players.

    Args:
        out: folder.
        space: of the model's actions.
        sources: what dream and environment are called in the lists, by the names of their folders.
        settings: that the games follow from, beside seeds and actions.
        most: games of a player.

    Raises:
        ValueError: if the folder holds games of other settings.
    """

    def __init__(
        self,
        out: Path,
        space: ActionSpace,
        sources: Mapping[str, str],
        settings: Mapping[str, Any],
        most: int,
    ):
        self.out, self.space, self.sources, self.most = out, space, sources, most
        MadeWith(out / _SETTINGS, settings).claim("games")
        self._files: dict[Path, EpisodeFiles] = {}

    def names(self, owner: str) -> list[str]:
        """The games of a player, the oldest first."""
        return [_name(number) for number in sorted(self._of(owner, "dream").known)]

    def save(self, game: Game, owner: str) -> str:
        """Keep what was played up to now; its name.

        Raises:
            ValueError: if nothing was done yet, or the player has too many games.
        """
        dream, real = game.so_far()
        known = self._of(owner, "dream").known
        if len(known) >= self.most:
            raise ValueError(f"{len(known)} games are kept already; no more are")
        number = max(known, default=-1) + 1
        about = {"seed": game.seed, "policy": POLICY}
        for side, episode in (("real", real), ("dream", dream)):
            if episode is not None:
                files = self._of(owner, side)
                if not files.known:
                    files.describe(self.space)
                rate = None if game.real is None else game.real.sample_rate
                own = {"environment": self.sources[side], "group": f"seed {game.seed}"}
                files.write(number, episode, self.space.rate, rate, about | own)
                files.finish()
        return _name(number)

    def replay(self, name: str, owner: str) -> Replay:
        """A game by its name.

        Raises:
            ValueError: if there is none of that name, or its line is damaged.
        """
        known = self._of(owner, "dream").known
        number = next((number for number in known if _name(number) == name), None)
        if number is None:
            raise ValueError("there is no such game")
        both = [files for side in self.sources if number in (files := self._of(owner, side)).known]
        lines = [files.values(number) for files in both]
        line = max(lines, key=lambda each: len(each["actions"]))  # one side may have ended before the other
        seed = line.get("seed")
        if not isinstance(seed, int):
            raise ValueError("the game has no seed")
        return Replay(seed, self.space.encode(line["actions"]).T.tolist())

    def _of(self, owner: str, side: str) -> EpisodeFiles:
        folder = (self.out / owner[:_LETTERS] if owner else self.out) / side
        if folder not in self._files:
            folder.mkdir(parents=True, exist_ok=True)
            self._files[folder] = EpisodeFiles(folder)
        return self._files[folder]


def _name(number: int) -> str:
    return episode_name(number).removesuffix(_SUFFIX)
