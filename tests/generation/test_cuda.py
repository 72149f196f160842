"""What a GPU computes is what the CPU does. All of it needs a CUDA device."""

from dataclasses import replace
from typing import cast

import pytest
import torch
from lightning import Trainer
from torch.utils.data import DataLoader, Dataset

from videolm.data.media.clip import Clip
from videolm.data.runtime.device import device_of
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.lm.batch import Batch
from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.sampling import DrawSettings, Sampling
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.training.loss import loss_of
from videolm.tasks.layout import Layout
from videolm.tasks.task import load_task
from videolm.tokenizers.video.lfq import commitment, entropies
from videolm.training.muon import orthogonalized

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def exact_products():
    """Convolutions in float32 and not in TF32, which is their default on a GPU."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def pair(make_model) -> tuple[VideoLM, VideoLM]:
    """The same model on the CPU and on the GPU."""
    return make_model(0).to("cpu"), make_model(0).to("cuda")


def batch_of(model: VideoLM, name: str, rows: int, blank: bool = False) -> Batch:
    """Random codes of a task with a text of five pieces."""
    generator = torch.Generator().manual_seed(0)
    task = load_task(name)
    lengths = replace(model.config.lengths, text=5 if task.text != "none" else 0)
    layout = Layout.of(task, model.vocabulary, lengths)
    sequences = []
    for _ in range(rows):
        shapes = layout.given_shapes if blank else layout.shapes
        most = {"visual": 64, "audio": 16, "text": 300}
        parts = {
            part: torch.randint(most[part], shape, generator=generator) for part, shape in shapes.items()
        }
        sequences.append(layout.blank(parts) if blank else layout.pack(parts))
    return Batch.collate(sequences)


@pytest.mark.parametrize("name", ["text_to_video", "video_to_audio", "frame_prediction"])
def test_loss_and_gradients_are_those_of_the_cpu(pair, name):
    gradients, losses = [], []
    for model in pair:
        batch = batch_of(model, name, 3).to(model.device)
        model.lm.zero_grad()
        loss = loss_of(model.lm, batch, z_loss=1e-4).mean
        loss.backward()
        losses.append(loss.item())
        gradients.append([each.grad.cpu() for each in model.lm.parameters() if each.grad is not None])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for on_cpu, on_gpu in zip(*gradients, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=5e-3, atol=1e-3 * float(on_cpu.abs().max() + 1e-6))


def test_penalties_of_lookup_free_latents_are_those_of_the_cpu():
    latents = torch.randn(2, 3, 4, 4, 18, generator=torch.Generator().manual_seed(0))
    found = []
    for device in ("cpu", "cuda"):
        own = latents.to(device, copy=True).requires_grad_()
        values = (commitment(own), *entropies(own, 1.0))
        torch.stack(values).sum().backward()
        assert own.grad is not None
        found.append([each.detach().cpu() for each in (*values, own.grad)])
    for on_cpu, on_gpu in zip(*found, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["layers", "kernels"])
@pytest.mark.parametrize("name", ["text_to_video", "video_to_audio"])
def test_recorded_decoding_gives_the_ids_of_sequential_decoding(make_model, name, dtype):
    """In float64 by the layers as they are, in float32 by kernels; guided where there is a text."""
    model = make_model(0)
    lm = model.lm.to("cuda", dtype)
    batch = batch_of(model, name, 2, blank=True)
    guided = name == "text_to_video"
    without = batch_of(model, name, 2, blank=True) if guided else None
    scale = 2.0 if guided else 1.0
    made = [
        generate(lm, batch, settings, [torch.Generator("cuda").manual_seed(row) for row in range(2)], without)
        for decoding in ("sequential", "compiled")
        for settings in (
            DrawSettings(temperature=0.0, guidance_scale=scale, decoding=decoding),
            DrawSettings(guidance_scale=scale, decoding=decoding, repetition_penalty=0.5),
        )
    ]
    assert torch.equal(made[0], made[2]) and torch.equal(made[1], made[3])
    assert not torch.equal(made[0], made[1])


def test_codes_are_those_of_the_cpu_wherever_a_bit_is_certain(pair, clip: Clip):
    pixels = clip.frames.permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    latents, codes = [], []
    with torch.no_grad():
        for model in pair:
            own = model.video_tokenizer.latents(pixels.to(model.device))
            latents.append(own.cpu())
            codes.append(model.video_tokenizer.encode(pixels.to(model.device)).cpu())
        certain = (latents[0].abs() > 1e-3).all(-1)
        assert torch.equal(codes[0][certain], codes[1][certain]) and certain.float().mean() > 0.5
        decoded = [model.video_tokenizer.decode(codes[0].to(model.device)).cpu() for model in pair]
    torch.testing.assert_close(decoded[1], decoded[0], rtol=1e-3, atol=1e-3)


def test_a_few_steps_in_half_precision_lower_the_loss(model, tmp_path):
    torch.manual_seed(0)
    module = LanguageModelTraining(model.lm.config, model.vocabulary, warmup_steps=1, compile=False)
    batch = batch_of(model, "text_to_video", 8)
    losses = []

    def note_loss(optimizer: torch.optim.Optimizer) -> None:
        losses.append(float(module.watched_loss))

    module.on_before_zero_grad = note_loss
    trainer = Trainer(
        accelerator="gpu", devices=1, precision="bf16-mixed", max_steps=60, gradient_clip_val=1.0,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, default_root_dir=tmp_path,
    )  # fmt: skip
    batches = cast(Dataset[Batch], [batch] * 60)  # a list is one, whatever torch's annotation says
    trainer.fit(module, DataLoader(batches, batch_size=None))
    assert trainer.global_step == 60 and losses[-1] < 0.9 * losses[1]


@pytest.mark.parametrize("shape", [(48, 64), (32, 320)])
def test_orthogonalized_in_half_precision_levels_the_strengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape, device="cuda")
    strengths = torch.linalg.svdvals(orthogonalized(matrix[None], torch.bfloat16)[0])
    assert strengths.min() > 0.4 and strengths.max() < 1.4


def test_a_model_folder_is_loaded_onto_the_gpu(model_folder):
    """And generates what is seen and heard, by recorded passes in half precision too."""
    prompt = Prompt(text="a red square moves right")
    made = []
    for dtype in (None, torch.bfloat16):
        model = VideoLM.from_pretrained(model_folder, dtype=dtype)
        assert model.device.type == device_of().type == "cuda"
        sampling = Sampling(guidance_scale=2.0, decoding="compiled")
        made += model.generate_batch("text_to_video", [prompt], sampling=sampling)
    assert made[0].frames.shape == made[1].frames.shape and made[0].frames.device.type == "cpu"
