"""What a visitor of the page asks for, as jobs of the queue."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...generation.seeds import seed_of
from ..jobs.admission import Admission
from ..jobs.intake import Intake, Reading
from ..jobs.job import Job, JobRequest
from ..jobs.job_queue import JobQueue, QueueFull

MOST_CLIPS = 8  # of one order


@dataclass(frozen=True)
class Given:
    """A file that was given.

    Args:
        content: where it is, or the file itself.
        name: as its owner calls it.
    """

    content: Path | bytes
    name: str


class Orders:
    """Checks what is asked for as the server does, and hands it to the same queue."""

    def __init__(self, queue: JobQueue, admission: Admission, intake: Intake):
        self.queue, self.admission, self.intake = queue, admission, intake

    def submit(
        self, wanted: JobRequest, given: Mapping[str, Given], owner: str, count: int = 1
    ) -> list[Job]:
        """Jobs for the seed of a request and those after it.

        Args:
            given: files by what they are of the prompt: image, video, audio or mask.

        Raises:
            ValueError: if something cannot be used.
            QueueFull: if not all find room; then none is taken.
        """
        if not 1 <= count <= MOST_CLIPS:
            raise ValueError(f"{count} clips are asked for; expected 1 to {MOST_CLIPS}")
        first = seed_of(wanted.seed, count)
        wanted = replace(wanted, media=tuple(given))
        media, said = self.media(wanted, given)
        admitted = self.admission.check(wanted, media)
        jobs: list[Job] = []
        try:
            for seed in range(first, first + count):
                request = replace(wanted, seed=seed)
                notes = (*said, *admitted.notes)
                jobs.append(self.queue.submit(request, admitted.size, media, owner, notes))
        except QueueFull:
            for job in jobs:
                self.queue.delete(job.id, owner)
            raise
        return jobs

    def media(
        self, wanted: JobRequest, given: Mapping[str, Given]
    ) -> tuple[dict[str, Clip], Sequence[str]]:
        """The files at the size of the clip, and what was changed of them.

        Raises:
            ValueError: if the task has no use for one, or it cannot be read.
        """
        media: dict[str, Clip] = {}
        said: list[str] = []
        with ExitStack() as stack:
            for role, file in given.items():
                reading, clips = self.admission.reading(role, wanted), self.admission.clips(wanted)
                media[role], notes = self.read(role, file, reading, clips, stack)
                said += notes
        return media, said

    def read(
        self, role: str, file: Given, reading: Reading, clips: ClipFormat, stack: ExitStack
    ) -> tuple[Clip, Sequence[str]]:
        """A file, read in a process of its own."""
        upload = stack.enter_context(self.intake.place(f"the {role}"))
        if isinstance(file.content, bytes):
            upload.path.write_bytes(file.content)
        else:
            shutil.copyfile(file.content, upload.path)
        return self.intake.read(upload, reading, clips)

    def first_frame(self, video: Given, wanted: JobRequest) -> Clip:
        """The first frame of a film as a clip of the request shows it.

        Raises:
            ValueError: if it cannot be read.
        """
        with ExitStack() as stack:
            clip, _ = self.read("video", video, "start", self.admission.clips(wanted), stack)
        return clip.window(0, 1)
