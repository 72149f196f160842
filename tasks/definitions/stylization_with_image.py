"""A video that moves as another does and begins as a picture looks, led by a text.

The variant of stylization that also sees the first frame in colour (Kondratyuk et al. 2024,
arXiv:2312.14125, appendix A.4); both are trained together, by their weights in the mixture.
"""

from ..conditions import Motion
from ..task import VIDEO_OUTPUT, Portion, Task

TASK = Task(
    name="stylization_with_image",
    token="STYLIZE",
    text="required",
    inputs=(
        Portion("visual", "motion_video", source="motion"),
        Portion("visual", "first_frame", which="first"),
    ),
    outputs=(VIDEO_OUTPUT,),
    conditions=Motion(),
)
