"""A policy for MiniGrid that goes on for as long as it is recorded: to see whether a long dream drifts.

    videolm record --env minigrid:MiniGrid-Empty-Random-6x6-v0 --policy examples/world/wander.py --steps 300 \
        --episodes 32 --seed 2000000 --out runs/world/long

It turns and walks at random, but never onto the goal, which would end the episode; and it takes away the
environment's own clock, which would cut it off.
"""

import numpy as np

LEFT, RIGHT, FORWARD = range(3)
SHARES = (0.25, 0.25, 0.5)


def policy(environment, seed):
    """Called by `videolm record` for each episode, with the environment just reset."""
    world = environment.unwrapped
    world.max_steps = 10**9
    generator = np.random.default_rng(seed)

    def act(observation):
        ahead = world.grid.get(*world.front_pos)
        action = int(generator.choice(3, p=SHARES))
        is_goal = ahead is not None and ahead.type == "goal"
        return LEFT if action == FORWARD and is_goal else action

    return act
