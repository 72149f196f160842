"""The benchmarks of the literature by their name on the command line."""

from . import davis, kinetics600, msr_vtt, something_something, sound, ucf101
from .benchmark import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        msr_vtt.BENCHMARK,
        ucf101.BENCHMARK,
        kinetics600.BENCHMARK,
        something_something.INPAINTING,
        something_something.OUTPAINTING,
        davis.BENCHMARK,
        sound.BENCHMARK,
    )
}
