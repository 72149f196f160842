"""What an agent's actions lead to: frame after frame and its outcome, from given frames and the actions."""

from ..task import ACTIONS, OUTCOME, VIDEO_OUTPUT, Task

TASK = Task(
    name="world",
    token="WORLD",
    text="optional",
    outputs=(ACTIONS, VIDEO_OUTPUT, OUTCOME),
    is_interleaved=True,
    is_closed=False,
)
