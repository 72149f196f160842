"""Checkpoints are whole or absent, and the newest whole one is gone on from."""

import os
import resource
import shutil
import signal
import zipfile
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from videolm.data.runtime import files
from videolm.training.checkpoints import Found, WholeCheckpointIO, find_checkpoint, problem_of, step_of
from videolm.training.run_checkpoint import RunCheckpoint


def save(path: Path, step: int) -> None:
    weights = torch.full((1000,), float(step))
    WholeCheckpointIO().save_checkpoint({"global_step": step, "state_dict": {"weight": weights}}, path)


class Line(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, steps: int, checkpoint: Path | None = None) -> Line:
    model = Line()
    each = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    Trainer(
        max_steps=steps,
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[RunCheckpoint(folder, 1), each],
        plugins=[WholeCheckpointIO()],
    ).fit(model, DataLoader(torch.randn(8, 1)), ckpt_path=checkpoint, weights_only=True)
    return model


def test_what_is_saved_is_loaded_and_trained_on(tmp_path):
    """With Lightning's own ModelCheckpoint beside ours; nothing but the checkpoints is left in the folder."""
    weights = fit(tmp_path, 2).layer.weight
    found = find_checkpoint(tmp_path)
    assert found == Found(tmp_path / "last.ckpt") and step_of(tmp_path / "last.ckpt") == 2
    assert torch.equal(WholeCheckpointIO().load_checkpoint(found.path)["state_dict"]["layer.weight"], weights)
    fit(tmp_path, 3, found.path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "last.ckpt",
        *(f"step={step}.ckpt" for step in (1, 2, 3)),
    }


def test_nothing_is_written_to_the_folder_of_temporary_files(tmp_path, monkeypatch):
    """It may be small, and on another file system, across which nothing is renamed."""
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    save(tmp_path / "last.ckpt", 1)
    assert problem_of(tmp_path / "last.ckpt") is None


@pytest.mark.parametrize("step", ["torch.save", "flush", "_put", "_flush_one"])
def test_a_writer_killed_anywhere_leaves_the_former_or_the_new_checkpoint(step, start_forked, tmp_path):
    save(tmp_path / "last.ckpt", 1)

    def die(*arguments) -> None:
        if step == "torch.save":
            arguments[1].write(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)

    def write() -> None:
        setattr(torch if step == "torch.save" else files, step.removeprefix("torch."), die)
        save(tmp_path / "last.ckpt", 2)

    process = start_forked(write)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert find_checkpoint(tmp_path).torn == [] and step_of(tmp_path / "last.ckpt") == 1
    save(tmp_path / "last.ckpt", 3)
    files.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeros_at_the_end(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes(100))


def flipped_bit(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        member = max(archive.infolist(), key=lambda each: each.file_size)
    with path.open("r+b") as file:
        file.seek(member.header_offset + member.file_size // 2)
        file.write(bytes([file.read(1)[0] ^ 1]))


def other_file(path: Path) -> None:
    path.write_text("no checkpoint")


DAMAGES = (cut, zeros_at_the_end, flipped_bit, other_file)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_torn_checkpoint_is_named_and_the_newest_whole_one_taken(damage, tmp_path):
    for name, step in (("last", 30), ("a", 10), ("b", 20), ("c", 25)):
        save(tmp_path / f"{name}.ckpt", step)
    assert find_checkpoint(tmp_path) == Found(tmp_path / "last.ckpt")
    damage(tmp_path / "last.ckpt")
    damage(tmp_path / "c.ckpt")
    found = find_checkpoint(tmp_path)
    assert found.path == tmp_path / "b.ckpt"
    assert [line.split(" is not whole: ")[0] for line in found.torn] == [
        str(tmp_path / name) for name in ("last.ckpt", "c.ckpt")
    ]
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.ckpt").unlink()
    with pytest.raises(ValueError, match=r"last\.ckpt is not whole: .*remove it to begin anew"):
        find_checkpoint(tmp_path)


def test_a_sharded_checkpoint_needs_what_is_written_last(tmp_path):
    folder = tmp_path / "last.ckpt"
    folder.mkdir()
    save(folder / "meta.pt", 5)
    assert problem_of(folder) == "it has no .metadata"
    (folder / ".metadata").touch()
    assert problem_of(folder) is None and step_of(folder) == 5
    cut(folder / "meta.pt")
    assert problem_of(folder) is not None
    shutil.rmtree(folder)
    assert find_checkpoint(tmp_path) == Found(None)


class Code:
    def __reduce__(self):
        return print, ("code of a checkpoint",)


def test_a_checkpoint_runs_no_code(tmp_path, capsys):
    torch.save({"global_step": 1, "x": Code()}, tmp_path / "last.ckpt")
    with pytest.raises(Exception, match="Weights only load failed"):
        WholeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="is not whole"):
        find_checkpoint(tmp_path)
    assert "code of" not in capsys.readouterr().out


def test_a_full_disk_keeps_the_former_checkpoint_and_is_named(start_forked, tmp_path):
    save(tmp_path / "last.ckpt", 1)
    answers, mine = get_context("fork").Pipe()

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        try:
            save(tmp_path / "last.ckpt", 2)
        except OSError as error:
            mine.send((error.errno in files.NO_SPACE, error.filename))

    start_forked(write)
    assert answers.poll(60) and answers.recv() == (True, str(tmp_path / "last.ckpt"))
    assert step_of(tmp_path / "last.ckpt") == 1
