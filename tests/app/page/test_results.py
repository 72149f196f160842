"""What the page shows of jobs: nothing of what a visitor wrote becomes HTML."""

import re

import pytest
import torch
from job_queues import finished, queue_in, submit

from videolm.app.jobs.previews import Previews
from videolm.app.page.painter import painted_mask
from videolm.app.page.results import problem, results, sentence_of
from videolm.data.media.clip import Clip

ODD = "<script>alert(1)</script> \" onerror='x' & {{1}} ${1}"


def test_texts_and_mistakes_are_shown_as_they_were_written(tmp_path):
    queue = queue_in(tmp_path)
    with queue:
        steps = ({"name": ODD, "task": "unconditional"},) * 2
        done = finished(queue, submit(queue, text=ODD, seed=4))
        (chain,) = finished(queue, submit(queue, task="chain", steps=steps))
    shown = results([*done, chain], Previews()) + problem(ODD)
    assert set(re.findall(r"<(\w+)", shown)) <= {"p", "div", "figure", "figcaption", "video", "span", "a"}
    assert shown.count("&lt;script&gt;") >= 4 and "onerror='" not in shown


def test_frames_are_seen_while_a_clip_is_made_and_only_if_somebody_watches(tmp_path):
    queue, previews = queue_in(tmp_path), Previews()
    job = submit(queue)
    part = Clip(torch.zeros(2, 16, 16, 3, dtype=torch.uint8), 8.0)
    previews.add(job.id, part)
    assert previews.frames(job.id) is None and "<img" not in results([job], previews)
    previews.watch(job.id)
    for _ in range(2):
        previews.add(job.id, part)
    assert previews.frames(job.id).shape[0] == 4 and "the first 4 frames" in results([job], previews)
    previews.restart(job.id)
    assert previews.frames(job.id) is None
    previews.forget(job.id)
    previews.add(job.id, part)
    assert previews.frames(job.id) is None


def test_how_far_jobs_are_is_a_sentence(tmp_path):
    queue = queue_in(tmp_path)
    jobs = [submit(queue, seed) for seed in range(3)]
    assert sentence_of(jobs) == "Waiting for their turn." and sentence_of(jobs[:1]) == "Waiting for its turn."
    jobs[0] = queue.cancel(jobs[0].id)
    with queue:
        jobs = finished(queue, *jobs)
    assert sentence_of(jobs) == "2 of 3 clips are made." and sentence_of(jobs[1:]) == "All 2 clips are made."
    assert sentence_of(jobs[:1]) == "No clip is made."


@pytest.mark.parametrize("mask", [3, "", "http://evil.org/x.png", "data:image/png;base64,%%", "data:x,"])
def test_a_mask_that_no_painter_made_is_refused(mask):
    with pytest.raises(ValueError, match="the painted mask cannot be read"):
        painted_mask({"mask": mask})


@pytest.mark.parametrize("value", [None, "x", {}, {"picture": "data:…"}])
def test_nothing_painted_is_no_mask(value):
    assert painted_mask(value) is None
