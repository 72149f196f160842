"""The altered frames that lead a task, over all tasks that have any."""

import json
from dataclasses import replace

import pytest
import torch

from videolm.data.analysis.geometry import SceneGeometry
from videolm.data.media.clip import Clip
from videolm.data.synthetic.corpus import Corpus
from videolm.data.synthetic.scene_sampling import SceneDistribution
from videolm.tasks.conditions import PADS, Material, Painting, padded, seeded, settings_of
from videolm.tasks.masks import draw_mask
from videolm.tasks.task import all_tasks, configured, load_task

PLAIN = SceneDistribution(textured=0.0)
CORPUS = Corpus(height=32, width=48, num_frames=5, fps=8.0, sample_rate=None, scenes=PLAIN)
CONDITIONED = [pytest.param(task, id=task.name) for task in all_tasks() if task.conditions is not None]


def material(index: int = 0) -> Material:
    return Material(CORPUS[index], SceneGeometry(CORPUS, CORPUS.scene(index)))


@pytest.mark.parametrize("task", CONDITIONED)
def test_conditions_make_the_variants_that_the_task_names(task):
    made = task.conditions(material(), seeded(1))
    assert made.keys() == set(task.variants)
    for variant in made.values():
        assert variant.frames.shape == CORPUS[0].frames.shape
        assert variant.frames.dtype == torch.uint8
        again = task.conditions(material(), seeded(1))
        assert torch.equal(again[next(iter(made))].frames, variant.frames)


@pytest.mark.parametrize("task", CONDITIONED)
def test_settings_go_through_json_into_the_task_and_back(task):
    settings = {name: settings_of(task.conditions) for name in task.variants}
    assert configured([task], json.loads(json.dumps(settings)))[0] == task
    changed = {"pad": "white"} if isinstance(task.conditions, Painting) else {"flow": 0.5}
    other = configured([task], {name: changed for name in task.variants})[0]
    assert other != task and settings_of(other.conditions).items() >= changed.items()


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("kind", ["box", "centre", "moving strip"])
def test_hidden_pixels_have_no_influence_on_a_painting_condition(kind, pad):
    """COMMIT: nothing of what is hidden may reach the tokenizer."""
    clip, mask = CORPUS[0], draw_mask(kind, 5, 32, 48)
    noise = torch.randint(256, clip.frames.shape, dtype=torch.uint8, generator=seeded(0))
    other = torch.where(mask[..., None], clip.frames, noise)
    one, two = (padded(frames, mask, pad) for frames in (clip.frames, other))
    assert torch.equal(one, two)
    assert torch.equal(one[mask], clip.frames[mask])
    if pad != "edge":
        assert (one[~mask] == PADS[pad]).all()


def test_edges_go_on_outwards():
    frames = torch.randint(256, (1, 6, 6, 3), dtype=torch.uint8, generator=seeded(0))
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[0, 2:4, 1:5] = True
    made = padded(frames, mask, "edge")[0]
    assert torch.equal(made[0, 0], frames[0, 2, 1])
    assert torch.equal(made[5, 3], frames[0, 3, 3])
    assert torch.equal(made[2, 5], frames[0, 2, 4])


def test_a_mask_of_the_user_takes_the_place_of_a_drawn_one():
    conditions = load_task("inpainting").conditions
    mask = draw_mask("vertical", 5, 32, 48)
    made = conditions(replace(material(), mask=mask), seeded(5))["inpainting"]
    assert torch.equal(made.known, mask)
    with pytest.raises(ValueError, match=r"mask is \(4, 32, 48\); expected \(5, 32, 48\)"):
        conditions(replace(material(), mask=mask[:4]), None)


def test_stylization_needs_flow_and_depth():
    with pytest.raises(ValueError, match="nothing is known of the clip's flow and depth"):
        load_task("stylization").conditions(Material(Clip(CORPUS[0].frames, 8.0)), None)


def test_what_cannot_be_set_is_refused():
    with pytest.raises(ValueError, match="pad is 'pink'; expected one of black"):
        Painting("inpainting", masks=("box",), pad="pink")
