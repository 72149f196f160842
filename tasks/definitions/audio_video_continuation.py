"""What is seen and heard next: the rest of a video and its sound from the first 1 + 4k frames of both.

VideoPoet gives one frame and its sound (Kondratyuk et al. 2024, arXiv:2312.14125, section 5.2); more of them
make long videos with sound.
"""

from ..task import Portion, Task

TASK = Task(
    name="audio_video_continuation",
    token="AUDIO_VIDEO",
    text="optional",
    inputs=(
        Portion("visual", "given_video", which="given"),
        Portion("audio", "given_audio", which="given"),
    ),
    outputs=(
        Portion("visual", "video_output", which="rest"),
        Portion("audio", "audio_output", which="rest"),
    ),
)
