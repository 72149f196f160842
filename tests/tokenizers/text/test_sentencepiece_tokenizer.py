import pytest

from videolm.data.runtime.files import read_json, write_json
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer

CAPTIONS = ["a red square moves right", "the blue circle spins", "an orange star gets bigger"] * 4


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(CAPTIONS, 400)


def test_captions_come_back(tokenizer):
    for caption in CAPTIONS:
        assert tokenizer.decode(tokenizer.encode(caption)) == caption


def test_case_and_spaces_do_not_matter(tokenizer):
    assert tokenizer.encode("A Red  SQUARE ") == tokenizer.encode("a red square")


def test_characters_never_seen_are_encoded_and_come_back(tokenizer):
    assert tokenizer.decode(tokenizer.encode("señor 猫 🎬")) == "señor 猫 🎬"


def test_ids_are_inside_the_vocabulary_and_words_are_shorter_than_letters(tokenizer):
    ids = tokenizer.encode("a red square 猫")
    assert all(0 <= index < tokenizer.vocab_size <= 400 for index in ids)
    assert len(tokenizer.encode("square")) < len("square")


def test_nothing_is_encoded_as_nothing(tokenizer):
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_long_captions_are_learnt_from():
    words = " ".join(["zebra"] * 2000)
    assert len(TextTokenizer.train([words], 300).encode("zebra")) < len("zebra")


def test_one_short_caption_is_enough():
    tokenizer = TextTokenizer.train(["a"], 8000)
    assert tokenizer.vocab_size < 8000
    assert tokenizer.decode(tokenizer.encode("another one")) == "another one"


def test_training_twice_gives_the_same_pieces_and_other_captions_others(tokenizer):
    assert TextTokenizer.train(CAPTIONS, 400).fingerprint == tokenizer.fingerprint
    assert TextTokenizer.train(CAPTIONS[:1], 400).fingerprint != tokenizer.fingerprint


def test_a_saved_tokenizer_is_loaded_equal(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "text")
    loaded = TextTokenizer.from_pretrained(tmp_path / "text")
    assert sorted(path.name for path in (tmp_path / "text").iterdir()) == [
        "checksums.json", "config.json", "spiece.model"
    ]  # fmt: skip
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encode("the star spins") == tokenizer.encode("the star spins")


@pytest.mark.parametrize("captions", [[], ["", "  "]])
def test_an_empty_set_of_captions_is_refused(captions):
    with pytest.raises(ValueError, match="no captions"):
        TextTokenizer.train(captions, 400)


def test_a_vocabulary_too_small_for_the_characters_is_refused():
    with pytest.raises(ValueError, match="100 pieces"):
        TextTokenizer.train(CAPTIONS, 100)


@pytest.mark.parametrize("outside", [-1, 10**6])
def test_ids_of_no_piece_are_refused(tokenizer, outside):
    with pytest.raises(ValueError, match="outside"):
        tokenizer.decode([outside])


def test_broken_folders_are_refused(tokenizer, tmp_path):
    folder = tmp_path / "text"
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        TextTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "checksums.json").unlink()
    write_json(folder / "config.json", read_json(folder / "config.json") | {"vocab_size": 7})
    with pytest.raises(ValueError, match="says 7"):
        TextTokenizer.from_pretrained(folder)
    (folder / "spiece.model").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        TextTokenizer.from_pretrained(folder)
    (folder / "spiece.model").unlink()
    with pytest.raises(FileNotFoundError, match=r"spiece\.model"):
        TextTokenizer.from_pretrained(folder)
