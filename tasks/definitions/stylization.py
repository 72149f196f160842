"""A video that moves as another does and looks as a text says: from optical flow and depth.

Kondratyuk et al. 2024, arXiv:2312.14125, appendix A.4.
"""

from ..conditions import Motion
from ..task import VIDEO_OUTPUT, Portion, Task

TASK = Task(
    name="stylization",
    token="STYLIZE",
    text="required",
    inputs=(Portion("visual", "motion_video", source="motion"),),
    outputs=(VIDEO_OUTPUT,),
    conditions=Motion(),
)
