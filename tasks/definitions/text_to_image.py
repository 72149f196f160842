"""A picture from a text: text_to_video stopped after its first latent.

The closing tokens are left out, so that generation can go on from picture to video
(Kondratyuk et al. 2024, arXiv:2312.14125, Table 4).
"""

from ..task import Portion, Task

TASK = Task(
    name="text_to_image",
    token="VIDEO",
    text="required",
    outputs=(Portion("visual", "video_output", which="first"),),
    is_closed=False,
)
