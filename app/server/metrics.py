"""What the queue does, for Prometheus: read off the queue whenever it is asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..jobs.job_queue import LATENCY_BOUNDS, JobQueue


class QueueMetrics(Collector):
    """The numbers of one queue."""

    def __init__(self, queue: JobQueue):
        self.queue, self.registry = queue, CollectorRegistry()
        self.registry.register(self)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        queue, counts = self.queue, self.queue.counts
        yield GaugeMetricFamily("videolm_jobs_waiting", "Jobs that wait", value=queue.num_waiting)
        yield GaugeMetricFamily("videolm_jobs_running", "Jobs that are being made", value=queue.num_running)
        yield GaugeMetricFamily("videolm_jobs_kept", "Jobs on disk", value=queue.num_kept)
        yield CounterMetricFamily("videolm_jobs_accepted", "Jobs taken", value=counts.accepted)
        yield CounterMetricFamily("videolm_jobs_refused", "Jobs refused: full", value=counts.refused)
        finished = CounterMetricFamily("videolm_jobs_finished", "Jobs by their end", labels=["status"])
        for status, count in counts.finished.items():
            finished.add_metric([status], count)
        yield finished
        words, total = "Seconds from acceptance to completion", counts.latency_sum
        yield _histogram("videolm_job_seconds", words, LATENCY_BOUNDS, counts.latencies, total)
        bounds = tuple(float(2**power) for power in range(6))
        sizes = [0] * (len(bounds) + 1)
        for size, count in list(counts.batches.items()):
            sizes[sum(size > bound for bound in bounds)] += count
        jobs = float(sum(size * count for size, count in list(counts.batches.items())))
        yield _histogram("videolm_batch_jobs", "Jobs made together", bounds, sizes, jobs)


def _histogram(
    name: str, words: str, bounds: tuple[float, ...], counts: list[int], total: float
) -> HistogramMetricFamily:
    buckets, so_far = [], 0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        so_far += count
        buckets.append((bound, so_far))
    return HistogramMetricFamily(name, words, buckets=buckets, sum_value=total)
