"""A video that begins with a given picture, led by a text if there is one.

Its sequence is text_to_video's with the codes of the first frame forced
(Kondratyuk et al. 2024, arXiv:2312.14125, section 4.1).
"""

from ..task import VIDEO_OUTPUT, Task

TASK = Task(
    name="image_to_video",
    token="VIDEO",
    text="optional",
    outputs=(VIDEO_OUTPUT,),
    forced_latents=1,
)
