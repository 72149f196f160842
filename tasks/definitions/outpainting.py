"""A video around a part of another, led by a text if there is one.

MAGVIT pads the moving strip with zeros and the shapes at rest with their edges (Yu et al. 2023,
arXiv:2212.05199, appendix B.1); here all have the pad of the task.
"""

from ..conditions import Painting
from ..task import VIDEO_OUTPUT, Portion, Task

TASK = Task(
    name="outpainting",
    token="OUTPAINT",
    text="optional",
    inputs=(Portion("visual", "masked_video", source="outpainting"),),
    outputs=(VIDEO_OUTPUT,),
    widens=True,
    conditions=Painting(
        "outpainting", masks=("centre", "vertical", "horizontal", "moving strip"), pad="edge"
    ),
)
