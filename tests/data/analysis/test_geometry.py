
import pytest
import torch

from videolm.data.analysis.depth import FAR, NEAR, DepthModel, FlatDepth
from videolm.data.analysis.geometry import EstimatedGeometry, Geometry, MotionScale, SceneGeometry
from videolm.data.analysis.optical_flow import DenseFlow
from videolm.data.media.clip import Clip
from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.scene_sampling import SceneDistribution

CORPUS = Corpus(height=64, width=80, num_frames=5, fps=8.0, sample_rate=None)


def test_motion_frames_give_flow_and_depth_back_within_half_a_step():
    scale = MotionScale(flow=0.25, near=1.5, far=5.0)
    for index in range(6):
        scene = CORPUS.scene(index)
        flow, depth = CORPUS.flow(scene), CORPUS.depth(scene)
        again, distance = scale.motion(scale.frames(flow, depth))
        assert (again - flow).abs().max() <= 0.5 * 0.25 * 64 / 127 + 1e-4
        assert (1 / distance - 1 / depth).abs().max() <= 0.5 / 255 * (1 / 1.5 - 1 / 5.0) + 1e-5


def test_rest_is_the_same_byte_everywhere_and_too_fast_is_the_fastest():
    scale = MotionScale(flow=0.1)
    flow = torch.zeros(1, 2, 10, 10)
    flow[0, 0, :5] = 50.0
    frames = scale.frames(flow, torch.full((1, 10, 10), 4.0))
    assert (frames[0, 5:, :, 0] == 128).all() and (frames[0, :, :, 1] == 128).all()
    assert (frames[0, :5, :, 0] == 255).all()


def test_geometry_of_the_corpus_is_exact_and_begins_at_rest():
    geometry = SceneGeometry(CORPUS, CORPUS.scene(3))
    assert isinstance(geometry, Geometry)
    assert geometry.flow(CORPUS[3])[0].abs().max() == 0
    assert torch.equal(geometry.depth(CORPUS[3]), CORPUS.depth(CORPUS.scene(3)))


def test_scales_that_make_no_sense_are_refused():
    for wrong in ({"flow": 0.0}, {"near": 4.0, "far": 4.0}, {"near": 0.0}):
        with pytest.raises(ValueError, match="expected flow > 0, 0 < near < far"):
            MotionScale(**wrong)


def test_estimated_flow_follows_the_exact_one():
    scenes = SceneDistribution(textured=1.0, camera=0.0)
    corpus = Corpus(height=64, width=80, num_frames=5, fps=8.0, sample_rate=None, scenes=scenes)
    errors = []
    for index in range(40):
        scene = corpus.scene(index)
        if scene.motion not in ("left", "right", "up", "down"):
            continue
        exact, found = corpus.flow(scene), DenseFlow()(corpus[index])
        assert found[0].abs().max() == 0
        moved = exact[1:].abs().sum(1) > 0.5
        wrong, length = (field[1:].square().sum(1).sqrt()[moved] for field in (exact - found, exact))
        errors.append(wrong.mean() / length.mean())
    assert torch.stack(errors).median() < 0.2


def test_a_depth_model_of_transformers_is_stretched_to_near_and_far(tmp_path):
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
        DPTImageProcessor,
    )

    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14,
        out_features=["stage1", "stage2"], reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8], fusion_hidden_size=8,
        reassemble_factors=[1, 1], head_hidden_size=8,
    )  # fmt: skip
    DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    DPTImageProcessor(size={"height": 28, "width": 42}, ensure_multiple_of=14).save_pretrained(tmp_path)
    depth = DepthModel(tmp_path, batch_size=2)(CORPUS[0])
    assert depth.shape == (5, 64, 80)
    assert torch.isclose(depth.min(), torch.tensor(NEAR)) and torch.isclose(depth.max(), torch.tensor(FAR))


def test_folders_without_a_depth_model_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .* with a model of depth"):
        DepthModel(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no model of depth"):
        DepthModel(tmp_path)


def test_flow_and_depth_of_any_clip_by_one_estimator_each():
    clip = Clip(CORPUS[0].frames, 8.0)
    geometry = EstimatedGeometry(lambda clip: torch.zeros(clip.num_frames, 2, 64, 80), FlatDepth())
    assert geometry.flow(clip).shape == (5, 2, 64, 80)
    assert (geometry.depth(clip) == FAR).all()
