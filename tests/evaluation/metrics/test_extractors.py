"""What the networks of the metrics are fed, and tiny random models of the right kind in local folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from videolm.data.media.clip import Clip
from videolm.evaluation.metrics import c3d
from videolm.evaluation.metrics.extractors import (
    CaptionSimilarity,
    ClassifierLogits,
    PixelFeatures,
    VGGishEmbeddings,
    c3d_logits,
    c3d_script_logits,
    i3d_features,
)
from videolm.evaluation.metrics.i3d import I3D
from videolm.evaluation.metrics.measures import Measure, measures
from videolm.evaluation.metrics.resizing import Resize
from videolm.evaluation.metrics.weights_folder import WeightsFolder


def noise(num_frames: int, size: int = 32, seed: int = 0, caption: str | None = None) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(256, (num_frames, size, size, 3), dtype=torch.uint8, generator=generator)
    waveform = torch.rand(2, num_frames * 2000, generator=generator) - 0.5
    return Clip(frames, 8.0, waveform, 16000, caption)


class Recorder(nn.Module):
    """Keeps what it is fed."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen = pixels
        return pixels.flatten(1)[:, :3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"abc")
    return path


def test_i3d_sees_bytes_as_numbers_of_one_range_stretched_to_224(file: Path) -> None:
    recorder = Recorder()
    extractor = i3d_features(recorder, file)
    frames = torch.zeros(9, 20, 40, 3, dtype=torch.uint8)
    frames[..., 0] = 255
    extractor([Clip(frames, 8.0)])
    assert recorder.seen.shape == (1, 3, 9, 224, 224)
    assert torch.equal(recorder.seen[0, :, 0, 5, 5], torch.tensor([1.0, -1.0, -1.0]))
    assert extractor.constants["network_resize"] == "bilinear to 224x224"
    assert extractor.constants["sha256"].startswith("ba7816bf8f01cfea")  # of "abc", FIPS 180-2


def test_c3d_sees_blue_first_less_the_mean(file: Path) -> None:
    recorder = Recorder()
    frames = torch.zeros(16, 64, 64, 3, dtype=torch.uint8)
    frames[..., 0] = 200
    mean = torch.tensor([90.0, 97.0, 101.0]).view(3, 1, 1, 1)
    c3d_logits(recorder, file, mean, "a mean")([Clip(frames, 8.0)])
    assert recorder.seen.shape == (1, 3, 16, c3d.SIZE, c3d.SIZE)
    assert recorder.seen[0, :, 0, 7, 7].tolist() == pytest.approx([-90, -97, 200 - 101], abs=1e-3)
    with pytest.raises(ValueError, match="clips have 9 frames; the network takes 16"):
        c3d_logits(recorder, file, mean, "a mean")([noise(9)])


def test_probabilities_of_a_script_become_logits(file: Path) -> None:
    answers = torch.tensor([[0.5, 0.25, 0.25]])
    logits = c3d_script_logits(lambda videos: answers, file)([noise(16)])[0]
    assert torch.allclose(logits.softmax(1), answers)


def test_features_come_back_in_order_whatever_the_sizes(file: Path) -> None:
    clips = [noise(4, 16), noise(4, 24, 1), noise(4, 24, 2), noise(4, 16, 3)]
    extractor = PixelFeatures(lambda pixels: pixels.mean((2, 3, 4)), Resize(8, 8), {})
    together = extractor(clips)
    for clip, rows in zip(clips, together, strict=True):
        assert rows.shape == (1, 3)
        assert torch.allclose(rows, extractor([clip])[0], atol=1e-6)


def test_a_sound_is_mixed_and_resampled_before_vggish_hears_it(file: Path) -> None:
    recorder = Recorder()
    clip = noise(16)
    loud = replace(clip, waveform=clip.waveform.repeat(1, 3)[:, : 3 * 16000], sample_rate=48000)
    rows = VGGishEmbeddings(recorder, file)([clip, loud])
    assert [len(each) for each in rows] == [2, 1]
    assert recorder.seen.shape == (1, 96, 64)


def test_fvd_of_a_file_of_weights_is_the_distance_of_its_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = I3D().state_dict()
    old = {name: value for name, value in state.items() if "num_batches" not in name}  # as of old PyTorch
    torch.save(old, tmp_path / "rgb_imagenet.pt")
    fvd = measures(WeightsFolder(tmp_path), 9, ["fvd"])[0]
    features = [fvd.extractor([noise(9, seed=seed)])[0] for seed in range(2)]
    assert features[0].shape == (1, 400)
    score = fvd.of(features, [[row + 1 for row in features]], seed=0)
    assert score.value == pytest.approx(400, rel=1e-4)
    assert score.constants["file"] == "rgb_imagenet.pt"
    assert "too large" in score.constants["note"]


def test_clips_of_a_length_that_a_network_does_not_see_are_refused_with_the_number(tmp_path: Path) -> None:
    for frames, name, reason in ((8, "fvd", "9 frames or more, not 8"), (17, "is", "16 frames, not 17")):
        assert reason in measures(WeightsFolder(tmp_path), frames, [name])[0].reason


def test_a_mean_of_several_repeats_has_a_spread() -> None:
    measure = Measure("fvd_random", "distance", extractor=PixelFeatures(lambda pixels: pixels, None, {}))
    rows = list(torch.randn(40, 1, 2, generator=torch.Generator().manual_seed(0)))
    shifted = [[row + shift for row in rows] for shift in (1.0, 2.0)]
    score = measure.of(rows, shifted, seed=0)
    assert score.value == pytest.approx((2 + 8) / 2, rel=1e-4)
    assert score.spread == pytest.approx(3, rel=1e-4)
    assert (score.constants["clips"], score.constants["repeats"]) == (80, 2)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random CLIP with a tokenizer of letters."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("weights") / "clip"
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    text = sizes | {"vocab_size": len(pieces), "max_position_embeddings": 16}
    end = len(pieces) - 1
    text |= {"eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end}
    vision = sizes | {"image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.5)
    model.save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessorPil(**size).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


def test_clipsim_is_the_mean_cosine_of_frames_and_text(clip_folder: Path) -> None:
    extractor = CaptionSimilarity(clip_folder)
    clip = noise(3, caption="a red square")
    similarity = extractor.similarity
    model, processor = similarity.model, similarity.processor
    ids = similarity.tokenizer(["a red square"], return_tensors="pt")["input_ids"]
    assert ids.shape[1] == 2 + len("aredsquare")
    cosines = []
    for frame in clip.frames:
        values = processor(images=[frame.numpy()], return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            outputs = model(input_ids=ids, pixel_values=values)
        one, two = outputs.image_embeds[0], outputs.text_embeds[0]
        cosines.append(float(one @ two / (one.norm() * two.norm())))
    assert len({round(cosine, 4) for cosine in cosines}) == 3
    assert float(extractor([clip])[0]) == pytest.approx(np.mean(cosines), abs=1e-5)


def test_clipsim_cuts_a_long_text_and_refuses_none(clip_folder: Path) -> None:
    extractor = CaptionSimilarity(clip_folder)
    assert extractor([noise(1, caption="word " * 50)])[0].isfinite().all()
    with pytest.raises(ValueError, match="no caption"):
        extractor([noise(1)])
    clipsim = measures(WeightsFolder(clip_folder.parent), 16, ["clipsim"])[0]
    assert not clipsim.applies_to(noise(1))
    assert clipsim.extractor.constants["network"].startswith("CLIP clip (1 layers, patches of 16)")
    assert clipsim.of([], [[]], seed=0).reason == "no clip has a caption"


def test_a_folder_without_its_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    with pytest.raises(ValueError, match=r"clip cannot be used: .*has no config.json"):
        measures(WeightsFolder(tmp_path), 16, ["clipsim"])


def test_answers_of_a_local_classifier_count_for_a_score_of_its_own_name(tmp_path: Path) -> None:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = VideoMAEConfig(image_size=32, patch_size=16, num_frames=4, num_labels=7, **sizes)
    torch.manual_seed(0)
    folder = tmp_path / "classifier"
    VideoMAEForVideoClassification(config).save_pretrained(folder)
    feeding = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(feeding))
    logits = ClassifierLogits(folder)([noise(16), noise(9, 24)])
    assert [tuple(rows.shape) for rows in logits] == [(1, 7), (1, 7)]
    score = measures(WeightsFolder(tmp_path), 16, ["is_classifier"])[0].of([], [logits], seed=0)
    assert 1 <= score.value <= 2
    assert "videomae classifier" in score.constants["network"]


def test_sounds_are_heard_by_a_local_clap(tmp_path: Path) -> None:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    audio = {
        "hidden_size": 32, "depths": [1, 1], "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16,
        "projection_dim": 8, "num_hidden_layers": 2, "window_size": 8,
    }  # fmt: skip
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    folder = tmp_path / "clap"
    ClapModel(ClapConfig(audio_config=audio, text_config=text, projection_dim=8)).save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    fad = measures(WeightsFolder(tmp_path), 16, ["fad_clap"])[0]
    rows = fad.extractor([noise(9), noise(9, seed=1)])
    assert [tuple(each.shape) for each in rows] == [(1, 8), (1, 8)]
    assert fad.extractor.constants["sample_rate"] == 48000
    long = noise(100)  # 12.5 s, of which 10 s are heard, always the same
    assert torch.equal(*(fad.extractor([long])[0] for _ in range(2)))


def test_a_mean_of_c3d_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "mean2.npz", mean=np.zeros((3, 16, 112, 112), np.float32))
    with pytest.raises(ValueError, match=r"mean2.npz has no mean of shape \(3, 16, 128, 171\)"):
        WeightsFolder(tmp_path)._c3d_mean()
    np.savez(tmp_path / "mean2.npz", mean=np.zeros((1, 3, 16, 128, 171), np.float32))
    assert WeightsFolder(tmp_path)._c3d_mean()[0].shape == (3, 16, 112, 112)


def test_weights_that_hold_a_program_are_not_read(tmp_path: Path) -> None:
    """A pickle that would run code when it is loaded."""

    class Program:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"logits.conv3d.bias": Program()}, tmp_path / "i3d.pt")
    with pytest.raises(ValueError, match=r"i3d.pt cannot be read as weights"):
        measures(WeightsFolder(tmp_path), 16, ["fvd"])
    assert not (tmp_path / "ran").exists()
    save_file({"a": torch.zeros(1)}, tmp_path / "inception.safetensors")
    with pytest.raises(ValueError, match=r"inception.safetensors lacks Conv2d_1a_3x3.bn.bias"):
        measures(WeightsFolder(tmp_path), 1, ["fid"])
