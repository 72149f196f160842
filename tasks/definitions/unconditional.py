"""A video out of nothing: the model's idea of its training clips."""

from ..task import VIDEO_OUTPUT, Task

TASK = Task(name="unconditional", token="VIDEO", outputs=(VIDEO_OUTPUT,))
