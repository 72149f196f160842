"""What a model can be asked for: a request is refused here in one line, or its clip can be made."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...data.media.timing import video_frames, whole_frames
from ...generation.pipeline import VideoLM
from ...generation.prompt import fitted_mask
from ...generation.prompt_text import TextNote, TextNotes
from ...tasks.clip_size import SizeChoice
from ...tasks.conditions import Motion
from ...tasks.task import Task, load_task
from ...tokenizers.text.frozen_encoder import TextEncoder
from .clip_maker import SOUND_TASK, upscaling_text
from .intake import Reading, reading_of
from .job import CHAIN, LONG_VIDEO, WORKFLOWS, JobRequest
from .workflows import check_long, check_steps, takes


@dataclass(frozen=True)
class Admitted:
    """A request that the model can do.

    Args:
        clips: the size of what the model makes.
        num_frames: of the result, which may be longer.
        notes: what of the texts is not read.
        factor: by which the result is higher and wider.
    """

    clips: ClipFormat
    num_frames: int
    notes: tuple[str, ...]
    factor: int = 1

    @property
    def size(self) -> tuple[int, int, int, float]:
        """Height, width, frames and frames a second of the result."""
        height, width = self.clips.height * self.factor, self.clips.width * self.factor
        return height, width, self.num_frames, self.clips.fps


class Admission:
    """The checks of one model.

    Args:
        has_geometry: whether flow and depth of a video can be found.
    """

    def __init__(self, model: VideoLM, has_geometry: bool = False):
        self.model, self.has_geometry = model, has_geometry

    def task(self, name: str) -> Task:
        """One of the model's tasks; never a file.

        Raises:
            ValueError: if the model has none of this name.
        """
        tasks = self.model.config.tasks
        if name not in tasks:
            raise ValueError(f"task is {name[:40]!r}; this model has {', '.join(tasks)}")
        return self.model.config.task(name)

    def clips(self, request: JobRequest) -> ClipFormat:
        """The size that the model makes of a request.

        Raises:
            ValueError: if it was not trained on such a one.
        """
        formats = self.model.config.formats
        if request.task in WORKFLOWS:
            return SizeChoice(request.aspect).of(formats, load_task("frame_prediction"))
        return request.size.of(formats, self.task(request.task))

    def reading(self, role: str, request: JobRequest) -> Reading:
        """How a medium of a request is read.

        Args:
            role: image, video, audio or mask.

        Raises:
            ValueError: if the task has no use for it.
        """
        if request.task in WORKFLOWS:
            taken, task = takes(request.task), load_task("frame_prediction")
        else:
            task = self.task(request.task)
            taken = task.takes
        if role not in taken:
            raise ValueError(f"task {request.task} has no use for the {role}")
        return reading_of(role, task, request.aspect)

    def check(self, request: JobRequest, media: Mapping[str, Clip]) -> Admitted:
        """Check all that can be known before the clip is made.

        Raises:
            ValueError: saying what the model cannot do, or what is missing.
        """
        if request.task == LONG_VIDEO:
            plan = check_long(self.model, request, media)
            return Admitted(plan.clips, plan.num_frames, self._notes(request))
        if request.task == CHAIN:
            return Admitted(*check_steps(self.model, request), self._notes(request))
        task, clips, prompt = self.task(request.task), self.clips(request), request.prompt(media)
        sampling = request.drawn()
        prompt.check(task, sampling.guidance_scale)
        self.model.settings(task.name, sampling, text=prompt.text is not None)
        if isinstance(task.conditions, Motion) and not self.has_geometry:
            raise ValueError(f"task {task.name} needs optical flow and depth; this server finds none")
        if request.sound:
            self._check_sound(task)
        if (video := media.get("video")) is not None:
            if prompt.mask is not None:
                fitted_mask(prompt.mask, video.resized(clips.height, clips.width))
            if video.waveform is None and any(each.part == "audio" for each in task.inputs):
                raise ValueError(f"task {task.name} takes a video with sound; the one given has none")
        if (factor := request.upscale) is not None:
            if request.extends:
                raise ValueError("a film that is gone on from cannot be upscaled with what follows it")
            upscaling_text(self.model, clips.height, clips.width, factor, request.text)
        num_frames = self._num_frames(request, task, clips, media)
        return Admitted(clips, num_frames, self._notes(request), factor or 1)

    def _check_sound(self, task: Task) -> None:
        if task.makes_image:
            raise ValueError(f"task {task.name} makes a picture, without sound; leave out generate_sound")
        if SOUND_TASK not in self.model.config.tasks:
            raise ValueError(f"this model was not trained on {SOUND_TASK}; leave out generate_sound")

    def _num_frames(
        self, request: JobRequest, task: Task, clips: ClipFormat, media: Mapping[str, Clip]
    ) -> int:
        if task.makes_image:
            return 1
        if not request.extends:
            return clips.num_frames
        given = media["video"].num_frames
        most = video_frames(clips.grid[0] - 1, clips.temporal_stride)
        return given + clips.num_frames - whole_frames(min(given, most), clips.temporal_stride)

    def _notes(self, request: JobRequest) -> tuple[str, ...]:
        """What of the texts is not read; a text of which nothing is read is refused."""
        reader, notes = self.model.rows.pieces, TextNotes()
        if isinstance(reader.tokenizer, TextEncoder):
            return ()  # it knows every word, and to encode a text is the work of the queue
        for text in request.texts:
            reader(text, notes)
        if request.negative is not None:
            reader.read(request.negative, notes)
        if not (notes.left_out or notes.read_as or notes.cut):
            return ()
        return (str(TextNote(tuple(notes.left_out), tuple(notes.read_as), tuple(notes.cut), reader.most)),)
