"""A policy for CarRacing that drives: the steering wanders, gas is given now and then, and brakes are rare.

    videolm record --env gymnasium:CarRacing-v3 --policy examples/world/drive.py --episodes 200 \
        --height 64 --width 64 --rate 25 --out runs/racing/clips

Uniformly random actions brake half of the time and go nowhere. Here each action is held for some steps, as a
person holds a key, and the car leaves the track sooner or later: a model should see that, too.
"""

import numpy as np

HELD = (4, 16)  # steps for which an action is held
STEERING = (-0.6, -0.2, 0.0, 0.0, 0.2, 0.6)


def policy(environment, seed):
    """Called by `videolm record` for each episode, with the environment just reset.

    Returns:
        A function from an observation to an action: (steering, gas, brake).
    """
    generator = np.random.default_rng(seed)
    held, action = 0, np.zeros(3, np.float32)

    def act(observation):
        nonlocal held, action
        if held == 0:
            held = int(generator.integers(*HELD))
            gas, brake = (0.0, 0.4) if generator.random() < 0.1 else (generator.choice([0.0, 0.2, 0.6]), 0.0)
            action = np.array([generator.choice(STEERING), gas, brake], np.float32)
        held -= 1
        return action

    return act
