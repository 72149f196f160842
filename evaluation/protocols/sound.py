"""Sound for silent videos: Frechet audio distance over clips of any folder with sound.

Kondratyuk et al. 2024, arXiv:2312.14125, figure 8, shows it as curves, by VGGish on 25,000 held-out videos;
no numbers are published.
"""

from pathlib import Path

from ...data.media.clip import Clip
from ...data.sources.manifest import read_files
from ...generation.prompt import Prompt
from .benchmark import Benchmark, Case, Footage, Material, Wanted

LAYOUT = "a folder or list of videos with sound, as `videolm data inspect` takes it"


def find(data: Path, wanted: Wanted) -> Material:
    """The beginnings of the videos in order; their own sound is what is compared with."""
    entries = read_files(str(data), {})[: wanted.cases]
    footage = [Footage(entry.path, "start", entry.start or 0.0, entry.end) for entry in entries]
    return Material([Case(footage=each) for each in footage], footage[: wanted.real])


def ask(case: Case, clip: Clip | None) -> Prompt:
    assert clip is not None
    return Prompt(video=clip.silent())


BENCHMARK = Benchmark(
    name="sound",
    title="Video to sound",
    task="video_to_audio",
    layout=LAYOUT,
    find=find,
    prompt=ask,
    scores=("fad", "fad_clap", "fad_mel"),
    cases=25_000,
    set_size=25_000,
    real=25_000,
    size=None,
    num_frames=17,
    real_fps="model",
)
