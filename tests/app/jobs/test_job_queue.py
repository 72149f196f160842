"""The queue: what is accepted is made once, whoever else is there and however often the process ends."""

import json
import shutil
import threading

import pytest
from job_queues import Painter, finished, queue_in, submit, wait_until

from videolm.app.jobs.job_queue import FAULT, NoSuchJob, QueueFull
from videolm.data.media.reading import read_clip


def test_jobs_of_one_kind_are_one_batch_and_others_are_not(tmp_path):
    make = Painter()
    queue = queue_in(tmp_path, make, batch=3)
    jobs = [submit(queue, seed) for seed in range(4)]
    jobs += [submit(queue, 4, task="unconditional"), submit(queue, 5, sampling={"temperature": 0.5})]
    with queue:
        finished(queue, *jobs)
    assert make.batches == [[0, 1, 2], [3], [4], [5]]


def test_every_job_gets_its_own_clip_with_all_variants(tmp_path):
    with queue_in(tmp_path) as queue:
        for job in finished(queue, *(submit(queue, seed) for seed in (10, 200))):
            assert (job.status, job.progress, job.error) == ("completed", 100, None)
            film = read_clip(queue.store.result(job, "video"))
            assert abs(int(film.frames[0, 0, 0, 0]) - job.request.seed) < 4
            assert queue.store.result(job, "thumbnail").is_file()
            assert queue.store.result(job, "spritesheet").is_file()


def test_a_full_queue_refuses_and_says_when_to_come_again(tmp_path):
    queue = queue_in(tmp_path, waiting=2)
    for _ in range(2):
        submit(queue)
    with pytest.raises(QueueFull) as refused:
        submit(queue)
    assert 1 <= refused.value.retry_after <= 60
    assert queue.counts.refused == 1 and len(queue.jobs()) == 2


def test_jobs_belong_to_their_owner_alone(tmp_path):
    queue = queue_in(tmp_path)
    job = submit(queue, owner="a")
    for reach in (queue.job, queue.cancel, queue.delete):
        with pytest.raises(NoSuchJob):
            reach(job.id, "b")
        with pytest.raises(NoSuchJob):
            reach(job.id)
    assert queue.jobs("b") == [] and queue.job(job.id, "a") == job


@pytest.fixture
def held():
    """A maker that waits inside of its first batch, and the events that say so and let it go on."""
    begun, go_on = threading.Event(), threading.Event()

    def before(jobs, report):
        begun.set()
        while not go_on.wait(0.01):
            report(0.5)

    yield Painter(before), begun, go_on
    go_on.set()


def test_after_a_kill_waiting_jobs_are_made_and_running_ones_made_again(tmp_path, held):
    make, begun, go_on = held
    with queue_in(tmp_path / "one", batch=1) as queue:
        done = finished(queue, submit(queue, 1))[0]
        queue.make = make
        running, waiting = submit(queue, 2), submit(queue, 3)
        assert begun.wait(10)
        shutil.copytree(tmp_path / "one", tmp_path / "two")  # what a kill would leave
        go_on.set()
    again = Painter()
    with queue_in(tmp_path / "two", again, batch=1) as queue:
        assert queue.job(done.id) == done
        made = finished(queue, running, waiting)
    assert again.batches == [[2], [3]]
    assert [(job.status, job.attempts) for job in made] == [("completed", 2), ("completed", 1)]


def test_an_orderly_end_counts_as_no_attempt_and_loses_nothing(tmp_path, held):
    make, begun, _ = held
    with queue_in(tmp_path, make) as queue:
        job = submit(queue)
        assert begun.wait(10)
    stored = json.loads((tmp_path / "jobs" / job.id / "job.json").read_text())
    assert (stored["status"], stored["attempts"]) == ("queued", 0)


def test_a_job_that_ends_the_process_again_and_again_is_given_up(tmp_path):
    queue = queue_in(tmp_path)
    job = submit(queue)
    path = tmp_path / "jobs" / job.id / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "in_progress", "attempts": 3}))
    again = queue_in(tmp_path).job(job.id)
    assert again.status == "failed" and "3 times" in (again.error or "")


def test_cancelling_a_running_job_stops_it_and_leaves_those_behind_it(tmp_path, held):
    make, begun, _ = held
    with queue_in(tmp_path, make, batch=1) as queue:
        running, waiting = submit(queue, 1), submit(queue, 2)
        assert begun.wait(10)
        wait_until(lambda: queue.job(running.id).progress == 50)
        queue.cancel(running.id)
        make.before = None
        cancelled, made = finished(queue, running, waiting)
    assert (cancelled.status, cancelled.code) == ("failed", "cancelled")
    assert made.status == "completed" and make.batches == [[1], [2]]


def test_a_deleted_job_leaves_nothing(tmp_path, held):
    make, begun, _ = held
    with queue_in(tmp_path, make, batch=1) as queue:
        running, waiting = submit(queue, 1), submit(queue, 2)
        assert begun.wait(10)
        queue.delete(waiting.id)
        queue.delete(running.id)
        make.before = None
        finished(queue, submit(queue, 3))
        assert len(list((tmp_path / "jobs").iterdir())) == 1
        with pytest.raises(NoSuchJob):
            queue.job(running.id)


def test_one_bad_job_spoils_no_other_of_its_batch(tmp_path, capsys):
    def refuse(jobs, report):
        if any(job.request.seed == 2 for job in jobs):
            raise ValueError("the mask is all white\nsecond line")
        if any(job.request.seed == 3 for job in jobs):
            raise RuntimeError("/secret/path is missing")

    queue = queue_in(tmp_path, Painter(refuse))
    jobs = [submit(queue, seed) for seed in (1, 2, 3, 4)]
    with queue:
        first, second, third, fourth = finished(queue, *jobs)
    assert first.status == fourth.status == "completed"
    assert (second.code, second.error) == ("invalid_request", "the mask is all white")
    assert (third.code, third.error) == ("server_error", FAULT)
    assert "/secret/path" in capsys.readouterr().err


def test_results_expire_and_of_too_many_the_oldest_go(tmp_path):
    with queue_in(tmp_path, kept=2, batch=1) as queue:
        jobs = [submit(queue, seed) for seed in range(4)]
        wait_until(lambda: len(queue.jobs()) == 2 and not queue.num_waiting and not queue.num_running)
        assert [job.id for job in queue.jobs()] == [job.id for job in jobs[2:]]
    with queue_in(tmp_path, seconds=0.01) as queue:
        assert len(queue.jobs()) <= 2
        job = submit(queue)
        wait_until(lambda: job.id not in {each.id for each in queue.jobs()})
        assert not (tmp_path / "jobs" / job.id).exists()


def test_a_damaged_job_is_left_out_and_named(tmp_path, capsys):
    queue = queue_in(tmp_path)
    good, bad = submit(queue, 1), submit(queue, 2)
    path = tmp_path / "jobs" / bad.id / "job.json"
    path.write_text(path.read_text().replace('"queued"', '"on the moon"'))
    assert [job.id for job in queue_in(tmp_path).jobs()] == [good.id]
    assert "status is 'on the moon'" in capsys.readouterr().err and path.is_file()


def test_owners_take_turns_whoever_asks_for_more(tmp_path):
    make = Painter()
    queue = queue_in(tmp_path, make, batch=1)
    jobs = [submit(queue, seed, owner="many") for seed in range(4)]
    jobs += [submit(queue, 10, owner="one"), submit(queue, 20, owner="two"), submit(queue, 21, owner="two")]
    with queue:
        finished(queue, *jobs)
    assert make.batches == [[0], [10], [20], [1], [21], [2], [3]]


def test_one_owner_cannot_fill_the_queue_for_the_others(tmp_path):
    queue = queue_in(tmp_path, waiting=4, own=2)
    first, _ = (submit(queue, owner="many") for _ in range(2))
    with pytest.raises(QueueFull):
        submit(queue, owner="many")
    submit(queue, owner="one")
    queue.cancel(first.id, "many")
    submit(queue, owner="many")
    submit(queue, owner="one")
    with pytest.raises(QueueFull):
        submit(queue, owner="two")  # all places are taken
    assert queue.counts.refused == 2


def test_a_batch_takes_one_job_of_each_owner_after_the_other(tmp_path):
    make = Painter()
    queue = queue_in(tmp_path, make, batch=4)
    jobs = [submit(queue, seed, owner="many") for seed in range(5)]
    jobs += [submit(queue, 10, owner="one"), submit(queue, 11, owner="one"), submit(queue, 12, owner="one")]
    with queue:
        finished(queue, *jobs)
    assert make.batches == [[0, 10, 1, 11], [12, 2, 3, 4]]


def test_coming_along_in_the_batches_of_others_takes_no_turn(tmp_path):
    make = Painter()
    queue = queue_in(tmp_path, make, batch=2)
    jobs = [submit(queue, seed, owner="many") for seed in range(4)]
    jobs += [submit(queue, 10, owner="one", task="unconditional")]
    jobs += [submit(queue, seed, owner="one") for seed in (11, 12)]
    with queue:
        finished(queue, *jobs)
    assert make.batches == [[0, 11], [10], [1, 12], [2, 3]]
