"""A planner in the dream: it acts in a world model and plans with the same model, beside random actions.

    python examples/world/shooting.py --model runs/maze/model --starts runs/maze/shards \
        --episodes 20 --steps 60 --candidates 64 --horizon 24

No environment is needed: `starts` are coded episodes of `videolm encode`, whose first latents worlds begin
with. With `--sure` the codes of the world that is acted in are the likeliest ones. Printed are the returns of
both, and in how many episodes there was a reward.
"""

import argparse
from collections.abc import Callable

import torch

from videolm import VideoLM
from videolm.generation.world.context import Context
from videolm.generation.world.episodes import Episodes
from videolm.generation.world.planner import RandomShooting, ShootingSettings
from videolm.generation.world.rollout import RolloutSettings
from videolm.generation.world.starts import starts_of
from videolm.generation.world.worlds import Worlds
from videolm.lm.decoding.sampling import Sampling

Act = Callable[[Context], torch.Tensor]


def returns_of(
    episodes: Episodes, starts: list[Context], act: Act, begun: Callable[[], object]
) -> list[float]:
    """The return of an episode from each start, acting as `act` says; `begun` is called before each."""
    found = []
    for number, start in enumerate(starts):
        begun()
        episodes.begin([0], [start], [number])
        total = 0.0
        while episodes.is_going_on(0):
            (step,) = episodes.step([0], act(episodes.worlds.context(0))[None])
            total += step.reward
        found.append(total)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--starts", required=True)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60, help="actions after which an episode ends")
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=24, help="latents that a plan reaches")
    parser.add_argument("--hold", type=int, default=1, help="equal actions in a row in a plan")
    parser.add_argument("--sure", action="store_true", help="the likeliest codes in the world acted in")
    options = parser.parse_args()

    model = VideoLM.from_pretrained(options.model, tasks=["world"])
    worlds = Worlds(model, RolloutSettings(sampling=Sampling(temperature=0.0) if options.sure else None))
    episodes = Episodes(worlds, chunk=worlds.stride, max_steps=options.steps)
    known = starts_of(model, options.starts)
    starts = [known[number % len(known)] for number in range(options.episodes)]
    shooting = ShootingSettings(options.candidates, options.horizon, hold=options.hold)
    planner, random = RandomShooting(model, shooting), torch.Generator().manual_seed(0)
    policies: dict[str, tuple[Act, Callable[[], object]]] = {
        "random actions": (lambda _: worlds.space.sample(worlds.stride, random), lambda: None),
        "random shooting": (planner, planner.reset),
    }
    for name, (act, begun) in policies.items():
        found = returns_of(episodes, starts, act, begun)
        rewarded = sum(value > 0 for value in found)
        print(f"{name}: mean return {sum(found) / len(found):.3f}, rewarded {rewarded} of {len(found)}")


if __name__ == "__main__":
    main()
