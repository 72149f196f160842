"""The clips of a batch of jobs, by one model in memory."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ...data.analysis.geometry import Geometry
from ...data.media.clip import Clip
from ...data.media.timing import audio_samples
from ...data.media.waveform import fit_length
from ...generation.pipeline import VideoLM
from ...generation.prompt import Prompt
from ...tasks.clip_size import SizeChoice
from .job import LONG_VIDEO, WORKFLOWS, Job
from .job_queue import Report
from .job_store import JobStore
from .previews import Previews
from .workflows import make_chain, make_long

SOUND_TASK = "video_to_audio"


class ClipMaker:
    """Makes what a `JobQueue` asks for.

    Args:
        geometry: how flow and depth of a video are found, for tasks that are led by them.
        previews: where frames are shown while they are made.
    """

    def __init__(
        self,
        model: VideoLM,
        store: JobStore,
        geometry: Geometry | None = None,
        previews: Previews | None = None,
    ):
        self.model, self.store, self.geometry = model, store, geometry
        self.previews = previews or Previews()

    def __call__(self, jobs: Sequence[Job], report: Report) -> list[Clip]:
        """A clip for each of jobs of one `company`; none depends on the others.

        Args:
            report: called with the share that is done.

        Raises:
            ValueError: if the model cannot use a prompt.
            RuntimeError: if the media of a job cannot be read any more.
        """
        request = jobs[0].request
        if request.task in WORKFLOWS:
            return [self._of_workflow(job, report) for job in jobs]
        prompts = [replace(self._prompt(job), geometry=self.geometry) for job in jobs]
        steps = 2 if request.sound else 1
        tell = partial(_tell, report, steps * len(jobs))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all there is to say was said when the jobs were taken
            clips = self._generated(request.task, prompts, jobs, tell)
            if request.sound:
                clips = self._sounding(clips, jobs, tell)
            clips = [self._upscaled(clip, job) for clip, job in zip(clips, jobs, strict=True)]
        if request.sound is False:
            clips = [clip.silent() for clip in clips]
        if request.extends:
            media = [prompt.video for prompt in prompts]
            return [_extended(*each) for each in zip(media, clips, jobs, strict=True)]
        return clips

    def _of_workflow(self, job: Job, report: Report) -> Clip:
        """What a long video or a chain comes to."""
        parts, media = self.store.parts(job), self._media(job)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if job.request.task == LONG_VIDEO:
                return make_long(self.model, job.request, media, parts, report)
            clip, files = make_chain(self.model, job.request, media, parts, report)
        self.store.keep_steps(job, files)
        return clip

    def _generated(
        self, task: str, prompts: Sequence[Prompt], jobs: Sequence[Job], tell: Callable[[float], None]
    ) -> list[Clip]:
        request, previews = jobs[0].request, self.previews
        is_asked_for = task == request.task
        is_watched = is_asked_for and any(previews.is_watched(job.id) for job in jobs)
        for job in jobs:
            previews.restart(job.id)
        return self.model.generate_batch(
            task,
            prompts,
            seed=[job.request.seed for job in jobs],
            sampling=request.drawn() if is_asked_for else None,
            progress=tell,
            composite=request.composite,
            show=(lambda number, clip: previews.add(jobs[number].id, clip)) if is_watched else None,
        )

    def _upscaled(self, clip: Clip, job: Job) -> Clip:
        factor, request = job.request.upscale, job.request
        if factor is None:
            return clip
        text = upscaling_text(self.model, clip.height, clip.width, factor, request.text)
        return self.model.upscale(clip, text=text, factor=factor, seed=request.seed)

    def _prompt(self, job: Job) -> Prompt:
        return job.request.prompt(self._media(job))

    def _media(self, job: Job) -> dict[str, Clip]:
        try:
            return self.store.media(job)
        except (ValueError, OSError) as error:
            raise RuntimeError(f"the media of {job.id} cannot be read") from error

    def _sounding(
        self, clips: Sequence[Clip], jobs: Sequence[Job], tell: Callable[[float], None]
    ) -> list[Clip]:
        """The clips, those without sound with one that the model makes for them."""
        silent = [number for number, clip in enumerate(clips) if clip.waveform is None]
        if not silent:
            return list(clips)
        size = SizeChoice(f"{clips[0].height}x{clips[0].width}", clips[0].num_frames)
        films = [Prompt(video=clips[number], size=size) for number in silent]
        owners = [jobs[number] for number in silent]
        made = self._generated(SOUND_TASK, films, owners, lambda done: tell(len(jobs) + done))
        sounding = dict(zip(silent, made, strict=True))
        return [
            replace(clip, waveform=sounding[number].waveform, sample_rate=sounding[number].sample_rate)
            if number in sounding
            else clip
            for number, clip in enumerate(clips)
        ]


def upscaling_text(model: VideoLM, height: int, width: int, factor: int, text: str | None) -> str | None:
    """The text of a clip if the stages that enlarge it read one.

    Raises:
        ValueError: if the model has no stages that do this.
    """
    path = model.upscaler.path(height, width, factor)
    return text if any(stage.has_text for stage in path) else None


def _tell(report: Report, most: int, done: float) -> None:
    report(done / most)


def _extended(video: object, made: Clip, job: Job) -> Clip:
    """The given video and what follows it.

    Args:
        made: begins with the last frames of the video.
    """
    assert isinstance(video, Clip)
    shared = made.num_frames - (job.num_frames - video.num_frames)
    if shared == video.num_frames:
        return made
    before = video.window(0, video.num_frames - shared)
    frames = torch.cat([before.frames, made.frames])
    if before.waveform is None and made.waveform is None:
        return replace(made, frames=frames)
    rate = made.sample_rate or before.sample_rate or 0
    length = audio_samples(before.num_frames, made.fps, rate)
    first, second = _mono(before, rate), _mono(made, rate)
    whole = audio_samples(len(frames), made.fps, rate)
    waveform = fit_length(torch.cat([fit_length(first, length), second], dim=1), whole)
    return replace(made, frames=frames, waveform=waveform, sample_rate=rate)


def _mono(clip: Clip, sample_rate: int) -> Tensor:
    """The sound of a clip, none if it has none."""
    waveform = clip.resampled(sample_rate, channels=1).waveform
    return torch.zeros(1, 0) if waveform is None else waveform
