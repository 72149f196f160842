"""Training on episodes: the vocabulary, what is stored of actions, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning import Trainer

from videolm.data.codes.shards import CodedClip, ShardWriter
from videolm.data.environments.action_space import ActionDimension, ActionSpace
from videolm.lm.model.transformer import LMConfig
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.fitting_vocabulary import check_same_actions
from videolm.tasks.training_data.lm_datamodule import LMDataModule
from videolm.tasks.training_data.round_trip import round_trip
from videolm.tasks.training_data.sample_callback import write_samples
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

SPACE = ActionSpace(
    (ActionDimension("move", choices=3), ActionDimension("turn", low=-1, high=1, bins=5)), rate=8.0
)
ONE_FRAME_A_LATENT = VideoTokenizerConfig(
    bits=4, channels=4, multipliers=(1,), patch=8, spatial_strides=(), temporal_strides=(), temporal_kernel=1
)


def world_run(folder: Path, with_actions: bool = True) -> Path:
    torch.manual_seed(0)
    VideoTokenizer(ONE_FRAME_A_LATENT).save_pretrained(folder / "model" / "video_tokenizer")
    clips = ClipEncoder.from_pretrained(folder / "model", height=16, width=16, num_frames=6, fps=8.0).clips
    if with_actions:
        clips = replace(clips, actions=SPACE.to_json())
    writer = ShardWriter(folder / "shards", clips, {"source": "random"})
    coded = []
    for number in range(40):
        latents = 3 + number % 9 if with_actions else 6
        shapes = clips.episode_shapes(latents)
        codes = {name: torch.randint(3, shape) for name, shape in shapes.items()}
        coded.append(CodedClip(codes, source=f"e{number}", path=f"e{number}.mkv"))
    writer.write(0, coded)
    writer.finish()
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return world_run(tmp_path_factory.mktemp("world"))


def data_of(run: Path, **more) -> LMDataModule:
    settings = {"tasks": {"world": 2.0, "frame_prediction": 1.0}, "batch_size": 4, "validation_share": 0.2}
    return LMDataModule(str(run / "model"), shards=str(run / "shards"), **settings | more)


@pytest.mark.parametrize("batching", ["grouped", pytest.param("packed", marks=pytest.mark.long)])
def test_a_model_is_trained_on_episodes_and_stores_what_their_actions_mean(run, tmp_path, batching):
    data = data_of(run, batching=batching, row_tokens=128)
    assert [block.name for block in data.vocabulary.blocks] == [
        "special", "visual", "action_0", "action_1", "outcome",
    ]  # fmt: skip
    config = LMConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=32, rotary_dims=(4, 2, 2))
    module = LanguageModelTraining(config, data.vocabulary, warmup_steps=1)
    trainer = Trainer(
        default_root_dir=tmp_path, max_steps=6, logger=False, enable_progress_bar=False, accelerator="cpu",
        enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, data)
    (measured,) = trainer.validate(module, data, verbose=False)
    assert {"validation/nats/visual", "validation/nats/outcome", "validation/task/world"} <= measured.keys()
    assert "validation/nats/action_0" not in measured
    data.export(tmp_path / "model")
    stored = ModelConfig.load(tmp_path / "model")
    assert stored.clips.action_space == SPACE and stored.tasks == ("world", "frame_prediction")
    assert Vocabulary.load(tmp_path / "model" / "vocabulary.json").block("action_1").size == 5
    write_samples(module.trained, data, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").is_file()
    assert len(round_trip(data)) > 0


def test_clips_without_actions_are_refused_by_name_and_serve_all_other_tasks(tmp_path):
    run = world_run(tmp_path, with_actions=False)
    with pytest.raises(ValueError, match=r"no clip has what task world needs: actions codes \(videolm rec"):
        data_of(run)
    data = data_of(run, tasks={"frame_prediction": 1.0})
    assert [block.name for block in data.vocabulary.blocks] == ["special", "visual"]


def test_fine_tuning_refuses_actions_that_mean_something_else(run, tmp_path):
    data = data_of(run)
    data.export(tmp_path / "model")
    clips = data.clips.formats[0]
    check_same_actions(clips, tmp_path / "model")
    check_same_actions(clips, None)
    other = replace(SPACE, dimensions=(ActionDimension("walk", choices=3), SPACE.dimensions[1]))
    with pytest.raises(ValueError, match=r"trained on other actions .* action_0 move of 3 .* walk of 3"):
        check_same_actions(replace(clips, actions=other.to_json()), tmp_path / "model")
