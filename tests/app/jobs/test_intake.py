"""Uploads: read as `generate` reads files, in processes that a bad file may take with it."""

import json

import pytest
import torch

from videolm.app.jobs.intake import Intake, Unreadable, mask_of_json


@pytest.fixture(scope="module")
def intake(tmp_path_factory):
    intake = Intake(tmp_path_factory.mktemp("uploads"), num_workers=1, seconds=60)
    yield intake
    intake.close()


def test_each_kind_of_file_is_known_and_read_at_the_size_of_the_clip(intake, model, clip, tmp_path):
    clip.save(tmp_path / "film.mp4")
    clip.save(tmp_path / "sound.wav")
    clip.window(0, 1).resized(64, 80).save(tmp_path / "picture.png")
    readings = [("film.mp4", "video", "whole"), ("sound.wav", "sound", "sound")]
    for name, kind, reading in (*readings, ("picture.png", "image", "image")):
        with intake.place("input_reference") as upload:
            upload.path.write_bytes((tmp_path / name).read_bytes())
            assert intake.kind(upload) == kind
            read, notes = intake.read(upload, reading, model.clips)
        assert not upload.path.exists()
        if kind != "sound":
            assert read.frames.shape[1:3] == (model.clips.height, model.clips.width)
        if kind != "image":
            assert read.waveform is not None
        else:
            assert notes and "resized" in notes[0] and str(upload.path) not in notes[0]


@pytest.mark.parametrize(
    "data", [b"", b"no film", b"#EXTM3U\nfile:///etc/passwd", b"\x00\x00\x00\x18ftypmp42" * 9]
)
def test_what_is_no_media_file_is_refused_by_the_name_of_its_field(data, intake):
    with intake.place("input_reference") as upload:
        upload.path.write_bytes(data)
        with pytest.raises(Unreadable) as refused:
            intake.kind(upload)
    assert "input_reference" in str(refused.value) and "upload" not in str(refused.value)


def test_a_file_that_hangs_its_reader_costs_itself(model, clip, tmp_path):
    clip.save(tmp_path / "film.mp4")
    intake = Intake(tmp_path / "uploads", num_workers=1, seconds=1e-6)
    intake.folder.mkdir()
    try:
        with intake.place("video") as upload:
            upload.path.write_bytes((tmp_path / "film.mp4").read_bytes())
            with pytest.raises(Unreadable, match="video: given up after"):
                intake.kind(upload)
            for worker in intake._workers:
                worker.seconds = 60
            assert intake.kind(upload) == "video"
    finally:
        intake.close()


def test_a_mask_of_numbers_paints_where_they_are_one(model):
    clips = model.clips
    mask = mask_of_json(json.dumps([[0, 1], [0, 0]]).encode(), clips)
    assert mask.frames.shape[1:3] == (clips.height, clips.width)
    white = mask.frames[0, :, :, 0] > 128
    expected = torch.zeros(clips.height, clips.width, dtype=torch.bool)
    expected[: clips.height // 2, clips.width // 2 :] = True
    assert torch.equal(white, expected)


@pytest.mark.parametrize(
    "text", ["0.5", "[[0.5]]", "[[0, 1], [0]]", "[]", '"x"', "{}", "[[1e400]]", "\\", "[[null]]"]
)
def test_other_masks_are_refused(text, model):
    with pytest.raises(ValueError, match="the mask"):
        mask_of_json(text.encode(), model.clips)
