"""A planner that knows the model alone reaches goals in the real environment, beside random actions.

    python examples/world/search.py --model runs/crossing/model \
        --env minigrid:MiniGrid-SimpleCrossingS9N1-v0 --episodes 20

From the first picture of each episode a way to a reward is searched in the dream (breadth first, over
pictures), and then walked in the environment without looking. Printed is in how many episodes that, and
random actions, brought a reward within so many steps.
"""

import argparse
import time

from videolm import VideoLM
from videolm.data.environments.policies import random_policy
from videolm.data.environments.real_episode import RealEpisode
from videolm.data.environments.spaces import action_of
from videolm.data.runtime.model_source import model_folder
from videolm.generation.world.real_beside import open_beside
from videolm.generation.world.search import PictureSearch
from videolm.generation.world.starts import start_of


def walked(real, search: PictureSearch, seed: int, steps: int) -> RealEpisode:
    """The episode of a plan."""
    episode = RealEpisode(real, seed)
    plan = search(start_of(search.model, episode.last.picture.numpy()))
    values = [] if plan is None else search.space.decode(plan).numpy()
    for each in values[:steps]:
        if not episode.is_over:
            episode.step(action_of(real.env.action_space, each))
    return episode


def at_random(real, seed: int, steps: int) -> RealEpisode:
    """The episode of random actions."""
    episode, act = RealEpisode(real, seed), random_policy(real.env, seed)
    while not episode.is_over and len(episode.actions) < steps:
        episode.step(act(None))
    return episode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--env", required=True)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=80, help="actions of an episode")
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first episode")
    options = parser.parse_args()

    model = VideoLM.from_pretrained(model_folder(options.model), tasks=["world"])
    search, begun = PictureSearch(model), time.process_time()
    seeds = range(options.seed, options.seed + options.episodes)
    with open_beside(model, options.env) as real:
        planned = [walked(real, search, seed, options.steps) for seed in seeds]
        seconds = (time.process_time() - begun) / len(seeds)
        random = [at_random(real, seed, options.steps) for seed in seeds]
    for name, episodes in (("search in the dream", planned), ("random actions", random)):
        rewarded = sum(each.total > 0 for each in episodes)
        print(f"{name}: rewarded {rewarded} of {len(episodes)}")
    print(f"{seconds:.1f} CPU seconds a plan")


if __name__ == "__main__":
    main()
