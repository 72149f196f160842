"""What a step draws follows from its number, and leaves all other draws as they are."""

import random

import torch

from videolm.training.step_random import drawing_from, step_generator, step_seed


def test_another_seed_step_batch_or_rank_draws_otherwise_and_the_same_place_the_same():
    places = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 11, 0, 0)]
    draws = [torch.rand(4, generator=step_generator(*place)) for place in places]
    assert len({tuple(each.tolist()) for each in draws}) == len(places)
    again = [torch.rand(4, generator=step_generator(*place)) for place in places]
    assert all(map(torch.equal, draws, again))


def test_libraries_draw_from_the_seed_and_the_global_generators_stay_as_they_were():
    def drawn() -> tuple[float, float]:
        with drawing_from(step_seed(0, 3)):
            return torch.rand(()).item(), random.random()

    state = torch.get_rng_state(), random.getstate()
    first = drawn()
    assert torch.equal(torch.get_rng_state(), state[0]) and random.getstate() == state[1]
    torch.manual_seed(9)
    random.seed(9)
    assert drawn() == first
