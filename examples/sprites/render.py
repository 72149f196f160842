"""Clips of pixel-art characters with captions, from a folder of layer sheets.

    python -m examples.sprites.render SHEETS --out clips/sprites --clips 4000 --split train

README.md beside this file says where the sheets come from and what to do with the clips.
"""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import UInt8

from videolm.data.runtime.files import replacing
from videolm.data.runtime.progress import progress

from .captions import captions_of, check_words
from .command_line import run_command
from .scenes import (
    HELD_OUT_PAIRS,
    HELD_OUT_SHARE,
    Split,
    draw_frames,
    draw_scene,
    shows_eyes,
    split_of,
)
from .sheets import ACTIONS, read_sheets

# Every pixel comes back as it was drawn: RGB without subsampled colours, no quantization.
_LOSSLESS = {"crf": "0", "x264-params": "mbtree=0:threads=1"}


def render(
    sheets: Path,
    *,
    out: Path,
    clips: int,
    seed: int = 0,
    split: Split = "all",
    scale: int = 1,
    num_frames: int = 17,
    fps: float = 8,
    phrasings: int = 5,
    pairs: dict[str, int] = HELD_OUT_PAIRS,
    share: float = HELD_OUT_SHARE,
    eyes: bool = True,
) -> list[Path]:
    """Render clips of pixel-art characters, and captions.jsonl beside them.

    Clip n of a seed and a split is always the same. The files are lossless (H.264 of RGB).

    Args:
        sheets: folder of layer sheets, such as a clone of github.com/YingzhenLi/Sprites.
        out: folder of the clips, new or empty.
        clips: how many.
        seed: of everything that is drawn.
        split: train, pairs (only held-out pairs of action and top), characters (only held-out ones), or all.
        scale: enlargement of each pixel: 1 gives 64x64, 2 gives 128x128.
        num_frames: of each clip; the action is repeated.
        fps: frames per second.
        phrasings: captions of a clip, the first of which is plain and complete.
        pairs: held-out tops (numbers of sheets) of actions; {} holds out none.
        share: of the characters, held out.
        eyes: give half of the characters eyes of another colour than their body's sheet has.
    """
    _check(clips, scale, num_frames, phrasings, pairs)
    layers = read_sheets(sheets)
    check_words(layers)
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ValueError(f"{out} is not empty; expected a new or empty folder")
    lines = []
    with progress("rendering", clips) as report:
        for index in range(clips):
            rng = np.random.default_rng([seed, index])
            scene = draw_scene(layers, rng, split, pairs, share, eyes)
            name = f"{index:06d}_{scene.action}_{scene.direction}.mp4"
            write_lossless(out / name, enlarged(draw_frames(layers, scene, num_frames), scale), fps)
            captions = captions_of(scene, rng, phrasings, shows_eyes(layers, scene))
            shown = scene.to_json() | {"split": split_of(scene, pairs, share)}
            lines.append(json.dumps({"path": name, "caption": captions} | shown, ensure_ascii=False) + "\n")
            report(index + 1)
    listed = out / "captions.jsonl"
    with replacing(listed) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return [listed]


def _check(clips: int, scale: int, num_frames: int, phrasings: int, pairs: dict[str, int]) -> None:
    counts = {"clips": clips, "scale": scale, "num_frames": num_frames, "phrasings": phrasings}
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    if unknown := pairs.keys() - ACTIONS.keys():
        raise ValueError(f"pairs has {min(unknown)!r}; expected actions of {', '.join(ACTIONS)}")


def enlarged(
    frames: UInt8[np.ndarray, "frames height width 3"], scale: int
) -> UInt8[np.ndarray, "frames height_out width_out 3"]:
    """Every pixel as `scale` x `scale` equal ones."""
    return frames.repeat(scale, axis=1).repeat(scale, axis=2)


def write_lossless(path: Path, frames: UInt8[np.ndarray, "frames height width 3"], fps: float) -> None:
    """A film from which every pixel is read as it was."""
    rate = Fraction(fps).limit_denominator(1001)
    with replacing(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264rgb", rate, options=_LOSSLESS)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "rgb24"
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    run_command(render, "python -m examples.sprites.render")
