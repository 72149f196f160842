"""What the page shows of jobs, as HTML: films that play, frames so far, what went wrong."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from urllib.parse import quote

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ...tasks.task import load_task
from ..jobs.job import Job
from ..jobs.job_store import sprite_sheet
from ..jobs.previews import Previews

NOTHING = '<p class="told">Nothing is made yet.</p>'
_LEAST_WIDTH = 184  # pixels on the page; smaller films are enlarged without smoothing


def results(jobs: Sequence[Job], previews: Previews, *, told: bool = True) -> str:
    """Cards of jobs in rows.

    Args:
        told: begin with a sentence on how far they are, which screen readers read out.
    """
    cards = "".join(_card(job, previews) for job in jobs)
    sentence = f'<p class="told" role="status">{escape(sentence_of(jobs))}</p>' if told else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(_notes(jobs)))
    listed = f'<ul class="notes">{notes}</ul>' if notes and told else ""
    return f'{sentence}<div class="cards">{cards}</div>{listed}'


def problem(message: str) -> str:
    """A mistake, in a sentence."""
    return f'<p class="problem" role="alert">{escape(_sentence(message))}</p>'


def sentence_of(jobs: Sequence[Job]) -> str:
    """How far jobs are."""
    made = sum(job.status == "completed" for job in jobs)
    one = len(jobs) == 1
    if all(job.is_finished for job in jobs):
        if made == len(jobs):
            return "The clip is made." if one else f"All {made} clips are made."
        return "No clip is made." if not made else f"{made} of {len(jobs)} clips are made."
    if all(job.status == "queued" for job in jobs):
        return "Waiting for its turn." if one else "Waiting for their turn."
    percent = sum(job.progress for job in jobs) // len(jobs)
    return f"Making {'the clip' if one else f'{len(jobs)} clips'}: {percent} %."


def picture_of(frames: UInt8[Tensor, "height width 3"], kind: str = "png") -> str:
    """A picture as a data: address."""
    written = BytesIO()
    Image.fromarray(frames.contiguous().numpy()).save(written, format=kind)
    return f"data:image/{kind};base64,{b64encode(written.getvalue()).decode()}"


def _notes(jobs: Sequence[Job]) -> list[str]:
    return [_sentence(note) for job in jobs for note in job.notes]


def _card(job: Job, previews: Previews) -> str:
    request = job.request
    name = f"{request.task.replace('_', ' ')}, seed {request.seed}"
    said = f": {request.text}" if request.text else ""
    if job.status == "completed":
        shown, below = _finished(job, f"{name}{said}"), _links(job)
    elif job.is_finished:
        shown = f'<p class="problem" role="alert">{escape(_sentence(job.error or "it failed"))}</p>'
        below = ""
    else:
        shown, below = _unfinished(job, previews, name), ""
    words = f'<span class="words">{escape(request.text)}</span>' if request.text else ""
    before = _steps(job) if job.status == "completed" else ""
    return f"{before}<figure>{shown}<figcaption>{escape(name)}{words}{below}</figcaption></figure>"


def _finished(job: Job, name: str) -> str:
    """The film, or the picture. It is fetched from the server by its own address, for its owner alone."""
    if job.num_frames == 1:
        return _picture(name, f"{_address(job)}?variant=thumbnail", job.width)
    return _film(name, _address(job), job.width)


def _unfinished(job: Job, previews: Previews, name: str) -> str:
    label = escape(f"{name}, made so far", quote=True)
    bar = f'<progress aria-label="{label}" max="100" value="{job.progress}"></progress>'
    frames = previews.frames(job.id)
    if frames is None:
        return bar
    frames_so_far = picture_of(sprite_sheet(frames), "jpeg")
    count = "frame" if len(frames) == 1 else "frames"
    return f'<img alt="the first {len(frames)} {count}" width="{_LEAST_WIDTH}" src="{frames_so_far}">{bar}'


def _steps(job: Job) -> str:
    """Cards of the steps of a finished chain before its last."""
    cards = ""
    for name, step in zip(job.step_names[:-1], job.request.steps, strict=False):
        address = f"{_address(job)}?step={quote(name)}"
        is_picture = load_task(str(step["task"])).makes_image
        shown = _picture if is_picture else _film
        suffix = "png" if is_picture else "mp4"
        save = f'<a download="{escape(name, quote=True)}.{suffix}" href="{address}">save</a>'
        words = shown(f"step {name}", address, job.width)
        cards += f"<figure>{words}<figcaption>step {escape(name)}{save}</figcaption></figure>"
    return cards


def _picture(name: str, address: str, width: int) -> str:
    return f'<img alt="{escape(name, quote=True)}" width="{max(width, _LEAST_WIDTH)}" src="{address}">'


def _film(name: str, address: str, width: int) -> str:
    switches = "controls loop autoplay muted playsinline"
    label, width = escape(name, quote=True), max(width, _LEAST_WIDTH)
    return f'<video aria-label="{label}" width="{width}" src="{address}" {switches}></video>'


def _links(job: Job) -> str:
    if job.num_frames == 1:
        return f'<a download="{job.id}.webp" href="{_address(job)}?variant=thumbnail">save</a>'
    return f'<a download="{job.id}.mp4" href="{_address(job)}">save</a>'


def _address(job: Job) -> str:
    return f"v1/videos/{job.id}/content"  # relative: the page may stand below a path of a proxy


def _sentence(text: str) -> str:
    """A message as a sentence: a capital at its beginning, a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")
