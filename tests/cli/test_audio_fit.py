"""`videolm audio fit` and `validate`, tried on the smallest codec."""

import json
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.tokenizers.audio.lightning_module import AudioCodecTraining

ADVERSARIAL = ("--model.balanced", "true", "--model.discriminator", "{channels: 4, windows: [256, 64]}")
# As the demo trains its codec.
SPLICED = ("--model.spliced", "0.7", "--model.muon_learning_rate", "0.05", "--model.codebooks_from", "4")


def command(verb: str, out: Path, settings: tuple[str, ...] = ADVERSARIAL) -> list[str]:
    steps = ("--trainer.max_steps", "5", "--checkpoint-every", "2")
    return ["audio", verb, "--config", "debug", "--out", str(out), *steps, *settings]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit") / "run"
    assert main(command("fit", out)) == 0
    return out


@pytest.mark.long
def test_a_fit_ended_by_sigkill_goes_on_to_the_same_weights(
    run: Path, tmp_path: Path, run_until_killed, same_weights
) -> None:
    """Of codec, codebooks, discriminators and the balancer's averages, bit for bit."""
    run_until_killed(command("fit", tmp_path), AudioCodecTraining, step=3)
    assert not (tmp_path / "model").exists()
    assert main(command("fit", tmp_path)) == 0
    assert same_weights(run / "training/audio", tmp_path / "training/audio")


@pytest.mark.long
def test_so_does_a_fit_on_spliced_windows_with_muon(
    run: Path, tmp_path: Path, run_until_killed, same_weights
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(command("fit", whole, SPLICED)) == 0
    run_until_killed(command("fit", killed, SPLICED), AudioCodecTraining, step=3)
    assert main(command("fit", killed, SPLICED)) == 0
    assert same_weights(whole / "training/audio", killed / "training/audio")
    assert not same_weights(whole / "training/audio", run / "training/audio")


def test_validate_prints_the_scores_beside_those_of_other_methods(run: Path, capsys) -> None:
    assert main(command("validate", run)) == 0
    printed = capsys.readouterr().out
    for name in ("val/si_sdr_db", "codec, 1 of 2 levels", "mu-law", "random codebooks", "bits per second"):
        assert name in printed
    scores = json.loads((run / "training/audio/scores.json").read_text())
    assert scores["sounds"] == 2 and scores["methods"]["codec"]["si_sdr_db"] is not None
    assert (run / "training/audio/spectrograms.png").is_file()


@pytest.mark.long
def test_the_draws_of_accumulated_batches_are_those_of_an_unbroken_run(
    tmp_path: Path, run_until_killed, monkeypatch
) -> None:
    """Windows, levels left out and entries revived: other ones in each batch, the same after a kill."""
    more = ("--trainer.accumulate_grad_batches", "2", "--trainer.max_steps", "4", "--model.spliced", "0.7")
    drawn: dict[tuple[int, int], list[torch.Tensor]] = {}
    real_step = AudioCodecTraining.training_step

    def noted(self, batch, batch_idx):
        seen = []
        with monkeypatch.context() as patched:
            forward = self.forward
            patched.setattr(self, "forward", lambda sound: (seen.append(sound), forward(sound))[1])
            loss = real_step(self, batch, batch_idx)
        drawn.setdefault((self.global_step, batch_idx % 2), []).append((seen[0], loss.detach()))
        return loss

    command_of = [command("fit", tmp_path / name, more) for name in ("whole", "killed")]
    run_until_killed(command_of[1], AudioCodecTraining, step=3)
    monkeypatch.setattr(AudioCodecTraining, "training_step", noted)
    for each in command_of:
        assert main(each) == 0
    twice = {place: found for place, found in drawn.items() if len(found) == 2}
    assert {step for step, _ in twice} == {2, 3} and len(twice) == 4
    for (sound, loss), (sound_again, loss_again) in twice.values():
        assert torch.equal(sound, sound_again) and torch.equal(loss, loss_again)
    first, second = drawn[3, 0][0][0], drawn[3, 1][0][0]
    assert not torch.equal(first, second)
