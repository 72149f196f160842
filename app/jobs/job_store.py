"""Jobs on disk: each a folder that is written whole, so that a restart finds what was accepted and no more.

    FOLDER/jobs/video_….            job.json            the job, written anew at every step
                                    image.safetensors   a medium of its prompt, at the size of the clip
                                    film.mp4 thumbnail.webp spritesheet.jpg
    FOLDER/uploads/                 what is being read (intake.py)
"""

import shutil
import sys
from collections.abc import Mapping
from math import ceil, sqrt
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ...data.media.clip import Clip
from ...data.runtime.files import read_json, remove_leftovers, replacing, write_json
from ...generation.clip_cache import cache_clip, cached_clip
from .job import ID, Job

# What a finished job can be asked for: file and media type.
VARIANTS = {
    "video": ("film.mp4", "video/mp4"),
    "thumbnail": ("thumbnail.webp", "image/webp"),
    "spritesheet": ("spritesheet.jpg", "image/jpeg"),
}
_JOB, _STEPS = "job.json", "steps"
_JOB_BYTES = 2**20
_MOST_SPRITES = 64  # pictures of a sprite sheet
_SPRITE_HEIGHT = 128  # pixels at most


class JobStore:
    """The folder of jobs.

    Args:
        folder: is made if it is missing. One process writes to it (`data/runtime/one_writer.py`).
    """

    def __init__(self, folder: Path):
        self.folder, self.uploads = folder / "jobs", folder / "uploads"
        shutil.rmtree(self.uploads, ignore_errors=True)  # of requests that were never answered
        for each in (self.folder, self.uploads):
            each.mkdir(parents=True, exist_ok=True)

    def load(self) -> list[Job]:
        """All jobs, in their order. What a killed process left of others is removed.

        A job that cannot be read stays where it is, and a line says why.
        """
        remove_leftovers(self.folder, levels=1)
        jobs = []
        for place in self.folder.iterdir():
            if not ID.fullmatch(place.name):
                continue
            if not (place / _JOB).is_file():  # it was being deleted
                shutil.rmtree(place, ignore_errors=True)
                continue
            try:
                job = Job.from_json(read_json(place / _JOB, _JOB_BYTES), str(place / _JOB))
                if job.id != place.name:
                    raise ValueError(f"{place / _JOB} is of job {job.id}")
                jobs.append(job)
            except (ValueError, OSError) as error:
                print(f"a job is left out: {error}", file=sys.stderr, flush=True)
        return sorted(jobs, key=lambda job: job.number)

    def add(self, job: Job, media: Mapping[str, Clip]) -> None:
        """Write a new job with its media: afterwards it is there whatever happens."""
        with replacing(self.folder / job.id) as temporary:
            temporary.mkdir()
            for name, clip in media.items():
                cache_clip(clip, temporary / f"{name}.safetensors")
            write_json(temporary / _JOB, job.to_json())

    def save(self, job: Job) -> None:
        write_json(self.folder / job.id / _JOB, job.to_json())

    def media(self, job: Job) -> dict[str, Clip]:
        return {name: cached_clip(self.folder / job.id / f"{name}.safetensors") for name in job.request.media}

    def write_results(self, job: Job, clip: Clip) -> None:
        """Write all variants of a clip."""
        names = {variant: self.folder / job.id / name for variant, (name, _) in VARIANTS.items()}
        clip.save(names["video"])
        first = Image.fromarray(clip.frames[0].contiguous().numpy())
        with replacing(names["thumbnail"]) as temporary:
            first.save(temporary, format="webp", lossless=True)
        with replacing(names["spritesheet"]) as temporary:
            Image.fromarray(sprite_sheet(clip.frames).numpy()).save(temporary, format="jpeg", quality=90)
        shutil.rmtree(self.parts(job), ignore_errors=True)

    def result(self, job: Job, variant: str) -> Path:
        """Where a variant of a finished job is."""
        return self.folder / job.id / VARIANTS[variant][0]

    def parts(self, job: Job) -> Path:
        """A folder for what a job of several parts is made of; it goes when the job is finished."""
        return self.folder / job.id / "parts"

    def keep_steps(self, job: Job, files: Mapping[str, Path]) -> None:
        """Keep what shows the results of a chain, by the names of its steps."""
        with replacing(self.folder / job.id / _STEPS) as temporary:
            temporary.mkdir()
            for number, path in enumerate(files.values()):
                shutil.copyfile(path, temporary / f"{number}{path.suffix}")

    def step(self, job: Job, name: str) -> Path | None:
        """A picture or film of a step of a finished chain; None if it has no such step."""
        names = job.step_names
        found = (self.folder / job.id / _STEPS).glob(f"{names.index(name)}.*") if name in names else ()
        return next(iter(found), None)

    def remove(self, job: Job) -> None:
        """Delete a job with all that belongs to it; stopped in between, `load` goes on."""
        place = self.folder / job.id
        (place / _JOB).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def sprite_sheet(
    frames: UInt8[Tensor, "frames height width 3"],
) -> UInt8[Tensor, "sheet_height sheet_width 3"]:
    """Frames of a clip in rows, as a picture that is about square; of a long clip some, spread evenly."""
    wanted = min(len(frames), _MOST_SPRITES)
    frames = frames[torch.linspace(0, len(frames) - 1, wanted).round().long()]
    step = ceil(frames.shape[1] / _SPRITE_HEIGHT)
    frames = frames[:, ::step, ::step]
    columns = ceil(sqrt(wanted))
    rows = ceil(wanted / columns)
    blank = torch.zeros((rows * columns - wanted, *frames.shape[1:]), dtype=torch.uint8)
    sheet = torch.cat([frames, blank])
    return rearrange(sheet, "(rows columns) h w rgb -> (rows h) (columns w) rgb", rows=rows).contiguous()
