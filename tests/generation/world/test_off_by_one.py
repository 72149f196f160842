"""A tiny model learns a world whose pictures show the last action: exactly, or something is off by one."""

import numpy as np
import pytest
import torch
from tiny_world import LevelCodec, levels_of, outcomes_of, world_episode, world_model, write_episodes

from videolm.data.codes.shards import ShardReader
from videolm.generation.world.context import Context
from videolm.generation.world.rollout import Rollout, RolloutSettings
from videolm.lm.batch import Batch
from videolm.lm.decoding.sampling import Sampling
from videolm.lm.training.loss import loss_of
from videolm.tasks.training_data.clip_pools import Pools
from videolm.tasks.training_data.coded_clips import SizedClips
from videolm.tasks.training_data.examples import ExampleMaker, TrainingExamples
from videolm.tasks.training_data.mixture import Mixture

WINDOW, STEPS = 6, 250


def trained(model, folder, steps):
    """The model after some steps on windows of long episodes."""
    sized = SizedClips([ShardReader(write_episodes(folder, model.clips, [17] * 64))])
    mixture = Mixture({"world": 1.0}, [WINDOW], seed=0)
    maker = ExampleMaker(model.vocabulary, None, [model.config.lengths], 64)
    examples = TrainingExamples(maker, mixture, sized, Pools(sized, np.arange(len(sized)), mixture))
    optimizer = torch.optim.AdamW(model.lm.parameters(), lr=5e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    model.lm.train()
    for step in range(steps):
        rows = range(step * 16, (step + 1) * 16)
        batch = Batch.collate([examples.example(mixture.draw(step), step, row) for row in rows])
        loss = loss_of(model.lm, batch).mean
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.lm.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.lm.eval()
    return model


@pytest.mark.long
@pytest.mark.parametrize("stride", [1, 2])
def test_a_picture_of_the_last_action_is_predicted_perfectly_for_many_windows(stride, tmp_path):
    model = world_model(stride, WINDOW)
    model.lm.initialise()
    trained(model, tmp_path, STEPS * stride)
    codec, latents = LevelCodec(stride), 40
    truth = world_episode(model.clips, latents, seed=1000)
    context = Context.of_episode(truth.codes, 0, 1)
    settings = RolloutSettings(keep=2, sampling=Sampling(temperature=0.0))
    rollout = Rollout(model, [context], [torch.Generator()], settings)
    actions = truth.codes["actions"]
    made = [
        rollout.advance(actions[None, :, step : step + stride])
        for step in range(0, actions.shape[1], stride)
    ]
    visual = torch.cat([context.visual, *(each.visual for each in made)])
    shown = codec.levels_of(visual[None])[0]
    assert torch.equal(shown, levels_of(actions[0]))
    assert torch.equal(torch.cat([each.outcome[0] for each in made]), outcomes_of(actions[0]))
