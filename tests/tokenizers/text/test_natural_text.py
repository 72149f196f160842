"""Texts as people type them reach a model in pieces that training showed; what is left out is named."""

import pytest

from videolm.data.runtime.files import read_json, write_json
from videolm.data.synthetic.caption_grammar import NUM_PHRASINGS, caption_of
from videolm.data.synthetic.corpus import Corpus
from videolm.tokenizers.text.natural_text import Reading, signs_apart
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer

CORPUS = Corpus(height=16, width=16, num_frames=9)
CAPTIONS = [caption_of(CORPUS.scene(number), number % NUM_PHRASINGS) for number in range(2000)]
PLAIN = "a blue circle moves up"


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(CAPTIONS, 512)


@pytest.fixture(scope="module")
def natural() -> TextTokenizer:
    """Of captions with punctuation, accents and typographic apostrophes."""
    captions = ["A café’s cat runs, quickly.", "The cat’s tail - long and red - moves.", "Two dogs run fast!"]
    return TextTokenizer.train(captions * 5, 400)


def test_captions_of_training_are_read_as_they_are_encoded(tokenizer):
    for caption in set(CAPTIONS):
        assert tokenizer.read(caption) == Reading(tokenizer.encode(caption))


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("A blue circle moves up.", (".",)),
        ("A BLUE CIRCLE MOVES UP!", ("!",)),
        ("“A blue circle moves up…”", ("“", ".", "”")),
        ('"a blue circle" moves up', ('"',)),
        ("a blue circle moves up, 4k, high quality, cinematic", (",", "4k", "high", "quality", "cinematic")),
        ("a blue circle moves up 🎬", ("🎬",)),
        ("👩🏽‍🚀 a blue ❤️ circle moves up", ("👩🏽‍🚀", "❤")),
        ("a blue-circle/moves_up", ("-", "/", "_")),
        ("a blue circle moves — up", ("—",)),
        ("a\u00a0blue\tcircle\r\nmoves \u200bup\ufeff", ()),
        ("ａ ｂｌｕｅ ｃｉｒｃｌｅ moves up", ()),
        ("a blüe cìrcle moves up", ()),
        ("a blue circle moves up 猫狗", ("猫狗",)),
        ("(a blue (circle)) [moves] up;", ("(", ")", "[", "]", ";")),
    ],
)
def test_forms_of_a_caption_that_training_never_showed_are_read_as_the_caption(tokenizer, text, left_out):
    reading = tokenizer.read(text)
    assert reading.ids == tokenizer.encode(PLAIN)
    assert sorted(reading.left_out) == sorted(left_out)


@pytest.mark.parametrize(
    "text",
    [
        "a zebra's tail, 8K!",
        "masterpiece; ultra-detailed 🦓🎥",
        "naïve Ünïcode ½ ™ №5",
        "\x00\x07 ﷽ \ud83d",
        "a" * 3000,
        "ทดสอบ тест 測試",
    ],
)
def test_no_text_reaches_the_model_in_pieces_that_training_never_showed(tokenizer, natural, text):
    for each in (tokenizer, natural):
        assert set(each.read(text).ids) <= each.seen


def test_a_text_of_which_nothing_is_known_is_empty_and_named(tokenizer):
    assert tokenizer.read("猫 🎬") == Reading([], ("猫", "🎬"))
    assert tokenizer.read("") == Reading([])


def test_a_word_is_read_as_the_beginning_that_training_showed(tokenizer):
    reading = tokenizer.read("the circles")
    assert reading.ids == tokenizer.encode("the circle")
    assert reading.read_as == (("circles", "circle"),)
    assert tokenizer.read("the starlight").ids == tokenizer.encode("the")  # a star is not most of it


def test_signs_stand_for_those_that_are_written_alike(natural):
    assert natural.decode(natural.read("the cat's tail — long").ids) == "the cat’s tail - long"
    assert natural.read("the cat's tail — long").left_out == ()
    assert natural.decode(natural.read("a café’s cat runs, quickly.").ids) == "a café’s cat runs, quickly."
    # Known signs at a word that is not known go with it.
    assert natural.decode(natural.read("the cat, zyzzyva, runs.").ids) == "the cat, runs."


def test_a_word_has_the_same_pieces_whatever_stands_beside_it(natural):
    cat, runs = natural.encode("cat"), natural.encode("runs")
    texts = ["(cat) runs.", "cat/runs", "cat,runs", "«cat», «runs»", "cat—runs", "*cat* #runs"]
    for text in ['"cat" runs', *texts]:
        ids = natural.encode(text)
        assert [index for index in ids if index in cat + runs] == cat + runs, text
    assert natural.encode("the cat’s") == natural.encode("THE CAT’S")
    assert signs_apart("it's 3.5 m, isn't it?") == "it's 3 . 5 m ,  isn't it ? "
    assert signs_apart("a 👩🏽‍🚀 runs") == "a 👩🏽‍🚀 runs"


def test_signs_of_words_that_are_left_out_go_with_them(natural):
    known = natural.encode("the cat runs")
    texts = ["“zyzzyva” the cat runs", "the (zyzzyva) cat runs", "the cat runs - zyzzyva"]
    for text in [*texts, "the cat runs, zyzzyva."]:
        reading = natural.read(text)
        assert reading.ids == known and "zyzzyva" in reading.left_out, text
    assert natural.decode(natural.read("the cat, zyzzyva, runs!").ids) == "the cat, runs!"


def test_folders_of_earlier_versions_read_signs_as_they_did(natural, tmp_path):
    natural.save_pretrained(tmp_path / "text")
    config = tmp_path / "text" / "config.json"
    stored = read_json(config)
    assert stored.pop("signs_apart") is True
    write_json(config, stored)
    (tmp_path / "text" / "checksums.json").unlink()
    old = TextTokenizer.from_pretrained(tmp_path / "text")
    assert old.encode("the cat’s tail.") == natural.pieces.encode("the cat’s tail.")
    assert old.fingerprint != natural.fingerprint
    assert old.having_seen(["a zebra."]).encode("cat.") == natural.pieces.encode("cat.")


def test_scripts_without_blanks_lose_only_the_signs_that_are_unknown():
    things, deeds = ("猫", "车", "球", "人", "鱼"), ("向右走", "向左走", "往上跑", "不动")
    captions = [f"一只{colour}{thing}{deed}" for colour in "红蓝黄" for thing in things for deed in deeds]
    tokenizer = TextTokenizer.train(captions, 300)
    assert tokenizer.read(captions[0]).left_out == ()
    reading = tokenizer.read("一只狗向右走。")
    assert tokenizer.decode(reading.ids) == "向右走"
    assert set(reading.ids) <= tokenizer.seen and reading.left_out == ("一只狗", "。")


def test_seen_pieces_are_stored_and_grow_with_further_training(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "text")
    loaded = TextTokenizer.from_pretrained(tmp_path / "text")
    assert loaded.seen == tokenizer.seen and loaded.fingerprint == tokenizer.fingerprint
    assert len(tokenizer.seen) < tokenizer.vocab_size - 256
    more = loaded.having_seen(["a zebra."])
    assert more.seen > loaded.seen and more.fingerprint == loaded.fingerprint
    assert more.read("a zebra.") == Reading(more.encode("a zebra."))


def test_of_an_older_folder_all_pieces_but_bytes_count_as_seen(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "text")
    config = tmp_path / "text" / "config.json"
    stored = read_json(config)
    del stored["seen"]
    write_json(config, stored)
    (tmp_path / "text" / "checksums.json").unlink()
    old = TextTokenizer.from_pretrained(tmp_path / "text")
    assert old.seen is None
    assert old.read("A blue circle moves up. 🎬").ids == old.encode(PLAIN)
    assert old.having_seen(["a zebra."]).seen is None
    write_json(config, stored | {"seen": "3 9999999"})
    with pytest.raises(ValueError, match=r"seen pieces that are none"):
        TextTokenizer.from_pretrained(tmp_path / "text")
