"""A video that fits a sound."""

from ..task import VIDEO_OUTPUT, Portion, Task

TASK = Task(
    name="audio_to_video",
    token="VIDEO_FROM_AUDIO",
    inputs=(Portion("audio", "audio"),),
    outputs=(VIDEO_OUTPUT,),
)
