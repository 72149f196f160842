import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification

from videolm.data.loading.clip_datamodule import ClipDataModule
from videolm.data.media.pixels import pixels_from_frames
from videolm.data.synthetic.corpus import Corpus
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.discriminator import DiscriminatorConfig
from videolm.tokenizers.video.lfq import code_statistics, codes_from_latents
from videolm.tokenizers.video.lightning_module import VideoTokenizerTraining
from videolm.tokenizers.video.losses import psnr, reconstruction_losses
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

TINY = VideoTokenizerConfig(bits=8, channels=16, multipliers=(1, 1, 1))
JUDGE = DiscriminatorConfig(channels=4, multipliers=(1, 2))


class CheckpointAt(Callback):
    """Write middle.ckpt after `step` steps."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "middle.ckpt")


def fit(
    folder: Path, resume: Path | None = None, batch_size: int = 2, **settings
) -> VideoTokenizerTraining:
    """Eight steps of epochs of three, with a discriminator and a validation after four."""
    seed_everything(0)
    module = VideoTokenizerTraining(TINY, warmup_steps=2, discriminator=JUDGE)
    trainer = Trainer(
        max_steps=8,
        accelerator="cpu",
        default_root_dir=folder,
        logger=CSVLogger(folder, name="", version=""),
        callbacks=[CheckpointAt(4)],
        log_every_n_steps=2,
        gradient_clip_val=1.0,
        val_check_interval=4,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **settings,
    )
    data = ClipDataModule(
        height=32, width=32, num_frames=5, batch_size=batch_size, clips=6, validation_clips=4
    )
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, VideoTokenizerTraining]:
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(folder)


def logged(folder: Path) -> dict[str, list[float]]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


def test_a_run_logs_losses_quality_and_use_of_codes(trained):
    folder, _ = trained
    values = logged(folder)
    losses = ("loss", "squared", "absolute", "edges", "commitment", "entropy")
    sides = ("generator", "discriminator", "lecam")
    codes = ("sample_entropy", "batch_entropy", "saturated_bits")
    for name in (*losses, *sides, *codes, "psnr_db"):
        assert len(values[f"train/{name}"]) == 4
    assert len(values["val/psnr_frame_00_db"]) == len(values["val/psnr_frame_04_db"]) == 2
    # Of the eight steps the first one has a gradient penalty.
    assert len(values["train/gradient_penalty"]) == 1 and values["train/gradient_penalty"][0] > 0
    for group in ("matrices", "others", "discriminator"):
        assert len(values[f"train/learning_rate/{group}"]) == len(values[f"train/gradient_norm/{group}"]) == 4
    assert values["train/skipped_steps"] == [0.0] * 4
    frames = [values[f"val/psnr_frame_{frame:02d}_db"][-1] for frame in range(5)]
    assert sum(frames) / 5 == pytest.approx(values["val/psnr_db"][-1], abs=1e-3)
    for name in ("code_use", "perplexity", "bit_balance"):
        assert len(values[f"train/{name}"]) == 4 and len(values[f"val/{name}"]) == 2
    assert 0 < values["val/code_use"][-1] <= 1 and 0 < values["val/psnr_db"][-1] < 40


def test_a_run_pictures_originals_above_reconstructions(trained):
    folder, _ = trained
    pictures = sorted((folder / "samples").iterdir())
    assert [picture.name for picture in pictures] == ["step-000004.png", "step-000008.png"]
    with Image.open(pictures[-1]) as picture:  # the first batch of two clips of five frames
        assert picture.size == (5 * 32, 2 * 2 * 32)


def test_what_is_exported_has_the_averaged_weights(trained, tmp_path):
    _, module = trained
    module.export(tmp_path)
    loaded = VideoTokenizer.from_pretrained(tmp_path / "video_tokenizer")
    pixels = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    found, averaged = loaded.latents(pixels), module.averaged.eval().latents(pixels)
    torch.testing.assert_close(found, averaged, rtol=0, atol=1e-5)
    assert not torch.allclose(found, module.tokenizer.eval().latents(pixels), atol=1e-3)


def test_psnr_picks_the_best_model_unless_a_discriminator_is_trained_too():
    assert VideoTokenizerTraining(TINY).quality.picks
    assert not VideoTokenizerTraining(TINY, discriminator=JUDGE).quality.picks


def test_a_stopped_run_goes_on_to_the_same_weights(trained, tmp_path):
    """Of the tokenizer, of its average and of the discriminator, with LeCam's averages."""
    folder, whole = trained
    resumed = fit(tmp_path, resume=folder / "middle.ckpt").state_dict()
    for name, weight in whole.state_dict().items():
        assert torch.equal(resumed[name], weight), name
    assert whole.average.n_averaged == 8


def test_two_processes_train_to_the_weights_of_one_and_count_its_codes(trained, tmp_path):
    """Each has half of every batch. The entropy of all codes and LeCam's averages know the other half too."""
    folder, whole = trained
    shared = fit(tmp_path, batch_size=1, strategy="ddp_fork", devices=2).state_dict()
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(shared[name], weight, rtol=0, atol=3e-3, msg=name)
    one, two = logged(folder), logged(tmp_path)
    for name in ("psnr_db", "perplexity", "code_use", "bit_balance"):
        assert two[f"val/{name}"] == pytest.approx(one[f"val/{name}"], rel=1e-3), name


def test_average_of_weights_forgets_its_start_and_then_decays_slowly():
    """The first update takes the weights as they are; a constant then stays what it is."""
    module = VideoTokenizerTraining(TINY, ema_decay=0.5)
    weight, average = next(module.tokenizer.parameters()), next(module.average.parameters())
    values = []
    for value in (1.0, 1.0, 0.0, 1.0):
        torch.nn.init.constant_(weight, value)
        module.average.update_parameters(module.tokenizer)
        values.append(average.flatten()[0].item())
    shares = [1 - min(0.5, (1 + count) / (10 + count)) for count in (2, 3)]
    assert values[:2] == [1.0, 1.0]
    assert values[2] == pytest.approx(1 - shares[0])
    assert values[3] == pytest.approx(values[2] + shares[1] * (1 - values[2]))


def step(module: VideoTokenizerTraining, clips: list[torch.Tensor], **settings) -> dict[str, torch.Tensor]:
    """The gradients, after clipping, of one optimizer step on batches of clips."""
    found: dict[str, torch.Tensor] = {}
    clip = module.configure_gradient_clipping

    def clipped(*arguments, **options):
        clip(*arguments, **options)
        found.update(
            {name: each.grad.clone() for name, each in module.named_parameters() if each.grad is not None}
        )

    module.configure_gradient_clipping = clipped
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **{"max_steps": 1} | settings,
    )
    batches = [{"frames": frames, "caption": [""] * len(frames)} for frames in clips]
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    return found


def tiny_training(**settings) -> VideoTokenizerTraining:
    seed_everything(0)
    return VideoTokenizerTraining(TINY, discriminator=JUDGE, **settings)


def some_frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 5, 32, 32, 3), generator=generator, dtype=torch.uint8)


def norm_of(gradients: dict[str, torch.Tensor], part: str) -> float:
    parts = [gradient.square().sum() for name, gradient in gradients.items() if name.startswith(part)]
    return torch.stack(parts).sum().sqrt().item()


def test_gradients_are_unscaled_before_they_are_clipped():
    """In fp16 the loss is scaled by 65,536; clipped gradients are those of fp32 all the same."""
    single = step(tiny_training(), [some_frames()], gradient_clip_val=0.05)
    scaler = torch.amp.GradScaler("cpu")
    half = step(
        tiny_training(),
        [some_frames()],
        gradient_clip_val=0.05,
        plugins=[MixedPrecision("16-mixed", "cpu", scaler=scaler)],
    )
    assert scaler.get_scale() > 1000
    for part in ("tokenizer", "adversary"):
        assert norm_of(single, part) == pytest.approx(0.05, rel=1e-3)
        assert norm_of(half, part) == pytest.approx(0.05, rel=1e-3)
        apart = {name: half[name] - gradient for name, gradient in single.items()}
        assert norm_of(apart, part) < 0.005


class Spoiling(Callback):
    """Makes a number of the discriminator's gradient none in the steps of `spoilt`; keeps all weights."""

    def __init__(self, spoilt: range):
        self.spoilt, self.values = spoilt, []

    def on_after_backward(self, trainer, module):
        if trainer.global_step in self.spoilt:
            module.adversary.discriminator.trunk[0].weight.grad[0, 0, 0, 0, 0] = torch.nan

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.values.append([each.detach().clone() for each in module.parameters() if each.requires_grad])


def spoil(spoilt: range, steps: int, **settings) -> tuple[VideoTokenizerTraining, Spoiling]:
    module, spoiling = tiny_training(**settings), Spoiling(spoilt)
    step(module, [some_frames()] * steps, max_steps=steps, callbacks=[spoiling])
    return module, spoiling


def test_a_step_with_a_gradient_that_is_no_number_changes_nothing():
    with pytest.warns(UserWarning, match="step 1 is skipped: the gradients' norm is nan"):
        module, spoiling = spoil(range(1, 2), 3)
    first, second, third = spoiling.values
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(second, third, strict=True) if one.ndim > 1)
    assert all(each.isfinite().all() for each in third) and module.bad_steps.skipped == 1


def test_steps_without_numbers_end_the_training_when_there_are_too_many():
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="step 2, and 2 steps"):
        spoil(range(1, 9), 4, max_skipped_steps=2)


def test_tokenizer_and_discriminator_are_clipped_apart():
    free = step(tiny_training(), [some_frames()])
    bound = (norm_of(free, "tokenizer") + norm_of(free, "adversary")) / 2
    clipped = step(tiny_training(), [some_frames()], gradient_clip_val=bound)
    for part in ("tokenizer", "adversary"):
        assert norm_of(clipped, part) == pytest.approx(min(bound, norm_of(free, part)), rel=1e-3)


def test_accumulated_gradients_are_those_of_one_large_batch():
    """Of all losses that are means over clips; entropies of a batch and LeCam's averages are not."""
    settings = {"entropy_weight": 0.0, "lecam_weight": 0.0}
    large = step(tiny_training(**settings), [some_frames()])
    halves = list(some_frames().split(2))
    accumulated = step(tiny_training(**settings), halves, accumulate_grad_batches=2)
    for name, gradient in large.items():
        torch.testing.assert_close(accumulated[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_weights_are_averaged_once_for_each_step_of_accumulated_gradients():
    module = tiny_training()
    step(module, list(some_frames().split(1)), accumulate_grad_batches=4)
    assert module.average.n_averaged == 1


def test_every_network_is_trained(network):
    seed_everything(0)
    module = VideoTokenizerTraining(network)
    gradients = step(module, [some_frames()])
    assert gradients.keys() == {f"tokenizer.{name}" for name, _ in module.tokenizer.named_parameters()}
    assert module.average.n_averaged == 1


def test_learning_rates_of_both_networks_follow_the_schedule():
    module = tiny_training(warmup_steps=4, learning_rate=0.4, discriminator_learning_rate=0.8)
    rates = []
    module.on_train_batch_start = lambda batch, index: rates.append(
        [group["lr"] for group in module.optimizers().param_groups]
    )
    step(module, [some_frames()])
    ((convolutions, _, discriminator),) = rates
    assert (convolutions, discriminator) == (pytest.approx(0.1), pytest.approx(0.2))


def test_a_training_may_start_from_an_image_tokenizer(tmp_path):
    image = VideoTokenizer(replace(TINY, temporal_kernel=1, temporal_strides=(1, 1)))
    image.save_pretrained(tmp_path / "image")
    module = VideoTokenizerTraining(TINY, init_from=tmp_path / "image")
    frame = torch.rand(1, 3, 1, 32, 32) * 2 - 1
    for tokenizer in (module.tokenizer, module.averaged):
        torch.testing.assert_close(tokenizer.latents(frame), image.latents(frame), rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["exact", "noise"])
def test_a_lazy_penalty_follows_from_the_step_also_of_accumulated_batches(form):
    """Every third step has it three times as strong, in each of its batches, with other noise in each."""
    module = tiny_training(gradient_penalty=form, gradient_penalty_every=3, lecam_weight=0.0)
    assert module.weights["gradient_penalty"] == 30.0
    seen: list[tuple[int, int | None]] = []
    forward = module.adversary.forward

    def watched(reconstruction, pixels, generator):
        seen.append((module.global_step, None if generator is None else generator.initial_seed()))
        return forward(reconstruction, pixels, generator)

    module.adversary.forward = watched
    step(module, list(some_frames().split(1)) * 2, accumulate_grad_batches=2, max_steps=4)
    assert [place for place, seed in seen if seed is not None] == [0, 0, 3, 3]
    assert len(seen) == 8 and len({seed for _, seed in seen}) == 5


def test_a_penalty_three_times_as_strong_has_the_same_gradient_over_three_steps():
    """Of fixed weights and clips: every step, and every third."""
    frames, sums = some_frames(), []
    for every in (1, 3):
        module = tiny_training(gradient_penalty_every=every, lecam_weight=0.0)
        module.trainer = SimpleNamespace(global_step=0, global_rank=0, accumulate_grad_batches=1)
        module.log_dict = lambda *arguments, **settings: None
        pixels = pixels_from_frames(frames)
        for module.trainer.global_step in range(3):
            losses = module.adversary(pixels.flip(0), pixels, module._penalty_generator(0))
            sum(module.weights[name] * value for name, value in losses.items()).backward()
        sums.append([each.grad.clone() for each in module.adversary.discriminator.parameters()])
    for each, other in zip(*sums, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-3, atol=1e-5)


def test_a_second_stage_starts_with_the_discriminator_of_the_first(tmp_path):
    images = replace(TINY, temporal_kernel=1, temporal_strides=(1, 1))
    first = VideoTokenizerTraining(images, discriminator=JUDGE)
    first.export(tmp_path)
    folder = tmp_path / "video_tokenizer"
    assert VideoTokenizer.from_pretrained(folder).fingerprint == first.averaged.fingerprint
    second = VideoTokenizerTraining(TINY, discriminator=JUDGE, init_from=folder)
    frame = torch.rand(2, 3, 1, 32, 32) * 2 - 1
    logits = first.adversary.discriminator(frame)
    torch.testing.assert_close(second.adversary.discriminator(frame), logits)
    other = VideoTokenizerTraining(images, discriminator=JUDGE, init_from=folder)
    for name, weight in first.adversary.discriminator.state_dict().items():
        assert torch.equal(other.adversary.discriminator.state_dict()[name], weight)


def test_a_perceptual_loss_takes_part_and_stays_out_of_the_checkpoint(tmp_path):
    config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], num_labels=5)
    ResNetForImageClassification(config).save_pretrained(tmp_path)
    module = VideoTokenizerTraining(TINY, perceptual=tmp_path, perceptual_frames=1)
    module.log_dict = lambda *arguments, **settings: None
    module.training_step({"frames": some_frames()}, 0)
    assert module.means.report()["train/perceptual"] >= 0
    assert not any("perceptual" in name for name in module.state_dict())


def test_a_tiny_tokenizer_learns_four_clips_by_heart():
    """The reconstruction of four clips gains at least 6 dB in 100 steps, with more than 16 codes in use."""
    torch.manual_seed(0)
    data = ClipDataModule(height=32, width=32, num_frames=5, batch_size=4, clips=4)
    data.setup()
    (batch,) = data.train_dataloader()
    module = VideoTokenizerTraining(TINY, entropy_weight=0.1, entropy_start=1.0)
    module.log_dict = lambda *arguments, **settings: None
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    pixels = pixels_from_frames(batch["frames"])

    def quality() -> float:
        with torch.no_grad():
            return psnr(module.tokenizer(pixels)[0], pixels).mean().item()

    before = quality()
    for _ in range(100):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
    assert quality() > before + 6
    counts = codes_from_latents(module.tokenizer.latents(pixels)).flatten().bincount(minlength=256)
    assert code_statistics(counts)["perplexity"] > 16


def test_one_clip_is_learnt_by_heart_through_its_codes():
    """At 18 bits, with the default losses: in the order of its codes and in no other."""
    torch.manual_seed(0)
    clip = Corpus(height=32, width=32, num_frames=5, sample_rate=None)[0]
    pixels = pixels_from_frames(clip.frames[None])
    module = VideoTokenizerTraining(replace(TINY, bits=18, channels=24))
    module.log_dict = lambda *arguments, **settings: None
    module.trainer = SimpleNamespace(estimated_stepping_batches=160, global_step=0)
    optimization = module.configure_optimizers()
    optimizer, schedule = optimization["optimizer"], optimization["lr_scheduler"]["scheduler"]
    for _ in range(160):
        optimizer.zero_grad()
        module.training_step({"frames": clip.frames[None]}, 0).backward()
        optimizer.step()
        schedule.step()
    tokenizer = module.tokenizer.eval()
    with torch.no_grad():
        codes = tokenizer.encode(pixels)
        in_order = psnr(tokenizer.decode(codes), pixels).mean()
        shuffled = codes.flatten()[torch.randperm(codes.numel())].view_as(codes)
        assert in_order > 30
        assert psnr(tokenizer.decode(shuffled), pixels).mean() < in_order - 10


def test_entropy_weight_falls_to_its_end_value():
    module = VideoTokenizerTraining(TINY, entropy_start=3.0, entropy_steps=100)
    assert [module.entropy_scale(step) for step in (0, 50, 100, 1000)] == [3.0, 2.0, 1.0, 1.0]


def test_temperature_falls_to_its_end_value():
    module = VideoTokenizerTraining(TINY, temperature=1.0, temperature_end=0.2, entropy_steps=100)
    assert [module.temperature_at(step) for step in (0, 50, 100, 1000)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_psnr_of_a_known_error():
    pixels = torch.zeros(2, 3, 4, 8, 8)
    shifted = pixels.clone()
    shifted[1, :, 2] = 0.2  # a tenth of the range: 20 dB
    quality = psnr(shifted, pixels)
    torch.testing.assert_close(quality[1, 2], torch.tensor(20.0))
    assert quality.shape == (2, 4) and (quality[0] == 100).all()


def test_losses_of_a_known_error():
    pixels = torch.zeros(1, 3, 1, 2, 2)
    error = torch.tensor([[0.5, -0.5], [0.5, -0.5]]).expand_as(pixels)
    losses = reconstruction_losses(pixels + error, pixels)
    assert {name: value.item() for name, value in losses.items()} == {
        "squared": 0.25,
        "absolute": 0.5,
        "edges": 1.0,
    }


def test_muon_takes_the_pointwise_skips_too_but_no_modulations():
    module = VideoTokenizerTraining(replace(TINY, network="magvit2", multipliers=(1, 2, 2)))
    module._trainer = Trainer(max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False)
    groups = module.configure_optimizers()["optimizer"].param_groups
    names = {id(weight): name for name, weight in module.tokenizer.named_parameters()}
    matrices = {names[id(each)] for each in groups[0]["params"]}
    skips = {name for name in names.values() if name.endswith("skip.weight")}
    assert skips and skips <= matrices
    assert not [name for name in matrices if "scale" in name or "shift" in name or "bias" in name]
