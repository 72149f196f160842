import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videolm.lm.vocabulary import Block, Vocabulary, audio_block, large_numbers


def test_ranges_are_those_of_videopoet():
    vocabulary = Vocabulary.of_sizes()
    assert (vocabulary.block("visual").start, vocabulary.block("visual").stop) == (256, 262_400)
    assert (vocabulary.block(audio_block(0)).start, vocabulary.block(audio_block(3)).stop) == (
        262_400,
        266_496,
    )
    assert len(vocabulary) == 266_496


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**31))
def test_join_inverts_split(factors, seed):
    block = Block("visual", 256, tuple(factors))
    codes = torch.randint(0, block.size, (7,), generator=torch.Generator().manual_seed(seed))
    digits = block.split(codes)
    assert all(
        (digit >= 0).all() and (digit < factor).all() for digit, factor in zip(digits, factors, strict=True)
    )
    assert torch.equal(block.join(digits), codes)


def test_low_digit_of_a_code_is_its_low_bits():
    low, high = Block("visual", 256, (512, 512)).split(torch.tensor([0b000000011_000000101]))
    assert (low.item(), high.item()) == (5, 3)


def test_codes_inverts_ids_in_every_block(vocabulary):
    for block in vocabulary.blocks:
        codes = torch.arange(block.size)
        assert torch.equal(vocabulary.codes(block.name, vocabulary.ids(block.name, codes)), codes)


def test_ids_of_blocks_never_meet(vocabulary):
    ids = torch.cat([vocabulary.ids(block.name, torch.arange(block.size)) for block in vocabulary.blocks])
    assert torch.equal(ids, torch.arange(len(vocabulary)))


@pytest.mark.parametrize("code", [-1, 32])
def test_codes_out_of_range_are_refused(vocabulary, code):
    with pytest.raises(ValueError, match=r"expected \[0, 32\)"):
        vocabulary.ids("visual", torch.tensor([code]))


def test_ids_of_another_block_are_refused(vocabulary):
    with pytest.raises(ValueError, match="expected visual"):
        vocabulary.codes("visual", torch.tensor([vocabulary.special("bos")]))


def test_unknown_names_are_refused(vocabulary):
    with pytest.raises(ValueError, match="no block 'smell'"):
        vocabulary.block("smell")
    with pytest.raises(ValueError, match="no special token 'bosom'"):
        vocabulary.special("bosom")


def test_numbers_have_their_own_tokens(vocabulary):
    tokens = {vocabulary.number(value) for value in range(1, 65)}
    assert len(tokens) == 64 and not tokens & {vocabulary.special("AUDIO_VIDEO"), vocabulary.special("text")}
    with pytest.raises(ValueError, match="1 to 64"):
        vocabulary.number(65)


def test_larger_numbers_are_appended_and_older_ids_stay(vocabulary):
    """Frames of 1024x576 are 128 by 72 codes."""
    wide = vocabulary.extended({}, large_numbers((5, 128, 72, 64)))
    assert wide.continues(vocabulary) and len(wide) == len(vocabulary)
    assert [wide.number(value) for value in (72, 128)] == [
        128 + len(vocabulary.custom) + index for index in (0, 1)
    ]
    assert all(wide.number(value) == vocabulary.number(value) for value in range(1, 65))
    with pytest.raises(ValueError, match="larger number"):
        wide.number(100)


def test_given_names_follow_the_fixed_ones():
    vocabulary = Vocabulary.of_sizes(custom=("source:cartoons", "MY_TASK"))
    assert vocabulary.special("MY_TASK") == vocabulary.special("source:cartoons") + 1 == 129
    with pytest.raises(ValueError, match="already a special token"):
        Vocabulary.of_sizes(custom=("bos",))


def test_loading_returns_what_was_saved(tmp_path):
    saved = Vocabulary.of_sizes((4, 8), (6, 5), text=10, custom=("mine",))
    saved.save(tmp_path / "vocabulary.json")
    loaded = Vocabulary.load(tmp_path / "vocabulary.json")
    assert (loaded.blocks, loaded.custom) == (saved.blocks, saved.custom)


def test_files_that_are_no_vocabulary_are_refused(tmp_path):
    path = tmp_path / "vocabulary.json"
    path.write_text('{"blocks": {}}')
    with pytest.raises(ValueError, match="is not a vocabulary"):
        Vocabulary.load(path)
    gap = {"special": {"start": 0, "factors": [256]}, "visual": {"start": 300, "factors": [4]}}
    path.write_text(json.dumps({"blocks": gap, "custom": []}))
    with pytest.raises(ValueError, match="starts at 300; expected 256"):
        Vocabulary.load(path)
