import json
import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from videolm.tokenizers.video.perceptual import (
    PerceptualLoss,
    perceptual_loss,
    read_lpips,
    read_resnet,
)

# As torchvision numbers the convolutions of VGG16, block by block.
VGG16 = (((0, 64), (2, 64)), ((5, 128), (7, 128)), ((10, 256), (12, 256), (14, 256)),
         ((17, 512), (19, 512), (21, 512)), ((24, 512), (26, 512), (28, 512)))  # fmt: skip


@pytest.fixture(scope="module")
def resnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5)
    network = ResNetForImageClassification(config)
    for module in network.modules():  # statistics that batches of noise would not have
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    folder = tmp_path_factory.mktemp("resnet") / "model"
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def lpips_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights, before = {}, 3
    for block, convolutions in enumerate(VGG16):
        for number, width in convolutions:
            kernel = torch.randn(width, before, 3, 3, generator=generator)
            weights[f"features.{number}.weight"] = kernel * (2 / (9 * before)) ** 0.5
            weights[f"features.{number}.bias"] = torch.randn(width, generator=generator) * 0.1
            before = width
        weights[f"lin{block}.model.1.weight"] = torch.rand(1, before, 1, 1, generator=generator)
    return weights


@pytest.fixture(scope="module")
def lpips_file(lpips_weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    save_file(lpips_weights, path)
    return path


@pytest.fixture(scope="module", params=["resnet", "lpips"])
def path(request, resnet_folder, lpips_file) -> Path:
    return resnet_folder if request.param == "resnet" else lpips_file


def clips(batch: int = 2, frames: int = 2, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def slow_lpips(weights: dict[str, torch.Tensor], image: torch.Tensor, other: torch.Tensor) -> float:
    """The definition for one pair of pictures in float64, position by position."""

    def blocks(picture: torch.Tensor) -> list[torch.Tensor]:
        shift, scale = [-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]
        features = torch.stack([(picture[c].double() - shift[c]) / scale[c] for c in range(3)])[None]
        taps = []
        for block, convolutions in enumerate(VGG16):
            if block:
                features = F.max_pool2d(features, kernel_size=2, stride=2)
            for number, _ in convolutions:
                kernel, bias = (weights[f"features.{number}.{part}"].double() for part in ("weight", "bias"))
                features = F.conv2d(features, kernel, bias, padding=1).clamp(min=0)
            taps.append(features[0])
        return taps

    total = 0.0
    for block, (ours, theirs) in enumerate(zip(blocks(image), blocks(other), strict=True)):
        channel_weights = weights[f"lin{block}.model.1.weight"].double().flatten()
        distances = []
        for row in range(ours.shape[1]):
            for column in range(ours.shape[2]):
                a, b = ours[:, row, column], theirs[:, row, column]
                difference = a / (a.dot(a).sqrt() + 1e-10) - b / (b.dot(b).sqrt() + 1e-10)
                distances.append((channel_weights * difference**2).sum().item())
        total += sum(distances) / len(distances)
    return total


def test_lpips_equals_a_slow_computation_of_its_definition(lpips_file, lpips_weights):
    real, other = clips(size=20)[..., :17], clips(size=20, seed=1)[..., :17]
    distances = read_lpips(lpips_file).distance(real, other)
    slow = [
        [slow_lpips(lpips_weights, real[clip, :, frame], other[clip, :, frame]) for frame in range(2)]
        for clip in range(2)
    ]
    torch.testing.assert_close(distances, torch.tensor(slow), rtol=1e-4, atol=1e-6)
    loss = perceptual_loss(lpips_file)(other, real)
    torch.testing.assert_close(loss, torch.tensor(slow).mean(), rtol=1e-4, atol=1e-6)


def test_lpips_takes_one_clip_as_well_as_a_batch_and_is_symmetric(lpips_file):
    lpips, real, other = read_lpips(lpips_file), clips(), clips(seed=1)
    distances = lpips.distance(real, other)
    assert distances.shape == (2, 2) and (distances > 0).all()
    torch.testing.assert_close(lpips.distance(real[1], other[1]), distances[1])
    torch.testing.assert_close(lpips.distance(other, real), distances)


def test_lpips_scores_are_float32_under_autocast(lpips_file):
    lpips, real, other = read_lpips(lpips_file), clips(1, 1), clips(1, 1, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = lpips.distance(real, other)
    assert torch.equal(under_autocast, lpips.distance(real, other))


def test_the_loss_is_float32_and_nearly_the_same_under_autocast(path):
    loss, real, other = perceptual_loss(path), clips(), clips(seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = loss(other, real)
    assert under_autocast.dtype == torch.float32
    torch.testing.assert_close(under_autocast, loss(other, real), rtol=0.1, atol=0)


def test_lpips_and_its_gradient_are_finite_where_a_network_sees_nothing(lpips_weights, tmp_path):
    blind = {name: value - 1e3 * name.endswith("28.bias") for name, value in lpips_weights.items()}
    torch.save(blind, tmp_path / "blind.pth")
    reconstruction = clips(1, 1).requires_grad_()
    loss = perceptual_loss(tmp_path / "blind.pth")(reconstruction, clips(1, 1, seed=1))
    loss.backward()
    assert loss.isfinite() and reconstruction.grad.isfinite().all() and reconstruction.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [24, 448])
def test_resnet_loss_is_the_squared_difference_of_the_logits_of_resized_normalised_frames(
    resnet_folder, size
):
    from transformers import ResNetForImageClassification

    network = ResNetForImageClassification.from_pretrained(resnet_folder).eval()

    def logits(frame: torch.Tensor) -> torch.Tensor:
        resized = F.interpolate(frame[None], (224, 224), mode="bilinear", antialias=True)
        channels = [
            ((resized[:, channel] + 1) / 2 - mean) / std
            for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)])
        ]
        return network(torch.stack(channels, dim=1)).logits[0]

    reconstruction, pixels = clips(size=size), clips(size=size, seed=1)
    with torch.no_grad():
        expected = [
            (logits(reconstruction[clip, :, frame]) - logits(pixels[clip, :, frame])).square().mean()
            for clip in range(2)
            for frame in range(2)
        ]
    loss = perceptual_loss(resnet_folder)(reconstruction, pixels)
    torch.testing.assert_close(loss, torch.stack(expected).mean(), rtol=1e-4, atol=1e-7)


def test_equal_clips_have_no_loss(path):
    assert perceptual_loss(path)(clips(), clips()).abs() < 1e-6


def test_the_gradient_reaches_the_reconstruction_only(path):
    loss = perceptual_loss(path)
    reconstruction, pixels = clips(1).requires_grad_(), clips(1, seed=1).requires_grad_()
    loss(reconstruction, pixels).backward()
    assert pixels.grad is None and (reconstruction.grad.abs().sum((1, 3, 4)) > 0).all()
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_the_loss_is_the_same_in_training_mode(path):
    loss = perceptual_loss(path)
    in_evaluation = loss.eval()(clips(), clips(seed=1))
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    assert loss.train()(clips(), clips(seed=1)) == in_evaluation
    assert all(torch.equal(value, state[name]) for name, value in loss.state_dict().items())


def test_held_in_a_tuple_the_weights_are_no_part_of_a_training_module(path):
    class Training(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = nn.Linear(2, 2)
            self.perceptual = (perceptual_loss(path),)

    training = Training()
    assert set(training.state_dict()) == {"generator.weight", "generator.bias"}
    assert len(list(training.parameters())) == 2 and training.perceptual[0](clips(), clips(seed=1)) > 0


class FirstPixel(nn.Module):
    """Tells which frames were scored: their first pixels are its distances."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.scored: list[float] = []

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        assert torch.equal(images, targets)
        self.scored += images[:, 0, 0, 0].tolist()
        return images[:, 0, 0, 0]


def numbered_clips(batch: int, frames: int) -> torch.Tensor:
    numbers = torch.arange(batch * frames).float().view(batch, 1, frames, 1, 1)
    return numbers.expand(batch, 3, frames, 2, 2)


def test_a_limit_scores_so_many_different_frames_of_each_clip_and_in_time_all():
    network = FirstPixel()
    loss, pixels = PerceptualLoss(network, frames_per_clip=2), numbered_clips(3, 5)
    torch.manual_seed(0)
    seen = set()
    for _ in range(20):
        network.scored.clear()
        loss(pixels, pixels)
        clip_of = [int(number) // 5 for number in network.scored]
        assert sorted(clip_of) == [0, 0, 1, 1, 2, 2] and len(set(network.scored)) == 6
        seen |= set(network.scored)
    assert seen == set(range(15))


@pytest.mark.parametrize("limit", [None, 5, 9])
def test_without_a_limit_that_binds_every_frame_is_scored_and_no_number_drawn(limit):
    network, pixels = FirstPixel(), numbered_clips(2, 5)
    state = torch.get_rng_state()
    assert PerceptualLoss(network, limit)(pixels, pixels) == 4.5
    assert sorted(network.scored) == list(range(10)) and torch.equal(torch.get_rng_state(), state)


def test_the_same_seed_scores_the_same_frames():
    losses = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        losses.append(PerceptualLoss(FirstPixel(), 1)(numbered_clips(4, 9), numbered_clips(4, 9), generator))
    assert losses[0] == losses[1]


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="frames_per_clip is 0"):
        PerceptualLoss(FirstPixel(), 0)


def test_lpips_refuses_frames_too_small_for_its_network(lpips_file):
    with pytest.raises(ValueError, match=r"16x15.*at least 16x16"):
        read_lpips(lpips_file).distance(clips()[..., :15], clips()[..., :15])


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_path_with_nothing_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        perceptual_loss(tmp_path / "absent")


def test_weights_saved_by_torch_and_the_classifier_of_vgg16_are_accepted(lpips_file, lpips_weights, tmp_path):
    torch.save(lpips_weights | {"classifier.0.bias": torch.zeros(4096)}, tmp_path / "lpips.pth")
    real, other = clips(1, 1), clips(1, 1, seed=1)
    expected = read_lpips(lpips_file).distance(real, other)
    assert torch.equal(read_lpips(tmp_path / "lpips.pth").distance(real, other), expected)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("features.28.bias", None, "lacks features.28.bias"),
        ("lin4.model.1.weight", None, "lacks lin4.model.1.weight"),
        ("features.5.bias", torch.zeros(64), r"features.5.bias of shape \(64,\); expected \(128,\)"),
        ("lin0.model.1.weight", -torch.ones(1, 64, 1, 1), "below zero in lin0.model.1.weight"),
    ],
)
def test_lpips_weights_that_do_not_fit_are_named_in_one_line(lpips_weights, tmp_path, name, value, message):
    weights = {key: kept for key, kept in lpips_weights.items() if key != name}
    save_file(weights | ({} if value is None else {name: value}), tmp_path / "lpips.safetensors")
    with pytest.raises(ValueError, match=message) as error:
        perceptual_loss(tmp_path / "lpips.safetensors")
    one_line(error)


def test_of_many_missing_weights_the_first_are_named(tmp_path):
    torch.save({"lin0.model.1.weight": torch.ones(1, 64, 1, 1)}, tmp_path / "lin.pth")
    with pytest.raises(ValueError, match=r"lacks features.0.bias, .* and 27 more"):
        read_lpips(tmp_path / "lin.pth")


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("payload-ran"),)


def test_a_file_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Payload()}, "lpips.pth")
    Path("lpips.safetensors").write_bytes(pickle.dumps(Payload()))
    for name in ("lpips.pth", "lpips.safetensors"):
        with pytest.raises(ValueError, match="cannot be read as weights") as error:
            read_lpips(name)
        one_line(error)
    assert not Path("payload-ran").exists()


def test_a_file_without_named_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="holds no dictionary of tensors"):
        read_lpips(tmp_path / "checkpoint.pth")


@pytest.fixture
def broken_resnet(resnet_folder, tmp_path) -> Path:
    """A copy to break."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((resnet_folder / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_without_a_resnets_files_is_refused(broken_resnet, name):
    (broken_resnet / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {name}"):
        perceptual_loss(broken_resnet)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model_type": "vit"}, "describes 'vit'; expected 'resnet'"),
        ({"hidden_sizes": "no"}, "describes no ResNet"),
        ({"num_labels": 7}, "of shape .*; expected"),
        ({"depths": [1, 2]}, "lacks resnet.encoder.stages.1.layers.1"),
    ],
)
def test_a_folder_that_makes_no_fitting_resnet_is_refused_in_one_line(broken_resnet, change, message):
    path = broken_resnet / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as error:
        read_resnet(broken_resnet)
    one_line(error)


def test_weights_that_a_config_does_not_name_are_refused(broken_resnet):
    path = broken_resnet / "model.safetensors"
    save_file(load_file(path) | {"resnet.pooler.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"does not name: resnet\.pooler\.weight"):
        read_resnet(broken_resnet)
