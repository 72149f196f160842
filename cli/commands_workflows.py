"""The commands that run the model several times: videos longer than a clip, chains of tasks."""

from pathlib import Path
from typing import Annotated

from ..data.runtime.model_source import model_folder
from ..generation.long_video.long_options import LongOptions
from ..generation.run_request import Results
from ..lm.decoding.sampling import Sampling
from .arguments import Options


def long_video(
    *,
    model: str | None = None,
    out: Path,
    seed: int = 0,
    prompt: LongOptions,
    results: Annotated[Results, Options(skip=("num_samples", "raw", "preview", "upscale"))],
    sampling: Sampling,
) -> list[Path]:
    """Make a video longer than a clip: each segment goes on from the last frames before it.

    Writes video.mp4, report.json (segments, seeds, how well they join) and, as they are made, the segments;
    run again, it goes on where it was stopped. With sound if the model makes any.

    Args:
        model: as for `videolm generate`.
        out: folder to fill.
        seed: of the first try of the first segment; the next has the next.
    """
    prompt.check_files()
    from ..generation.long_video.long_video import write_long

    return write_long(
        model_folder(model),
        prompt.prompt,
        out,
        seed=seed,
        sampling=sampling,
        best_of=results.best_of,
        judge=results.judge,
    )


def chain(chain: Path, *, model: str | None = None, out: Path) -> list[Path]:
    """Run several tasks, each led by the results of earlier ones, such as picture, video, sound.

    The chain is a YAML file:

    seed: 0
    sampling: {temperature: 0.9}
    steps:
    - {name: picture, task: text_to_image, text: a red square}
    - {name: film, task: image_to_video, image: picture, text: a red square spins, seed: 3}
    - {name: sound, task: video_to_audio, video: film}

    A step takes image, video and audio (an earlier step or a file; if left out, the step before), text,
    negative, mask, aspect (in quotes: "16:9"), frames, seconds, depth, raw, seed and sampling, as `videolm
    generate` does; seed, sampling and aspect may also be given for all steps. All results are kept; run
    again, only those are made that are missing or asked for in another way.

    Args:
        chain: the file.
        model: as for `videolm generate`.
        out: folder to fill: 01-picture.png, 02-film.mp4, …
    """
    from ..generation.chain.chain_file import write_chain

    return write_chain(chain, model, out)
