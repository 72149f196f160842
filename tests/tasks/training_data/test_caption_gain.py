"""Whether captions help: a clip's own caption next to another clip's."""

import torch

from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.loss import loss_of
from videolm.tasks.task import load_task
from videolm.tasks.training_data.caption_gain import caption_gains, others, task_with_text
from videolm.tasks.training_data.clip_pools import first_caption, usable
from videolm.tasks.training_data.lm_datamodule import LMDataModule
from videolm.tasks.training_data.mixture import Draw

SIZES = LMConfig(dim=16, layers=2, heads=2, kv_heads=1, hidden=32, rotary_dims=(4, 2, 2))


def data(run, **more) -> LMDataModule:
    settings = {"tasks": {"text_to_video": 1.0, "unconditional": 1.0}, "batch_size": 2} | more
    return LMDataModule(str(run / "model"), shards=str(run / "shards"), validation_share=0.4, **settings)


def model_of(clips: LMDataModule) -> PrefixLM:
    """A model that looks at everything, captions too; a new one starts with equal odds for all codes."""
    torch.manual_seed(0)
    model = PrefixLM(SIZES, clips.vocabulary).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def test_the_other_caption_is_the_next_different_one():
    assert others(["a", "a", "b", None]) == ["b", "b", "a", "a"]
    assert others(["a", "a", None]) == [None, None, "a"]
    assert others([]) == []


def test_the_task_that_needs_a_caption_most_is_measured():
    names = ("unconditional", "image_to_video", "text_to_image", "text_to_video")
    named = [load_task(name) for name in names]
    task = task_with_text(named)
    assert task is not None and task.name == "text_to_video"
    assert task_with_text([load_task("unconditional")]) is None


def test_the_gain_of_each_clip_is_what_the_wrong_caption_costs(coded_run):
    clips = data(coded_run)
    model, task = model_of(clips), load_task("text_to_video")
    gains = caption_gains(model, clips)
    pool = usable(clips.validation_set, clips.validation, task).tolist()
    captions = [first_caption(clips.validation_set, index) for index in pool]
    assert gains is not None and len(gains) == len(pool) > 2

    def nats(index: int, caption: str | None) -> float:
        example = clips.maker.example(Draw(task), clips.validation_set[index], caption)
        with torch.no_grad():
            return float(loss_of(model, Batch.collate([example])).mean)

    expected = [
        nats(index, other) - nats(index, own)
        for index, own, other in zip(pool, captions, others(captions), strict=True)
    ]
    torch.testing.assert_close(gains, torch.tensor(expected), atol=1e-5, rtol=0)
    assert gains.abs().max() > 1e-3


def test_the_gain_of_a_model_that_pays_no_attention_to_captions_is_zero(coded_run):
    clips = data(coded_run)
    gains = caption_gains(PrefixLM(SIZES, clips.vocabulary).eval(), clips)
    assert gains is not None and not gains.any()


def test_nothing_is_measured_without_texts_or_with_one_caption_for_all(coded_run, monkeypatch):
    silent = data(coded_run, tasks={"unconditional": 1.0})
    assert caption_gains(model_of(silent), silent) is None
    clips = data(coded_run)
    monkeypatch.setattr(
        "videolm.tasks.training_data.caption_gain.first_caption", lambda clips, index: "a clip"
    )
    assert caption_gains(model_of(clips), clips) is None
