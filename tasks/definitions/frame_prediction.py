"""What comes next: the rest of a video from its first 1 + 4k frames, led by a text if there is one."""

from ..task import Portion, Task

TASK = Task(
    name="frame_prediction",
    token="CONTINUE",
    text="optional",
    inputs=(Portion("visual", "given_video", which="given"),),
    outputs=(Portion("visual", "video_output", which="rest"),),
)
