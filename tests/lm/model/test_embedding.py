import torch

from videolm.lm.model.embedding import CodeEmbedding, PlaceEmbedding, TokenEmbedding
from videolm.lm.vocabulary import Block


def test_a_code_is_the_sum_of_its_digits():
    embedding = CodeEmbedding(Block("visual", 256, (4, 8)), 5)
    low, high = embedding.digits
    torch.testing.assert_close(embedding(torch.tensor([4 * 6 + 3])), low.weight[3:4] + high.weight[6:7])


def test_every_id_has_the_embedding_of_its_own_block(vocabulary):
    torch.manual_seed(0)
    embedding = TokenEmbedding(vocabulary.blocks, 8)
    ids = torch.randperm(len(vocabulary))[:120].view(2, 60)
    starts = torch.tensor([block.start for block in vocabulary.blocks])
    block = torch.searchsorted(starts, ids, right=True) - 1
    embedded = embedding(ids, block)
    for row in range(2):
        for column in range(60):
            index = int(block[row, column])
            table = embedding.tables[vocabulary.blocks[index].name]
            expected = table(ids[row, column] - vocabulary.blocks[index].start)
            torch.testing.assert_close(embedded[row, column], expected)


def test_ids_of_one_block_can_be_embedded_directly(vocabulary):
    embedding = TokenEmbedding(vocabulary.blocks, 8)
    index = vocabulary.index("audio_1")
    ids = vocabulary.ids("audio_1", torch.tensor([[0, 3], [4, 1]]))
    torch.testing.assert_close(embedding.of_block(index, ids), embedding(ids, torch.full_like(ids, index)))


def test_tables_of_absent_blocks_have_a_gradient_of_zero(vocabulary):
    embedding = TokenEmbedding(vocabulary.blocks, 8)
    embedding(torch.tensor([[0]]), torch.tensor([[0]])).sum().backward()
    gradients = [parameter.grad for parameter in embedding.parameters()]
    assert all(gradient is not None for gradient in gradients)
    assert not embedding.tables["text"].digits[0].weight.grad.any()


def test_place_tells_the_next_position_and_no_other():
    torch.manual_seed(0)
    places = PlaceEmbedding(segments=4, waves=6, dim=8)
    segment = torch.tensor([[0, 1, 2, 3]])
    angles = torch.rand(1, 4, 6)
    has_next = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    before = places(segment, angles, has_next)
    changed_segment, changed_angles = segment.clone(), angles.clone()
    changed_segment[0, 2] = 0
    changed_angles[0, 2] += 1
    changed = (places(changed_segment, changed_angles, has_next) - before).abs().sum(-1) > 1e-6
    assert changed.tolist() == [[False, True, True, False]]


def test_the_end_of_a_sequence_knows_no_next_position():
    torch.manual_seed(0)
    places = PlaceEmbedding(segments=4, waves=6, dim=8)
    angles = torch.rand(1, 3, 6)
    padded = places(torch.tensor([[1, 2, 0]]), angles, torch.tensor([[1.0, 0.0, 0.0]]))
    alone = places(torch.tensor([[1, 2]]), angles[:, :2], torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(padded[:, :2], alone)
