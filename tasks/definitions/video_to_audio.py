"""The sound of a silent video."""

from ..task import AUDIO_OUTPUT, Portion, Task

TASK = Task(
    name="video_to_audio",
    token="AUDIO",
    inputs=(Portion("visual", "video"),),
    outputs=(AUDIO_OUTPUT,),
)
