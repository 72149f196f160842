"""A video in place of a marked part of another, led by a text if there is one."""

from ..conditions import Painting
from ..task import VIDEO_OUTPUT, Portion, Task

TASK = Task(
    name="inpainting",
    token="INPAINT",
    text="optional",
    inputs=(Portion("visual", "masked_video", source="inpainting"),),
    outputs=(VIDEO_OUTPUT,),
    conditions=Painting("inpainting", masks=("box", "moving box"), pad="black"),
)
