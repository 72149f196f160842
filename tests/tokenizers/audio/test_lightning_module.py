import csv
import math
from pathlib import Path

import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger

from videolm.data.loading.clip_datamodule import ClipDataModule
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.audio.discriminator import AudioDiscriminatorConfig
from videolm.tokenizers.audio.lightning_module import AudioCodecTraining, random_windows, spliced
from videolm.tokenizers.audio.losses import (
    MultiScaleMelLoss,
    log_spectral_distance,
    magnitudes,
    mel_filterbank,
)

RATE = 16_000
TINY = AudioTokenizerConfig(
    ratios=(5, 8, 8), num_filters=4, hidden_size=8, codebook_size=16, num_residual_layers=0
)


def tones(*pitches: float, seconds: float = 0.64) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    return torch.stack([0.3 * torch.sin(2 * math.pi * pitch * time) for pitch in pitches])[:, None]


class CheckpointAt(Callback):
    """Write middle.ckpt after `step` steps."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "middle.ckpt")


def fit(
    folder: Path,
    resume: Path | None = None,
    sample_rate: int | None = RATE,
    callbacks: tuple[Callback, ...] = (),
    **more,
) -> AudioCodecTraining:
    """Eight steps of epochs of three, with discriminators, balanced, and a validation after four."""
    seed_everything(0)
    judges = AudioDiscriminatorConfig(windows=(256, 64), channels=4)
    settings = {"window_hops": 8, "warmup_steps": 2, "discriminator": judges, "balanced": True}
    module = AudioCodecTraining(TINY, **settings, **more)
    trainer = Trainer(
        max_steps=8,
        accelerator="cpu",
        default_root_dir=folder,
        logger=CSVLogger(folder, name="", version=""),
        callbacks=[CheckpointAt(4), *callbacks],
        log_every_n_steps=2,
        gradient_clip_val=1.0,
        val_check_interval=4,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    sizes = {"height": 16, "width": 16, "num_frames": 5, "batch_size": 2, "clips": 6, "validation_clips": 3}
    trainer.fit(module, ClipDataModule(**sizes, sample_rate=sample_rate), ckpt_path=resume, weights_only=True)
    return module


def weights(module: AudioCodecTraining) -> dict[str, torch.Tensor]:
    """What is learnt: parameters, codebooks and the balancer's averages."""
    averages = {"balancer": module.balancer.sums} if module.balancer else {}
    return dict(module.named_parameters()) | module.quantizer.state_dict() | averages


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, AudioCodecTraining]:
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(folder)


def test_a_run_logs_losses_quality_and_use_of_codes(trained):
    folder, _ = trained
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}
    for name in ("loss", "waveform", "squared", "mel", "commitment", "generator", "feature", "discriminator"):
        assert len(values[f"train/{name}"]) == 4
    for name in ("mel", "si_sdr_db", "log_spectral_distance_db", "code_use_0", "code_use_1"):
        assert len(values[f"val/{name}"]) == 2
    assert 0 < values["val/code_use_0"][-1] <= 1


def test_an_exported_codec_gives_the_codes_and_sound_of_the_trained_one(trained, tmp_path):
    _, module = trained
    module.export(tmp_path)
    loaded = AudioTokenizer.from_pretrained(tmp_path / "audio_tokenizer")
    waveform = 0.3 * torch.randn(4, 1, 50 * 320, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoded, codes, _ = module.eval()(waveform)
    assert len(codes.unique()) > 1
    # Of two entries that are as near, or equal, either may be the code.
    is_tied = torch.zeros(codes.shape[0], codes.shape[2], dtype=torch.bool)
    residual = module.tokenizer.latents(waveform).detach()
    for entries, ours, theirs in zip(
        module.quantizer.codebooks, loaded.encode(waveform).unbind(1), codes.unbind(1), strict=True
    ):
        distances = torch.cdist(residual, entries, compute_mode="donot_use_mm_for_euclid_dist")
        nearest, second = distances.topk(2, largest=False).values.unbind(-1)
        is_tied |= second - nearest < 1e-5 * nearest
        assert torch.equal(ours[~is_tied], theirs[~is_tied])
        residual = residual - entries[theirs]
    assert is_tied.float().mean() < 0.1
    torch.testing.assert_close(loaded.decode(codes), decoded)


def test_a_stopped_run_goes_on_to_the_same_weights(trained, tmp_path):
    folder, whole = trained
    resumed = fit(tmp_path, resume=folder / "middle.ckpt")
    again = weights(resumed)
    for name, weight in weights(whole).items():
        assert torch.equal(again[name], weight), name


class Spoilt(Callback):
    """Makes the sound of some steps infinite, and keeps what was learnt before and after each of them."""

    def __init__(self, *steps: int):
        self.steps = steps
        self.states: dict[int, list[dict[str, torch.Tensor]]] = {}

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step in self.steps:
            batch["waveform"][0, 0] = math.inf
            self.keep(trainer.global_step, module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step - 1 in self.steps:
            self.keep(trainer.global_step - 1, module)

    def keep(self, step: int, module: AudioCodecTraining) -> None:
        state = {name: value.detach().clone() for name, value in weights(module).items()}
        self.states.setdefault(step, []).append(state)


def test_a_non_finite_step_leaves_no_trace_in_weights_codebooks_and_averages(tmp_path):
    """Nor in codebooks that it would have filled first."""
    spoilt = Spoilt(0, 5)
    with pytest.warns(UserWarning, match="step 5 is skipped"):
        module = fit(tmp_path, callbacks=(spoilt,))
    for before, after in spoilt.states.values():
        for name, value in before.items():
            assert torch.equal(after[name], value), name
    assert module.skipped_steps.skipped == 2
    assert all(value.isfinite().all() for value in weights(module).values())


def test_too_many_non_finite_steps_in_a_row_end_the_training(tmp_path):
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="3 steps in a row"):
        fit(tmp_path, callbacks=(Spoilt(*range(2, 8)),), max_skipped_steps=3)


def started(hops: int = 100) -> tuple[AudioCodecTraining, torch.Tensor]:
    """A fresh codec after its first step, which fills the codebooks, and its latents there."""
    torch.manual_seed(0)
    module = AudioCodecTraining(TINY)
    sound = torch.randn(1, 1, hops * 320)
    module(sound)
    return module, module.tokenizer.latents(sound).detach()


def test_codebooks_start_as_the_means_of_what_they_are_to_code():
    """Of the first level's sixteen entries none is idle, and they explain more than chance does."""
    module, latents = started()
    codebook = module.quantizer.codebooks[0]
    distances = torch.cdist(latents[0], codebook)
    assert distances.argmin(1).bincount(minlength=16).min() > 0
    drawn = torch.cdist(latents[0], latents[0, torch.randperm(100)[:16]])
    assert distances.amin(1).square().mean() < drawn.amin(1).square().mean()


def test_an_entry_that_no_sound_uses_is_put_where_sounds_are():
    module, latents = started()
    codebook = module.quantizer.layers[0]._codebook
    with torch.no_grad():
        for entries in (codebook.embed, codebook.embed_avg):
            entries[:, 3] = 1e3  # far from every latent
        codebook.cluster_size[:, 3] = 0.09 * 100 / 16  # of the mean uses
    module(torch.randn(1, 1, 100 * 320, generator=torch.Generator().manual_seed(0)))
    assert codebook.embed[0, 3].norm() <= 2 * latents.norm(dim=-1).max()


def test_entries_used_in_every_fourth_step_are_kept():
    """Four sounds of four latents each take turns, and sixteen entries come to code them all."""
    torch.manual_seed(0)
    module = AudioCodecTraining(TINY)
    sounds = torch.randn(4, 1, 4 * 320)
    with torch.no_grad():
        for step in range(240):
            module(sounds[step % 4, None])
    latents = module.tokenizer.latents(sounds).detach().flatten(0, 1)
    distances = torch.cdist(latents, module.quantizer.codebooks[0])
    assert distances.amin(1).square().mean() < 0.05 * latents.var(0).sum()


def test_later_levels_are_left_out_at_random_in_training_only():
    module, _ = started()
    sound = torch.randn(1, 1, 10 * 320)
    left_out = [bool((module(sound)[1][:, 1] == -1).all()) for _ in range(32)]
    assert 0 < sum(left_out) < 32
    assert all((module(sound)[1][:, 0] >= 0).all() for _ in range(8))
    module.eval()
    assert all((module(sound)[1] >= 0).all() for _ in range(8))


def test_codebooks_follow_the_sounds_of_all_processes(in_two_processes):
    module, _ = started()
    state = {name: value.clone() for name, value in module.quantizer.state_dict().items()}
    for name in state:
        if name.endswith("cluster_size"):
            state[name] += 1000  # so that none of them is moved for lack of use
    sounds = torch.randn(2, 1, 50 * 320, generator=torch.Generator().manual_seed(1))

    def moved(sound: torch.Tensor) -> dict[str, torch.Tensor]:
        module.setup("fit")
        module.quantizer.load_state_dict(state)
        torch.manual_seed(3)  # of the levels that are left out
        module(sound)
        return module.quantizer.state_dict()

    both = moved(sounds)
    first, second = in_two_processes(lambda rank: moved(sounds[rank : rank + 1]))
    for name, value in both.items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5, msg=name)
        assert torch.equal(first[name], second[name]), name
    assert any(not torch.equal(value, both[name]) for name, value in state.items())


def test_clips_without_sound_are_refused(tmp_path):
    with pytest.raises(ValueError, match="clips with sound"):
        fit(tmp_path, sample_rate=None)


def test_a_tiny_codec_learns_two_tones():
    torch.manual_seed(0)
    module = AudioCodecTraining(TINY, window_hops=16)
    module.log = module.log_dict = lambda *arguments, **settings: None
    real = tones(220, 440, seconds=1.0)
    optimizer = torch.optim.AdamW(module.parameters(), 5e-3, betas=(0.8, 0.99))

    def error() -> float:
        with torch.no_grad():
            decoded, _, _ = module.eval()(real)
        module.train()
        return ((decoded - real).square().mean() / real.square().mean()).item()

    assert error() > 0.9
    for _ in range(150):
        optimizer.zero_grad()
        module.training_step({"waveform": real.repeat(2, 1, 1)}, 0).backward()
        optimizer.step()
    assert error() < 0.3


def test_windows_are_parts_of_the_sound_from_anywhere():
    waveform = torch.arange(1000.0).expand(64, 1, -1)
    windows = random_windows(waveform, 100, torch.Generator())
    assert windows.shape == (64, 1, 100)
    assert torch.equal(windows, windows[..., :1] + torch.arange(100.0))
    assert len(windows[:, 0, 0].unique()) > 32


def test_sound_shorter_than_a_window_is_filled_with_silence():
    (window,) = random_windows(torch.ones(1, 1, 30), 100, torch.Generator())
    assert torch.equal(window[0], torch.cat([torch.ones(30), torch.zeros(70)]))


def test_a_full_scale_sine_has_magnitude_one():
    sound = tones(1000.0) / 0.3
    peak = magnitudes(sound, 512)[0, :, 10].max()
    torch.testing.assert_close(peak, torch.tensor(1.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("window", "mels"), [(128, 16), (512, 64), (2048, 64)])
def test_mel_filters_are_means_around_frequencies_even_on_the_mel_scale(window, mels):
    filters = mel_filterbank(window, mels, RATE)
    torch.testing.assert_close(filters.sum(1), torch.ones(mels))
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    centres = [700 * (10 ** (top * place / (mels + 1) / 2595) - 1) for place in range(1, mels + 1)]
    loudest = filters.argmax(1) * RATE / window
    assert (loudest - torch.tensor(centres)).abs().max() <= RATE / window


def test_the_spectral_loss_is_nothing_for_equal_sounds_and_grows_with_the_distance_of_pitch():
    loss = MultiScaleMelLoss(RATE)
    real, near, far = (tones(pitch) for pitch in (220, 262, 880))
    assert loss(real, real) == 0
    assert 0 < loss(near, real) < loss(far, real)


def test_the_spectral_loss_has_finite_gradients_at_silence():
    silence = torch.zeros(1, 1, 10240, requires_grad=True)
    MultiScaleMelLoss(RATE)(silence, tones(220)).backward()
    assert silence.grad is not None and silence.grad.isfinite().all()


def test_halving_a_loud_sound_is_a_distance_of_six_decibel():
    sound = torch.randn(2, 1, 16_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        log_spectral_distance(sound / 2, sound), torch.full((2,), 6.02), atol=0.3, rtol=0
    )


def test_a_fresh_codec_lets_a_sound_through_at_every_layer() -> None:
    torch.manual_seed(0)
    codec = AudioTokenizer.of_config(TINY)
    spreads = []
    hooks = [
        module.register_forward_hook(lambda module, _, output: spreads.append(float(output.std())))
        for module in codec.modules()
        if isinstance(module, (torch.nn.Conv1d, torch.nn.ConvTranspose1d))
    ]
    codec.synthesize(codec.latents(0.2 * torch.randn(4, 1, 32 * TINY.hop_length)))
    assert len(hooks) == len(spreads) == 10
    assert all(0.7 < spread < 1.4 for spread in spreads[:-1]) and 0.1 < spreads[-1] < 0.4


def test_spliced_windows_are_made_of_parts_of_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    windows = torch.arange(1.0, 9.0)[:, None, None].expand(8, 1, 32 * 320)
    assert torch.equal(spliced(windows, 0.0, 320, generator), windows)
    rows = spliced(windows, 1.0, 320, generator)
    assert set(rows.unique().tolist()) <= set(range(9)) and len(rows.unique()) > 4
    for row in rows[:, 0]:
        lengths = torch.unique_consecutive(row, return_counts=True)[1]
        assert len(lengths) > 1 and lengths[:-1].min() >= 2 * 320


def test_until_codebooks_begin_the_decoder_hears_the_latents() -> None:
    module = AudioCodecTraining(TINY, codebooks_from=1)
    sound = tones(440.0, 880.0)
    decoded, codes, commitment = module(sound)
    assert torch.equal(decoded, module.tokenizer.synthesize(module.tokenizer.latents(sound)))
    assert (codes == -1).all() and codes.shape == (2, TINY.num_levels, 32) and commitment == 0
    module.codebooks_from = 0
    assert (module(sound)[1] >= -1).all() and (module(sound)[1][:, 0] >= 0).all()


def test_codebooks_that_would_never_begin_are_refused(tmp_path) -> None:
    module = AudioCodecTraining(TINY, window_hops=8, codebooks_from=2)
    trainer = Trainer(max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False)
    sizes = {"height": 16, "width": 16, "num_frames": 5, "batch_size": 2, "clips": 6, "validation_clips": 3}
    with pytest.raises(ValueError, match="codebooks_from is 2, but there are only 2 steps"):
        trainer.fit(module, ClipDataModule(**sizes, sample_rate=RATE))


def test_muon_takes_the_directions_of_the_convolutions() -> None:
    module = AudioCodecTraining(TINY, muon_learning_rate=0.05)
    module._trainer = Trainer(max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False)
    groups = module.configure_optimizers()["optimizer"].param_groups
    sizes = [sum(each.numel() for each in group["params"]) for group in groups]
    assert [group["is_matrix"] for group in groups] == [True, False]
    assert sum(sizes) == sum(each.numel() for each in module.tokenizer.parameters())
    assert sizes[0] > sizes[1] / 4


def test_pre_emphasis_makes_high_errors_count_more() -> None:
    low, high = tones(200.0), tones(3200.0)
    losses = []
    for error in (low, high):
        module = AudioCodecTraining(TINY, window_hops=32, pre_emphasis=0.8)
        module.log = module.log_dict = lambda *_, **__: None
        module.forward = lambda sound, error=error: (sound + error, None, torch.zeros(()))
        module.weights = {"squared": 1.0}
        losses.append(module.training_step({"waveform": torch.zeros(1, 1, 32 * 320)}, 0).item())
    assert losses[1] > 10 * losses[0] > 0
