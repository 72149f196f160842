import json
from dataclasses import replace

import pytest
import torch

from videolm.lm.batch import Batch
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.loss import loss_of
from videolm.lm.vocabulary import Vocabulary


def logits_at(model, batch, k):
    """Logits of the first digit at position k, from the hidden state before it."""
    head = model.heads[model.blocks[int(batch.block[0, k])].name]
    return head.logits(model(batch)[:, k - 1])


@pytest.mark.parametrize("head", ["factorized", "full"])
def test_logits_have_gradient_to_the_prefix_and_the_past_but_never_the_future(make_model, make_batch, head):
    model, batch = make_model(head), make_batch(3)
    embedded = []

    def keep(module, inputs, output):
        output.retain_grad()
        embedded.append(output)

    model.tokens.register_forward_hook(keep)
    prefix = int(batch.prefix_length[0])
    targets = (batch.weight[0] > 0).nonzero().flatten().tolist()
    for k in (targets[0], targets[3], targets[-1]):
        logits_at(model, batch, k).square().sum().backward()
        reached = embedded[-1].grad[0].abs().sum(-1) > 0
        assert reached[:prefix].all() and reached[:k].all()
        assert not reached[k:].any()


def test_positions_of_the_prefix_see_each_other_both_ways(make_model, make_batch):
    model, batch = make_model(), make_batch(3)
    before = model(batch)
    batch.ids[0, 4] += 1
    changed = (model(batch) - before).abs().sum(-1)[0] > 1e-6
    assert changed.all()


def test_prefix_does_not_see_the_output(make_model, make_batch):
    model, batch = make_model(), make_batch(3)
    before = model(batch)
    batch.ids[0, 6] += 1
    changed = (model(batch) - before).abs().sum(-1)[0] > 1e-6
    assert not changed[:6].any() and changed[6:].all()


def test_rows_are_the_same_alone_and_beside_longer_ones(make_model, make_example):
    model = make_model()
    examples = [make_example(text, seed=text) for text in (0, 5, 2)]
    together = model(Batch.collate(examples))
    for row, example in enumerate(examples):
        alone = model(Batch.collate([example]))[0]
        torch.testing.assert_close(together[row, : len(example)], alone, atol=1e-4, rtol=1e-4)


def test_coordinates_segments_and_the_next_place_matter(make_model, make_batch):
    model = make_model()
    plain = model(make_batch(3))
    for name in ("coordinates", "segment"):
        batch = make_batch(3)
        getattr(batch, name)[0, 9] += 1
        assert ((model(batch) - plain).abs().sum(-1)[0] > 1e-6).nonzero()[0].item() == 8


def test_special_ids_have_no_head(make_model, vocabulary):
    assert list(make_model().heads) == [block.name for block in vocabulary.blocks if block.name != "special"]


def test_full_head_reads_codes_whole(make_model):
    model = make_model("full")
    assert model.heads["visual"].digits[0].weight.shape == (32, 32)
    assert model.tokens.tables["visual"].digits[0].weight.shape == (32, 32)


def test_a_config_may_split_codes_in_another_way(make_batch, vocabulary):
    config = LMConfig(
        dim=32, layers=1, heads=2, kv_heads=1, rotary_dims=(4, 2, 2), visual_factors=(2, 16)
    )
    model = PrefixLM(config, vocabulary)
    assert [table.weight.shape[0] for table in model.heads["visual"].digits] == [2, 16]
    assert [table.weight.shape[0] for table in model.tokens.tables["visual"].digits] == [2, 16]
    assert loss_of(model, make_batch(3)).mean.item() == pytest.approx(
        loss_of(PrefixLM(replace(config, visual_factors=None), vocabulary), make_batch(3)).mean.item()
    )  # both guess among 32 codes
    with pytest.raises(ValueError, match=r"visual_factors \(4, 16\) make 64 codes; expected 32"):
        PrefixLM(replace(config, visual_factors=(4, 16)), vocabulary)


def test_autocast_is_close_to_float32(make_model, make_batch):
    model, batch = make_model(scale=0.15), make_batch(3, 1)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = model(batch)
    assert narrow.dtype == torch.float32
    assert (narrow - model(batch)).abs().mean() < 0.03


def test_bfloat16_weights_run_too(make_model, make_batch):
    model, batch = make_model(scale=0.15), make_batch(3)
    wide = model(batch)
    narrow = model.to(torch.bfloat16)(batch)
    assert narrow.dtype == torch.bfloat16
    assert (narrow - wide).abs().mean() < 0.05


def test_saved_model_loads_equal(make_model, make_batch, vocabulary, tmp_path):
    model, batch = make_model(), make_batch(3)
    model.save_pretrained(tmp_path / "lm")
    loaded = PrefixLM.from_pretrained(tmp_path / "lm", vocabulary)
    assert loaded.config == model.config and loaded.fingerprint == model.fingerprint and not loaded.training
    assert torch.equal(loaded(batch), model(batch))


def test_weights_of_another_vocabulary_are_refused_in_one_line(make_model, tmp_path):
    make_model().save_pretrained(tmp_path / "lm")
    with pytest.raises(ValueError, match=r"does not fit .* heads.audio_0") as error:
        PrefixLM.from_pretrained(tmp_path / "lm", Vocabulary.of_sizes((4, 8), (7, 5), text=10))
    assert "\n" not in str(error.value)


def test_missing_parts_of_a_folder_are_named(make_model, vocabulary, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        PrefixLM.from_pretrained(tmp_path, vocabulary)
    make_model().save_pretrained(tmp_path / "lm")
    (tmp_path / "lm" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        PrefixLM.from_pretrained(tmp_path / "lm", vocabulary)


def test_a_folder_of_something_else_is_refused(make_model, vocabulary, tmp_path):
    make_model().save_pretrained(tmp_path / "lm")
    config = json.loads((tmp_path / "lm" / "config.json").read_text())
    (tmp_path / "lm" / "checksums.json").unlink()
    (tmp_path / "lm" / "config.json").write_text(json.dumps(config | {"kind": "video_tokenizer"}))
    with pytest.raises(ValueError, match="expected 'prefix_lm'"):
        PrefixLM.from_pretrained(tmp_path / "lm", vocabulary)


@pytest.mark.parametrize(
    "change",
    [
        {"heads": 3},
        {"kv_heads": 3},
        {"rotary_dims": (16, 16, 8)},
        {"rotary_dims": (7, 13, 12)},
        {"visual_factors": (4, 8), "head": "full"},
        {"rotary_wavelengths": ((0.0, 1.0), (4.0, 8.0), (4.0, 8.0))},
    ],
)
def test_sizes_that_do_not_go_together_are_refused(change):
    with pytest.raises(ValueError):
        replace(LMConfig(), **change)


def test_features_beyond_the_rotary_dims_do_not_turn(vocabulary):
    model = PrefixLM(LMConfig(dim=32, layers=1, heads=2, kv_heads=1, rotary_dims=(4, 2, 2)), vocabulary)
    cosine, sine = model.rotation(torch.full((1, 1, 3), 1.7))
    assert cosine.shape[-1] == 16
    pairs = torch.arange(16) % 8
    assert (sine[..., pairs < 4] != 0).all()
    assert (cosine[..., pairs >= 4] == 1).all() and (sine[..., pairs >= 4] == 0).all()
