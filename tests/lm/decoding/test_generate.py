import pytest
import torch

from videolm.lm.batch import Batch
from videolm.lm.decoding import cache, choice
from videolm.lm.decoding import rows as rows_module
from videolm.lm.decoding.decoder import Decoder
from videolm.lm.decoding.generate import Generation, generate
from videolm.lm.decoding.sampling import DrawSettings

GREEDY = DrawSettings(temperature=0.0)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def sampled(batch):
    position = torch.arange(batch.ids.shape[1])
    output = (position >= batch.prefix_length[:, None]) & (position < batch.length[:, None])
    return output & ~batch.forced


def blanked(batch):
    """The batch with the first id of its block wherever one is to be sampled."""
    batch.ids = torch.where(sampled(batch), torch.tensor([0, 256, 288, 294, 299])[batch.block], batch.ids)
    return batch


def slow_generate(model, batch, unconditional=None, scale=1.0):
    """No cache, one row, a whole forward pass (two, when guided) for every position; temperature 0."""
    ids, all_logits = batch.ids.clone(), []
    shift = 0 if unconditional is None else int(unconditional.prefix_length - batch.prefix_length)
    for column in sampled(batch)[0].nonzero().flatten().tolist():
        block = model.blocks[int(batch.block[0, column])]
        head, known = model.heads[block.name], []
        batch.ids = ids
        hidden = model(batch)[:, column - 1]
        if unconditional is not None:
            prefix = int(unconditional.prefix_length)
            unconditional.ids[:, prefix:] = ids[:, int(batch.prefix_length) :]
            hidden_without = model(unconditional)[:, column + shift - 1]
        for _ in block.factors:
            logits = head.logits(hidden, known)
            if unconditional is not None:
                without = head.logits(hidden_without, known)
                logits = without + scale * (logits - without)
            all_logits.append(logits)
            known.append(logits.argmax(-1))
        ids[:, column] = block.start + block.join(known)
    return ids, all_logits


@pytest.fixture
def watch_logits(monkeypatch):
    """A list that fills with the (guided) logits from which `generate` draws."""
    seen = []

    def watched(logits, noise, sampling):
        seen.append(logits)
        return original(logits, noise, sampling)

    original = choice.draw
    monkeypatch.setattr(choice, "draw", watched)
    return seen


@pytest.mark.parametrize("head", ["factorized", "full"])
@pytest.mark.parametrize("given", [0, 4])
def test_cached_generation_gives_the_ids_of_full_forward_passes(make_model, make_batch, head, given):
    model = make_model(head).double()
    expected, _ = slow_generate(model, blanked(make_batch(3, given=given)))
    ids = generate(model, blanked(make_batch(3, given=given)), GREEDY, generators(0))
    assert torch.equal(ids, expected)


def test_cached_logits_are_those_of_full_forward_passes(make_model, make_batch, watch_logits):
    model = make_model()
    _, expected = slow_generate(model, blanked(make_batch(3)))
    generate(model, blanked(make_batch(3)), GREEDY, generators(0))
    for logits, exact in zip(watch_logits, expected, strict=True):
        torch.testing.assert_close(logits, exact, atol=1e-4, rtol=1e-4)


def test_a_guided_pair_is_two_separate_passes(make_model, make_batch, watch_logits):
    model = make_model().double()
    expected, logits = slow_generate(model, blanked(make_batch(3)), blanked(make_batch(0)), scale=3.0)
    guided = DrawSettings(temperature=0.0, guidance_scale=3.0)
    ids = generate(model, blanked(make_batch(3)), guided, generators(0), unconditional=make_batch(0))
    assert torch.equal(ids, expected)
    torch.testing.assert_close(torch.cat(watch_logits[:2], 1), torch.cat(logits[:2], 1))
    assert not torch.equal(ids, generate(model, blanked(make_batch(3)), GREEDY, generators(0)))


def test_guidance_scale_one_needs_no_unconditional_rows_and_ignores_them(make_model, make_batch):
    model = make_model()
    plain = generate(model, blanked(make_batch(3)), DrawSettings(), generators(0))
    assert torch.equal(plain, generate(model, make_batch(3), DrawSettings(), generators(0), make_batch(0)))
    with pytest.raises(ValueError, match="unconditional row for every row"):
        generate(model, make_batch(3), DrawSettings(guidance_scale=2.0), generators(0))


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_rows_are_the_same_alone_and_in_any_batch(make_model, make_example, scale):
    model = make_model().double()
    sampling = DrawSettings(top_p=0.95, guidance_scale=scale)
    texts = (4, 1, 7)
    examples = [make_example(text, seed=text) for text in texts]
    without = [make_example(text // 2, seed=text) for text in texts]
    together = generate(
        model,
        blanked(Batch.collate(examples)),
        sampling,
        generators(*texts),
        blanked(Batch.collate(without)),
    )
    for row, text in enumerate(texts):
        alone = generate(
            model,
            blanked(Batch.collate([examples[row]])),
            sampling,
            generators(text),
            blanked(Batch.collate([without[row]])),
        )
        assert torch.equal(together[row, : alone.shape[1]], alone[0])


def test_given_positions_stay_and_sampled_ids_lie_in_their_blocks(make_model, make_batch, vocabulary):
    model = make_model()
    batch = blanked(make_batch(3, 0, 6, given=3))
    hot = DrawSettings(temperature=5.0)
    ids = generate(model, batch, hot, generators(0, 1, 2))
    free = sampled(batch)
    assert torch.equal(ids[~free], batch.ids[~free])
    for index, block in enumerate(vocabulary.blocks):
        chosen = ids[free & (batch.block == index)]
        assert ((chosen >= block.start) & (chosen < block.stop)).all()
    assert len(ids[free].unique()) > 10


def test_rows_of_one_prompt_share_its_reading(make_model, make_example, monkeypatch):
    """Five rows of two prompts, guided: three different prompts are read, each once, with equal ids."""
    model = make_model().double()
    read = []
    original = Decoder._read_some

    def watched(decoder, prompts, stop):
        read.append(len(prompts.shown))
        return original(decoder, prompts, stop)

    monkeypatch.setattr(Decoder, "_read_some", watched)
    examples = [make_example(text, seed=text) for text in (4, 2, 4, 4, 2)]
    without = [make_example(0)] * 5
    sampling = DrawSettings(guidance_scale=2.0)

    def run(some, seeds):
        batch, bare = (Batch.collate([rows[index] for index in some]) for rows in (examples, without))
        return generate(model, blanked(batch), sampling, generators(*seeds), blanked(bare))

    together = run(range(5), range(5))
    assert sum(read) == 3
    for row in range(5):
        alone = run([row], [row])[0]
        assert torch.equal(together[row, : len(alone)], alone)


def test_long_batches_of_prompts_are_read_in_parts(make_model, make_batch, monkeypatch):
    model = make_model().double()
    whole = generate(model, blanked(make_batch(3, 3, 3)), DrawSettings(), generators(0, 1, 2))
    monkeypatch.setattr(rows_module, "POSITIONS_AT_ONCE", 1)
    monkeypatch.setattr(cache, "QUERIES_AT_ONCE", 2)
    parts = generate(model, blanked(make_batch(3, 3, 3)), DrawSettings(), generators(0, 1, 2))
    assert torch.equal(whole, parts)


def test_a_penalty_on_repetition_makes_codes_that_stand_still_rarer(make_model, make_batch):
    def repeated(penalty):
        batch = blanked(make_batch(*[3] * 16, grid=(3, 2, 2), audio=0))
        sampling = DrawSettings(repetition_penalty=penalty)
        ids = generate(make_model(), batch, sampling, generators(*range(16)))[:, 6:18].view(16, 3, 4)
        return (ids[:, 1:] == ids[:, :-1]).float().mean()

    assert repeated(50.0) == 0 < repeated(0.0) < repeated(-3.0)


def test_seeds_choose_the_ids(make_model, make_batch):
    model, batch = make_model(), blanked(make_batch(3))
    first, again, other = (generate(model, batch, DrawSettings(), generators(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_sampled_codes_follow_the_models_distribution(make_model, make_batch, make_example):
    """Many rows of one prompt: the first code's frequencies against the head's probabilities."""
    model = make_model(scale=0.15)
    rows = 2048
    batch = blanked(make_batch(3, grid=(1, 1, 1), audio=0))
    column = int(sampled(batch)[0].nonzero()[0])
    hidden = model(batch)[:, column - 1]
    head, block = model.heads["visual"], model.blocks[1]
    low = head.logits(hidden).softmax(-1)[0]
    high = torch.cat([head.logits(hidden, [torch.tensor([digit])]).softmax(-1) for digit in range(4)])
    probability = (low[:, None] * high).T.flatten()
    many = blanked(Batch.collate([make_example(3, grid=(1, 1, 1), audio=0)] * rows))
    ids = generate(model, many, DrawSettings(), generators(*range(rows)))
    found = torch.bincount(ids[:, column] - block.start, minlength=32) / rows
    common = probability * rows >= 5
    chi_square = (rows * (found - probability) ** 2 / probability)[common].sum()
    # Mean 31 and deviation below 8 for 31 degrees of freedom.
    assert chi_square < 62


def test_progress_counts_the_sampled_positions(make_model, make_batch):
    calls = []
    generate(
        make_model(), make_batch(3, given=5), GREEDY, generators(0), progress=lambda *call: calls.append(call)
    )
    assert calls == [(done, 7) for done in range(1, 8)]


def test_a_layout_without_anything_to_sample_is_returned(make_model, make_batch):
    batch = make_batch(3, given=8, audio=0)
    assert torch.equal(generate(make_model(), batch, GREEDY, generators(0)), batch.ids)


def test_rows_of_different_layouts_are_refused(make_model, make_example):
    def run(*examples):
        generate(make_model(), Batch.collate(examples), GREEDY, generators(*range(len(examples))))

    with pytest.raises(ValueError, match="same in every row"):
        run(make_example(3), make_example(3, audio=3))
    with pytest.raises(ValueError, match="expected one layout"):
        run(make_example(3), make_example(3, given=1))


def test_mistakes_are_named(make_model, make_batch):
    with pytest.raises(ValueError, match="1 generators for 2 rows"):
        generate(make_model(), make_batch(3, 3), GREEDY, generators(0))
    batch = make_batch(3)
    batch.forced[0, -1] = False
    with pytest.raises(ValueError, match="'special' must be forced"):
        generate(make_model(), batch, GREEDY, generators(0))
    batch = make_batch(3)
    batch.prefix_length[:] = 0
    with pytest.raises(ValueError, match="no prefix"):
        generate(make_model(), batch, GREEDY, generators(0))


def test_ids_of_forced_positions_may_come_while_ids_are_generated(make_model, make_batch):
    """Given before they are read, they act as if they had been there from the start; in guided rows, too."""
    model = make_model()
    batch, without = blanked(make_batch(3, 2, given=0)), blanked(make_batch(0, 0, given=0))
    block = model.blocks[1]
    place = (batch.block[0] == 1).nonzero().flatten()[4]  # the fifth visual code, forced in the middle
    shift = int(batch.prefix_length.max() - without.prefix_length.max())
    for each, column in ((batch, place), (without, place - shift)):
        for row in range(len(each)):
            own = column - (each.prefix_length.max() - each.prefix_length[row])
            each.forced[row, own] = True
    settings = DrawSettings(temperature=0.0, guidance_scale=2.0)
    late = Generation(model, batch, settings, generators(0, 1), without)
    passes = iter(late)
    next(passes)
    position = (place - batch.prefix_length.max())[None]
    late.give(position, torch.tensor([[block.start + 7], [block.start + 9]]))
    list(passes)
    for row, code in enumerate((7, 9)):
        batch.ids[row, place - (batch.prefix_length.max() - batch.prefix_length[row])] = block.start + code
        own = place - shift - (without.prefix_length.max() - without.prefix_length[row])
        without.ids[row, own] = block.start + code
    assert torch.equal(late.ids, generate(model, batch, settings, generators(0, 1), without))
    with pytest.raises(ValueError, match="was read already"):
        late.give(position, torch.tensor([[block.start], [block.start]]))


def test_only_forced_ids_can_be_given(make_model, make_batch):
    batch = blanked(make_batch(3, given=2))
    generation = Generation(make_model(), batch, GREEDY, generators(0))
    with pytest.raises(ValueError, match="only ids of forced positions"):
        generation.give(torch.tensor([5]), torch.tensor([[256]]))
