"""What a stage sees, its folder, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from videolm.super_resolution.batch import Condition
from videolm.super_resolution.transformer import StageConfig, SuperResolution, grid_coordinates


@pytest.mark.parametrize("head", ["tied", "conditional"])
def test_a_new_stage_guesses(head, make_config, make_pairs):
    torch.manual_seed(0)
    stage, batch = SuperResolution(make_config(head=head)), make_pairs()
    hidden = stage(batch.codes, batch.masked, batch.condition).flatten(0, 1)
    digits = stage.block.split(batch.codes.flatten())
    _, nats = stage.head.loss(hidden, digits, torch.ones(len(hidden)))
    torch.testing.assert_close(nats.mean(), torch.tensor(64.0).log())


def test_hidden_codes_do_not_matter_and_all_others_do(make_stage, make_pairs):
    stage, batch = make_stage(blocks=2), make_pairs()
    before = stage(batch.codes, batch.masked, batch.condition)
    other = torch.where(batch.masked, (batch.codes + 1) % 64, batch.codes)
    assert torch.equal(stage(other, batch.masked, batch.condition), before)
    shown = torch.where(batch.masked, batch.codes, (batch.codes + 1) % 64)
    assert not torch.allclose(stage(shown, batch.masked, batch.condition), before)


def test_a_code_of_low_resolution_stands_in_the_middle_of_those_it_covers():
    large = grid_coordinates((1, 4, 4)).view(4, 4, 3)
    low = grid_coordinates((1, 2, 2), scale=2).view(2, 2, 3)
    assert torch.equal(low[1, 0], large[2:, :2].mean((0, 1)))


def test_every_code_sees_every_part_of_the_condition(make_stage, make_pairs):
    """After a block: by the gradient of one position to all embeddings of low-resolution codes and words."""
    stage, batch = make_stage(), make_pairs(batch=1)
    stage.low_codes.register_forward_hook(lambda *call: kept.append(call[2]))
    assert stage.text is not None
    stage.text.register_forward_hook(lambda *call: kept.append(call[2]))
    kept: list[torch.Tensor] = []
    batch.condition.text_length[:] = 1
    hidden = stage(batch.codes, batch.masked, batch.condition)
    low, text = torch.autograd.grad(hidden[0, 5].sum(), kept)
    assert (low.abs().sum(-1) > 0).all() and (text[:, 0].abs().sum(-1) > 0).all()


def test_what_is_left_out_of_a_condition_does_not_matter(make_stage, make_pairs):
    stage, one, two = make_stage(), make_pairs(seed=0), make_pairs(seed=1)
    same = [one.codes, one.masked]
    for low, text in ((True, False), (False, True), (False, False)):
        first, second = one.condition, two.condition
        second = replace(
            second,
            low=first.low if low else second.low,
            **{"text": first.text, "text_length": first.text_length} if text else {},
        )
        states = [stage(*same, each.showing(low, text)) for each in (first, second)]
        torch.testing.assert_close(*states)
        assert not torch.allclose(states[0], stage(*same, first))


def test_padding_behind_a_text_does_not_matter(make_stage, make_pairs):
    stage, batch = make_stage(), make_pairs()
    before = stage(batch.codes, batch.masked, batch.condition)
    text = batch.condition.text
    assert text is not None
    longer = replace(batch.condition, text=torch.nn.functional.pad(text, (0, 2), value=7))
    torch.testing.assert_close(stage(batch.codes, batch.masked, longer), before)


def test_the_level_of_noise_is_heard(make_stage, make_pairs):
    stage, batch = make_stage(), make_pairs()
    noisy = replace(batch.condition, noise=torch.full((2,), 0.3))
    hidden = [stage(batch.codes, batch.masked, each) for each in (batch.condition, noisy)]
    assert not torch.allclose(*hidden)


@pytest.mark.parametrize("text", [True, False])
def test_passes_with_kept_keys_are_those_of_forward(text, make_stage, make_pairs):
    stage, batch = make_stage(text=text, blocks=2), make_pairs(text=text)
    whole = stage(batch.codes, batch.masked, batch.condition)
    kept = stage.predict(batch.codes, batch.masked, stage.see(batch.condition))
    torch.testing.assert_close(kept, whole)


@pytest.mark.parametrize("head", ["tied", "conditional"])
def test_a_folder_holds_the_whole_stage(head, make_stage, make_pairs, tmp_path):
    stage, batch = make_stage(head=head), make_pairs()
    stage.save_pretrained(tmp_path / "super_resolution" / "5x48x64")
    loaded = SuperResolution.from_model(tmp_path, "5x48x64")
    assert loaded.config == stage.config and loaded.fingerprint == stage.fingerprint
    arguments = (batch.codes, batch.masked, batch.condition)
    assert torch.equal(loaded(*arguments), stage(*arguments))


def test_a_damaged_folder_is_refused(make_stage, tmp_path):
    make_stage().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    (tmp_path / "checksums.json").unlink()
    path.write_text(path.read_text().replace('"dim": 32', '"dim": 64'))
    with pytest.raises(ValueError, match="does not fit its config"):
        SuperResolution.from_pretrained(tmp_path)
    path.write_text(path.read_text().replace('"num_frames": 5', '"num_frames": "5"'))
    with pytest.raises(ValueError, match="num_frames is '5'; expected a whole number"):
        SuperResolution.from_pretrained(tmp_path)


def test_what_a_stage_does_not_make_or_know_is_refused(make_stage, make_pairs):
    stage, batch = make_stage(), make_pairs()
    clips = stage.config.clips
    clips.check_size(5, 24, 32)
    clips.check_tokenizers("abc", "abc")
    clips.check_text(None)
    clips.check_text("words")
    with pytest.raises(ValueError, match="the clip is 5x32x32; this stage makes 5x48x64 from 5x24x32"):
        clips.check_size(5, 32, 32)
    with pytest.raises(ValueError, match=r"the low-resolution tokenizer \(xyz\) is not the one"):
        clips.check_tokenizers("xyz", "abc")
    with pytest.raises(ValueError, match=r"the text tokenizer \(other\) is not the one"):
        clips.check_text("other")
    with pytest.raises(ValueError, match="was trained without text"):
        make_stage(text=False).config.clips.check_text("words")
    with pytest.raises(ValueError, match="codes of low resolution are"):
        stage(batch.codes, batch.masked, Condition.of(batch.codes))
    with pytest.raises(ValueError, match="was trained without text"):
        make_stage(text=False)(batch.codes, batch.masked, batch.condition)
    with pytest.raises(ValueError, match="this stage reads 5 at most"):
        long = [torch.zeros(6, dtype=torch.long)] * 2
        stage(batch.codes, batch.masked, Condition.of(batch.condition.low, long))


def test_sizes_that_do_not_fit_each_other_are_refused(make_config):
    config: StageConfig = make_config()
    with pytest.raises(ValueError, match="in multiples of 2, so that it covers whole codes"):
        make_config(vertical=(1, 3, 2))
    with pytest.raises(ValueError, match="the same whole multiple"):
        replace(config.clips, low=replace(config.clips.low, grid=(2, 3, 3)))
    with pytest.raises(ValueError, match="expected the same frames"):
        replace(config.clips, low=replace(config.clips.low, fps=12.0))
    with pytest.raises(ValueError, match="a multiple of heads"):
        make_config(heads=3)
