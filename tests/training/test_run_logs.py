"""metrics.csv outlasts kills, and wandb stays off-line where nobody is logged in."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from videolm.training import run_logs
from videolm.training.run_logs import csv_logger, wandb_logger


@pytest.fixture
def checkpoint(tmp_path):
    loops = {"fit_loop": {"epoch_loop.state_dict": {"_batches_that_stepped": 20}}}
    torch.save({"global_step": 20, "loops": loops}, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


@pytest.mark.parametrize("torn", ["", "0.5,4", "0."])
def test_rows_up_to_the_checkpoint_stay_whatever_the_last_line_is(torn, checkpoint, tmp_path):
    (tmp_path / "metrics.csv").write_text(f"loss,step\n3.0,10\n2.0,20\n1.0,30\n{torn}")
    csv_logger(tmp_path, checkpoint)
    assert (tmp_path / "metrics.csv").read_text() == "loss,step\n3.0,10\n2.0,20\n"
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "last.ckpt"}


@pytest.mark.parametrize("moment", ["__init__", "save"])
def test_a_start_that_is_killed_loses_no_row(moment, checkpoint, start_forked, tmp_path):
    (tmp_path / "metrics.csv").write_text("loss,step\n3.0,10\n2.0,20\n")

    def start() -> None:
        real = getattr(CSVLogger, moment)

        def killed(self, *arguments, **options):
            real(self, *arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(CSVLogger, moment, killed)
        csv_logger(tmp_path, checkpoint)

    process = start_forked(start)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    csv_logger(tmp_path, checkpoint)
    assert (tmp_path / "metrics.csv").read_text() == "loss,step\n3.0,10\n2.0,20\n"


@pytest.fixture
def wandb(monkeypatch):
    """The library, with nobody logged in and nothing started."""
    import wandb

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    monkeypatch.setattr(wandb, "teardown", lambda: None)
    return wandb


def test_wandb_stays_offline_if_nobody_is_logged_in_or_it_cannot_be_reached(
    wandb, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(run_logs, "_is_reachable", lambda _: True)
    logger = wandb_logger(tmp_path, "run")
    assert isinstance(logger, WandbLogger) and logger._offline
    assert "nobody is logged in (wandb login)" in capsys.readouterr().err
    monkeypatch.setattr(run_logs, "_is_reachable", lambda _: False)
    assert wandb_logger(tmp_path, "run")._offline
    assert "cannot be reached" in capsys.readouterr().err


def test_wandb_stays_offline_if_the_server_refuses(wandb, monkeypatch, tmp_path, capsys):
    def refuse(**_):
        raise wandb.errors.AuthenticationError("the key is invalid\nmore of it")

    monkeypatch.setattr(run_logs, "_is_reachable", lambda _: True)
    monkeypatch.setattr(wandb, "login", refuse)
    assert wandb_logger(tmp_path, "run")._offline
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "the key is invalid; upload the run later by: wandb sync" in lines[0]


def test_wandb_is_online_where_it_can_be(wandb, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(run_logs, "_is_reachable", lambda _: True)
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    monkeypatch.setattr(WandbLogger, "experiment", property(lambda self: SimpleNamespace(id="1")))
    assert not wandb_logger(tmp_path, "run")._offline and not capsys.readouterr().err


def test_an_address_without_a_server_is_not_reachable(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not run_logs._is_reachable("http://127.0.0.1:9")


def test_wandb_goes_on_in_the_run_that_the_folder_remembers(wandb, monkeypatch, tmp_path):
    """And another training in the same folder begins a run of its own."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    first = wandb_logger(tmp_path, "run", goes_on=False)
    again = wandb_logger(tmp_path, "run", goes_on=True)
    assert first._wandb_init["id"] == again._wandb_init["id"] and again._wandb_init["resume"] == "allow"
    assert wandb_logger(tmp_path, "run", goes_on=False)._wandb_init["id"] != first._wandb_init["id"]
    (tmp_path / "wandb.json").write_text('{"id": "../elsewhere"}')
    with pytest.raises(ValueError, match=r"wandb\.json is damaged"):
        wandb_logger(tmp_path, "run", goes_on=True)
