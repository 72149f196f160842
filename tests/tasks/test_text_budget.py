"""The pieces of a caption that a model reads, and those of its tokenizer, follow from the captions."""

import pytest

from videolm.data.synthetic.caption_grammar import NUM_PHRASINGS, caption_of
from videolm.data.synthetic.corpus import CORPORA, Corpus, corpus_scenes
from videolm.tasks.text_budget import TextBudget, vocabulary_size


def test_the_budget_is_the_98th_percentile_in_steps_of_16():
    budget = TextBudget.of_captions([100] * 985 + [300] * 15)
    assert (budget.pieces, budget.longer) == (112, 15)
    assert str(budget) == "98.5 % of 1,000 captions fit in 112 pieces of text; 15 are cut there"


@pytest.mark.parametrize(
    ("counts", "pieces"), [([], 64), ([3, 9], 64), ([65] * 9, 80), ([80] * 9, 80), ([10_000] * 9, 512)]
)
def test_the_budget_is_at_least_the_papers_and_bounded(counts, pieces):
    assert TextBudget.of_captions(counts).pieces == pieces


def test_a_budget_that_is_asked_for_is_kept_and_what_it_cuts_is_counted():
    budget = TextBudget.of_captions([5, 9, 40], 8)
    assert str(budget) == "33.3 % of 3 captions fit in 8 pieces of text; 2 are cut there"
    assert str(TextBudget.of_captions([5, 9], 9)) == "all 2 captions fit in 9 pieces of text"
    assert str(TextBudget.of_captions([1] * 9999 + [99], 64)).startswith("99.9 % of 10,000")
    with pytest.raises(ValueError, match="text_pieces is 0"):
        TextBudget.of_captions([], 0)


@pytest.mark.parametrize("source", CORPORA)
def test_the_embedded_corpus_keeps_512_pieces(source):
    corpus = Corpus(height=16, width=16, num_frames=9, scenes=corpus_scenes(source))
    captions = [caption_of(corpus.scene(number), number % NUM_PHRASINGS) for number in range(2000)]
    assert vocabulary_size(captions) == 512


@pytest.mark.parametrize(
    ("words", "size"), [(1, 512), (128, 512), (129, 1024), (400, 2048), (2000, 8192), (90_000, 8192)]
)
def test_the_vocabulary_grows_with_the_words(words, size):
    captions = [f"Word{number} word{number}" for number in range(words)]
    assert vocabulary_size(captions) == size
