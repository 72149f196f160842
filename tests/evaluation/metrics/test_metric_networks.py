"""The networks of the metrics, held against slow versions and the layout of the published weights."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from videolm.evaluation.metrics import i3d
from videolm.evaluation.metrics.c3d import C3D, with_our_names
from videolm.evaluation.metrics.i3d import I3D
from videolm.evaluation.metrics.inception_v3 import InceptionV3
from videolm.evaluation.metrics.mel_statistics import mel_statistics
from videolm.evaluation.metrics.random_network import RandomNetwork
from videolm.evaluation.metrics.resizing import Resize
from videolm.evaluation.metrics.vggish import VGGish, log_mel_examples

RANDOM_SUM = -1090.19  # computed once; with another value old scores could not be compared any more


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shapes(network: type[nn.Module]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in network().state_dict().items()}


def test_networks_have_the_layout_of_the_published_weights() -> None:
    """Names and shapes that the files people pass around have; the counts are those of the papers."""
    assert shapes(I3D).items() >= {
        "Conv3d_1a_7x7.conv3d.weight": (64, 3, 7, 7, 7),
        "Conv3d_2c_3x3.bn.running_var": (192,),
        "Mixed_3b.b1b.conv3d.weight": (128, 96, 3, 3, 3),
        "Mixed_4f.b0.conv3d.weight": (256, 528, 1, 1, 1),
        "Mixed_5c.b3b.conv3d.weight": (128, 832, 1, 1, 1),
        "logits.conv3d.weight": (400, 1024, 1, 1, 1),
        "logits.conv3d.bias": (400,),
    }.items()
    assert shapes(C3D).items() >= {"conv1a.weight": (64, 3, 3, 3, 3), "fc6.weight": (4096, 8192)}.items()
    assert shapes(VGGish).items() >= {
        "features.0.weight": (64, 1, 3, 3),
        "features.13.weight": (512, 512, 3, 3),
        "embeddings.0.weight": (4096, 12288),
        "embeddings.4.weight": (128, 4096),
    }.items()
    assert shapes(InceptionV3).items() >= {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
        "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
        "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
        "Mixed_7a.branch7x7x3_4.bn.weight": (192,),
        "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
    }.items()


@pytest.mark.parametrize(
    ("network", "parameters"),
    [(I3D, 12_697_264), (C3D, 78_409_573), (VGGish, 72_141_184), (InceptionV3, 21_785_568)],
)
def test_networks_have_as_many_parameters_as_published(network: type[nn.Module], parameters: int) -> None:
    with torch.device("meta"):
        assert sum(weight.numel() for weight in network().parameters()) == parameters


@pytest.mark.parametrize("size", [5, 8, 9, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (3, 2), (2, 2), (1, 1)])
def test_padding_makes_as_many_outputs_as_tensorflow_and_centres_them(
    size: int, kernel: int, stride: int
) -> None:
    padded = i3d._padded(torch.ones(1, 1, size, 1, 1), (kernel, 1, 1), (stride, 1, 1))
    outputs = (padded.shape[2] - kernel) // stride + 1
    assert outputs == math.ceil(size / stride)
    missing = max((outputs - 1) * stride + kernel - size, 0)
    before = missing // 2
    assert padded[0, 0, before : before + size].eq(1).all()
    assert padded.sum() == size


def test_i3d_sees_time_and_averages_it_away() -> None:
    torch.manual_seed(0)
    network = I3D(classes=5).eval()
    for weight in network.parameters():  # a fresh network's weights shrink what it sees
        if weight.ndim == 5:
            nn.init.kaiming_normal_(weight)
    pixels = noise(1, 3, 9, 224, 224)
    with torch.no_grad():
        logits = network(torch.cat([pixels, pixels.flip(2)]))
    assert logits.shape == (2, 5)
    assert not torch.allclose(logits[0], logits[1], rtol=1e-3)
    with pytest.raises(ValueError, match="at least 9 frames; got 8"):
        network(pixels[:, :, :8])


def test_weights_of_chainer_get_our_names() -> None:
    renamed = with_our_names({"conv1a/W": torch.ones(1), "fc8/b": torch.zeros(1), "mean": torch.ones(2)})
    assert set(renamed) == {"conv1a.weight", "fc8.bias", "mean"}


def test_log_mels_are_those_of_an_obvious_version() -> None:
    """Window by window in numpy, with the filters written out."""
    sound = 0.3 * noise(1, 16000)
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for time in (0, 17, 95):
        part = sound[0, time * 160 : time * 160 + 400].double().numpy() * hann
        spectrum = np.abs(np.fft.rfft(part, 512))
        mels = np.zeros(64)
        for bin in range(1, 257):
            mel = 1127 * np.log1p(bin * 16000 / 512 / 700)
            for band in range(64):
                low, centre, high = edges[band : band + 3]
                height = min((mel - low) / (centre - low), (high - mel) / (high - centre))
                mels[band] += spectrum[bin] * max(0, height)
        found = log_mel_examples(sound)[0, time].numpy()
        np.testing.assert_allclose(found, np.log(mels + 0.01), atol=1e-3)


@pytest.mark.parametrize(("samples", "examples"), [(100, 1), (15600, 1), (34000, 2), (160000, 10)])
def test_a_sound_is_heard_in_parts_of_96_windows(samples: int, examples: int) -> None:
    assert log_mel_examples(torch.zeros(1, samples)).shape == (examples, 96, 64)


def test_vggish_flattens_as_tensorflow_does() -> None:
    """Channels last: places follow each other, and each has its channels side by side."""
    with torch.device("meta"):
        network = VGGish()
    network.features = nn.AvgPool2d(16)  # 96 x 64 to 6 x 4 places with one channel
    network.embeddings = nn.Sequential(nn.ConstantPad1d((0, 104), 0.0))
    examples = noise(2, 96, 64)
    expected = F.avg_pool2d(examples[:, None], 16)[:, 0].flatten(1)
    assert torch.equal(network(examples)[:, :24], expected)
    network.features = nn.Sequential(nn.AvgPool2d(16), nn.Conv2d(1, 5, 1))
    network.embeddings = nn.Sequential(nn.ConstantPad1d((0, 8), 0.0))
    features = network.features(examples[:, None])
    assert torch.equal(network(examples)[:, :5], features[:, :, 0, 0])


def test_the_random_network_is_the_same_in_every_process() -> None:
    features = RandomNetwork()(torch.linspace(-1, 1, 3 * 5 * 16 * 16).reshape(1, 3, 5, 16, 16))
    assert features.shape == (1, 448)
    assert float(features.sum()) == pytest.approx(RANDOM_SUM, rel=1e-4)


def test_mel_statistics_hear_loudness_pitch_and_change() -> None:
    time = torch.arange(16000) / 16000
    low, high = (torch.sin(2 * torch.pi * f * time)[None] for f in (300, 3000))
    assert mel_statistics(low)[:64].argmax() < mel_statistics(high)[:64].argmax()
    assert (mel_statistics(low)[:64].sum() > mel_statistics(0.01 * low)[:64].sum())
    beating = low * (torch.sin(2 * torch.pi * 8 * time) > 0)
    assert mel_statistics(beating)[128:].sum() > 3 * mel_statistics(low)[128:].sum()


def test_resizing_keeps_a_constant_and_the_corners_where_it_says() -> None:
    frames = noise(2, 3, 8, 12)
    for resize in (Resize(16, 16), Resize(4, 4, "bicubic", antialias=True), Resize(5, 7, crop=True)):
        assert torch.allclose(resize(torch.full((2, 3, 8, 12), 0.5)), torch.tensor(0.5), atol=1e-5)
        assert resize(frames).shape == (2, 3, resize.height, resize.width)
    aligned = Resize(15, 23, align_corners=True)(frames)
    assert torch.allclose(aligned[..., ::2, ::2], frames, atol=1e-5)


def test_a_centre_crop_keeps_the_shape_and_loses_the_sides() -> None:
    frames = torch.zeros(1, 8, 16, 3, dtype=torch.uint8)
    frames[:, :, :4], frames[:, :, 12:] = 255, 255
    cut = Resize(16, 16, "bicubic", crop=True).bytes(frames)
    assert cut.shape == (1, 16, 16, 3)
    assert cut[:, :, 1:-1].max() == 0
