"""Rendering: the same clips for the same seed, pixels that survive the file, lists that can be used."""

import json
from pathlib import Path

import numpy as np
import pytest

from videolm.data.media.reading import read_clip
from videolm.data.sources.manifest import read_manifest
from videolm.examples.sprites.command_line import run_command
from videolm.examples.sprites.render import enlarged, render
from videolm.examples.sprites.scenes import KEYS, draw_frames, draw_scene


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_clip_follows_from_seed_and_index_alone(sheets_folder: Path):
    for name, options in {"a": {}, "b": {}, "fewer": {"clips": 3}, "other": {"seed": 1}}.items():
        render(sheets_folder, **{"out": Path(name), "clips": 5, "seed": 0} | options)
    once = files(Path("a"))
    assert len(once) == 6 and once == files(Path("b"))
    fewer = files(Path("fewer"))
    assert fewer.keys() - {"captions.jsonl"} == set(sorted(once)[:3])
    assert all(once[name] == fewer[name] for name in fewer.keys() - {"captions.jsonl"})
    assert once["captions.jsonl"].startswith(fewer["captions.jsonl"])
    assert once["captions.jsonl"] != files(Path("other"))["captions.jsonl"]


@pytest.mark.parametrize("scale", [1, 2])
def test_files_are_read_as_they_were_drawn(sheets_folder: Path, sheets, scale: int):
    render(sheets_folder, out=Path("clips"), clips=3, seed=5, scale=scale)
    for index, entry in enumerate(read_manifest("clips")):
        scene = draw_scene(sheets, np.random.default_rng([5, index]))
        clip = read_clip(entry.path)
        assert (clip.fps, clip.num_frames, clip.height, clip.waveform) == (8, 17, 64 * scale, None)
        native = clip.frames.numpy()[:, ::scale, ::scale]
        assert np.array_equal(native, draw_frames(sheets, scene, 17))
        assert np.array_equal(clip.frames.numpy(), enlarged(native, scale))


def test_each_pixel_becomes_a_square_of_equal_ones():
    frames = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    large = enlarged(frames, 2)
    assert large.shape == (1, 4, 4, 3)
    for row in range(4):
        for column in range(4):
            assert np.array_equal(large[0, row, column], frames[0, row // 2, column // 2])


def test_the_list_says_what_each_clip_shows(sheets_folder: Path, sheets):
    render(sheets_folder, out=Path("clips"), clips=4, phrasings=3)
    for index, entry in enumerate(read_manifest("clips")):
        scene = draw_scene(sheets, np.random.default_rng([0, index]))
        assert entry.path.is_file() and len(entry.captions) == 3
        assert {key: entry.extra[key] for key in KEYS} == {key: getattr(scene, key) for key in KEYS}
        assert entry.extra["group"] == scene.character
    wished = {"top": str(read_manifest("clips")[0].extra["top"])}
    assert all(str(entry.extra["top"]) == wished["top"] for entry in read_manifest("clips", wished))


def test_a_split_is_rendered_alone(sheets_folder: Path):
    for split in ("train", "pairs", "characters"):
        render(sheets_folder, out=Path(split), clips=8, split=split, pairs={"walk": 0}, share=0.3)
        lines = [json.loads(line) for line in (Path(split) / "captions.jsonl").read_text().splitlines()]
        assert {line["split"] for line in lines} == {split}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "clips is 0; expected at least 1"),
        ({"scale": 0}, "scale is 0; expected at least 1"),
        ({"pairs": {"jump": 1}}, "pairs has 'jump'; expected actions of cast"),
        ({"out": Path("full")}, "full is not empty; expected a new or empty folder"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(sheets_folder: Path, options: dict, message: str):
    Path("full").mkdir()
    Path("full/a.txt").touch()
    with pytest.raises(ValueError, match=message):
        render(sheets_folder, **{"out": Path("out"), "clips": 2} | options)
    assert not list(Path().glob("out/*"))


def test_a_mistake_on_the_command_line_is_one_line(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.argv", ["render", "nowhere", "--out", "out", "--clips", "2"])
    with pytest.raises(SystemExit) as stopped:
        run_command(render, "render")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "render: error: there is no folder nowhere; expected a clone of the sheets, see README.md\n"
    )


def test_the_command_renders(sheets_folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    words = [str(sheets_folder), "--out", "out", "--clips", "2", "--split", "train", "--num-frames", "5"]
    monkeypatch.setattr("sys.argv", ["render", *words])
    run_command(render, "render")
    assert capsys.readouterr().out == "wrote out/captions.jsonl\n"
    assert all(read_clip(entry.path).num_frames == 5 for entry in read_manifest("out"))
