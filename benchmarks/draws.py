"""How many training windows a CPU second reads from long films, beside other readers and an older videolm.

    python -m benchmarks.draws [--before PARENT] [--draws 24] [--every 250]

A window is 17 frames at 8 a second, 128x128, from anywhere in a film of 60 s, 1280x720 at 30 frames a second
with sound, which has a key frame every so many frames. One thread, a process for each contestant; the film is
opened anew for each window, as a data set of many films makes it. `--before` is a folder that holds an older
checkout named `videolm`. decord and torchcodec take part if installed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch

from benchmarks import measuring

FRAMES, FPS, SIDE = 17, 8, 128
SECONDS, RATE, WIDTH, HEIGHT = 60, 30, 1280, 720
PEERS = ("decord", "decord-kept-open", "torchcodec")


def write_film(path: Path, every: int) -> None:
    """A texture that the camera pans over and discs that cross it, with a tone."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = np.kron(coarse, np.ones((16, 16, 1), np.uint8)) // 2 + random.integers(
        0, 60, (2 * HEIGHT, 2 * WIDTH, 3), dtype=np.uint8
    )
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", RATE, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = every
        video.options |= {"sc_threshold": "0", "keyint_min": str(every)}
        audio = container.add_stream("aac", 48000, layout="mono")
        for number in range(SECONDS * RATE):
            top, left = number * (HEIGHT - 20) // (SECONDS * RATE), number * (WIDTH - 20) // (SECONDS * RATE)
            picture = ground[top : top + HEIGHT, left : left + WIDTH].copy()
            for disc in range(3):
                x, y = (number * (3 + disc) * 4) % WIDTH, 150 + 200 * disc
                picture[(columns - x) ** 2 + (rows - y) ** 2 < 60**2] = (250, 40 + 90 * disc, 30)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        times = np.arange(SECONDS * 48000) / 48000
        tone = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None]
        for first in range(0, tone.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(tone[:, first : first + 1024]), "fltp", "mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def videolm_windows(folder: Path) -> Iterator[torch.Tensor]:
    """Windows as training draws them; the older checkout is asked by the same names."""
    try:
        from videolm.data.loading.clip_datamodule import ClipDataModule
    except ImportError:
        from videolm.data.datamodule import ClipDataModule  # pyright: ignore[reportMissingImports]
    data = ClipDataModule(
        str(folder), height=SIDE, width=SIDE, num_frames=FRAMES, fps=FPS, batch_size=1, validation_clips=1
    )
    data.setup("fit")
    while True:
        yield from (batch["frames"][0] for batch in data.train_dataloader())


def _indices(random: np.random.Generator, frames: int) -> list[int]:
    step = RATE / FPS
    first = random.integers(frames - int(FRAMES * step))
    return [int(first + number * step) for number in range(FRAMES)]


def decord_windows(folder: Path, keep_open: bool = False) -> Iterator[torch.Tensor]:
    """decord lets ffmpeg resize the picture while it is decoded."""
    import decord  # pyright: ignore[reportMissingImports]

    random, path, reader = np.random.default_rng(0), str(sorted(folder.iterdir())[0]), None
    while True:
        if reader is None or not keep_open:
            reader = decord.VideoReader(path, num_threads=1, height=SIDE, width=SIDE * WIDTH // HEIGHT)
        left = (SIDE * WIDTH // HEIGHT - SIDE) // 2
        frames = reader.get_batch(_indices(random, len(reader))).asnumpy()
        yield torch.from_numpy(frames[:, :, left : left + SIDE])


def torchcodec_windows(folder: Path) -> Iterator[torch.Tensor]:
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    random, path = np.random.default_rng(0), str(sorted(folder.iterdir())[0])
    while True:
        decoder = VideoDecoder(path, num_ffmpeg_threads=1, seek_mode="approximate")
        frames = decoder.get_frames_at(_indices(random, decoder.metadata.num_frames or 0)).data
        small = torch.nn.functional.interpolate(
            frames.float(), (SIDE, SIDE * WIDTH // HEIGHT), mode="bilinear", antialias=True
        )
        left = (small.shape[-1] - SIDE) // 2
        yield small[..., left : left + SIDE].round().byte().permute(0, 2, 3, 1)


_WINDOWS: dict[str, Callable[[Path], Iterator[torch.Tensor]]] = {
    "before": videolm_windows,
    "videolm": videolm_windows,
    "decord": decord_windows,
    "decord-kept-open": lambda folder: decord_windows(folder, keep_open=True),
    "torchcodec": torchcodec_windows,
}


def measure(name: str, folder: Path, draws: int) -> measuring.Record:
    windows = _WINDOWS[name](folder)
    assert next(windows).shape == (FRAMES, SIDE, SIDE, 3)
    seconds, _ = measuring.cpu_seconds(lambda: [next(windows) for _ in range(draws)])
    return {
        "contestant": name,
        "windows per CPU second": draws / seconds,
        "CPU ms a window": 1000 * seconds / draws,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="folder that holds an older checkout named videolm")
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument(
        "--every", type=int, nargs="*", default=[250, 50], help="frames from key frame to key frame"
    )
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        if options.contestant == "before":
            sys.path.insert(0, str(options.before))
        print(json.dumps(measure(options.contestant, options.folder, options.draws)))
        return
    for every in options.every:
        with TemporaryDirectory() as name:
            film = Path(name) / "films"
            film.mkdir()
            write_film(film / "0.mp4", every)
            for number in range(1, 4 * options.draws):  # each is drawn once: nothing comes out of a cache
                (film / f"{number}.mp4").hardlink_to(film / "0.mp4")
            rows = []
            for contestant in _taking_part(options.before is not None):
                given = ["--folder", str(film), "--draws", str(options.draws)]
                given += ["--before", str(options.before)] * (options.before is not None)
                rows += measuring.run_each("benchmarks.draws", [contestant], given)
            ours = next(row for row in rows if row["contestant"] == "videolm")
            for row in rows:
                row["videolm is"] = f"{row['CPU ms a window'] / ours['CPU ms a window']:.2f}x"
            print(f"\nkey frame every {every} frames\n\n{measuring.markdown_table(rows)}\n", flush=True)
    print(json.dumps(measuring.machine(1)))


def _taking_part(with_before: bool) -> list[str]:
    from importlib.util import find_spec

    names = ["before"] * with_before + ["videolm"]
    for name in PEERS:
        if find_spec(name.partition("-")[0]):
            names.append(name)
        else:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return names


if __name__ == "__main__":
    measuring.command(main)
