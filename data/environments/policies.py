"""Who acts while an environment is recorded: at random, to a purpose, or as a file says.

    random              uniform over the actions
    purposeful          of minigrid: the shortest way to the goal, with key and doors (minigrid_policy.py)
    FILE.py             code of one's own, which is run: a function `policy(environment, seed)` that returns a
                        function from an observation to an action

        def policy(environment, seed):               # of gymnasium, just reset; called for each episode
            return lambda observation: environment.action_space.sample()

Several, separated by commas, take turns by episode.
"""

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.typed_fields import shown

if TYPE_CHECKING:
    from gymnasium import Env

Act = Callable[[Any], Any]
Policy = Callable[["Env[Any, Any]", int], Act]
_FUNCTION = "policy"


def policies_named(names: str) -> dict[str, Policy]:
    """Policies by their names: that of a file is its name without folders.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if a name is none, or a file has no such function or cannot be run.
    """
    found: dict[str, Policy] = {}
    for name in filter(None, (each.strip() for each in names.split(","))):
        if name == "random":
            found[name] = random_policy
        elif name == "purposeful":
            from .minigrid_policy import purposeful_policy

            found[name] = purposeful_policy
        else:
            found[Path(name).name] = policy_of_file(Path(name))
    if not found:
        raise ValueError(f"the policy is {shown(names)}; expected random, purposeful or FILE.py")
    return found


def random_policy(environment: "Env[Any, Any]", seed: int) -> Act:
    """Every action alike, drawn anew at each step."""
    environment.action_space.seed(seed)
    return lambda observation: environment.action_space.sample()


def partly_random(act: Act, environment: "Env[Any, Any]", share: float, seed: int) -> Act:
    """A policy with a share of its actions replaced by random ones."""
    generator = np.random.default_rng((seed, 1))

    def mixed(observation: Any) -> Any:
        wanted = act(observation)  # asked in any case, for a policy may keep count
        return environment.action_space.sample() if generator.random() < share else wanted

    return mixed


def policy_of_file(path: Path) -> Policy:
    """The function `policy` of a file of code.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no Python file, cannot be run or has no such function.
    """
    if path.suffix != ".py":
        raise ValueError(f"the policy is {shown(str(path))}; expected random, purposeful or FILE.py")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} with a policy")
    try:
        names = run_path(str(path))
    except Exception as error:  # whatever the user's own code raises
        raise ValueError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    found = names.get(_FUNCTION)
    if not callable(found):
        raise ValueError(f"{path} has no function {_FUNCTION}(environment, seed)")

    def of_file(environment: "Env[Any, Any]", seed: int) -> Act:
        act = found(environment, seed)
        if not callable(act):
            raise ValueError(
                f"{_FUNCTION}(environment, seed) of {path} returned {shown(act)}; expected a function from "
                "an observation to an action"
            )
        return act

    return of_file
