"""A video from a text."""

from ..task import VIDEO_OUTPUT, Task

TASK = Task(name="text_to_video", token="VIDEO", text="required", outputs=(VIDEO_OUTPUT,))
