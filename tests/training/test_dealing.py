"""Matrices dealt out to processes: the shares, the journeys, and the weights that come of it."""

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.utils.flop_counter import FlopCounterMode

from videolm.lm.model.fused_linear import FusedLinear
from videolm.training.dealing import Part, deal, rounds
from videolm.training.muon import Groups, Muon, newton_schulz_flops, orthogonalized, parameter_groups
from videolm.training.sharded_tensors import boxes_of, local, own_part, whole

STEPS = 3


def parts_of(*shapes):
    return [Part(number, 0, rows, columns) for number, (rows, columns) in enumerate(shapes)]


def test_each_part_has_one_owner_and_the_loads_are_even():
    parts = parts_of(*[(64, 64)] * 6, *[(16, 64)] * 12, *[(256, 64)] * 18)
    shares = deal(parts, newton_schulz_flops, 6)
    assert sorted((part for share in shares for part in share), key=lambda part: part.weight) == parts
    loads = [sum(newton_schulz_flops(*part.shape) for part in share) for share in shares]
    assert max(loads) < 1.01 * sum(loads) / len(loads)


def test_rounds_hold_all_parts_once_in_pieces_of_one_shape_within_the_limit():
    parts = parts_of((4, 4), (2, 4), (4, 4), (2, 4), (9, 9))
    shares = [parts, parts[:1], []]
    seen = list(rounds(shares, 20))
    for rank, share in enumerate(shares):
        pieces = [round_[rank] for round_ in seen]
        assert sorted(part.weight for piece in pieces for part in piece) == [each.weight for each in share]
        for piece in pieces:
            assert len({part.shape for part in piece}) <= 1
            assert len(piece) <= 1 or sum(part.size for part in piece) <= 20


@pytest.mark.parametrize("shape", [(24, 30), (32, 32), (24, 240), (240, 24)])
def test_operations_are_those_of_the_products_that_are_made(shape):
    with FlopCounterMode(display=False) as counter:
        orthogonalized(torch.randn(1, *shape))
    assert counter.get_total_flops() == newton_schulz_flops(*shape, max(shape) >= 2 * min(shape))


class Net(nn.Module):
    """A fused map, rows that no number of processes divides, and a convolution."""

    def __init__(self):
        super().__init__()
        self.project_in = FusedLinear(8, (8, 4, 4))
        self.project_out = nn.Linear(16, 8, bias=False)
        self.odd = nn.Linear(5, 7, bias=False)
        self.few = nn.Linear(6, 3, bias=False)
        self.conv = nn.Conv2d(2, 6, 3)

    @property
    def matrices(self):
        return [self.project_in, self.project_out, self.odd, self.few, self.conv]


def trained(divide) -> list[torch.Tensor]:
    """The weights after some steps with the same gradients, however the network is divided."""
    torch.manual_seed(0)
    net = Net()
    before = [weight.detach().clone() for weight in net.parameters()]
    divide(net)
    for weight, values in zip(net.parameters(), before, strict=True):
        assert torch.equal(local(weight), values[own_part(weight)])
    optimizer = Muon(parameter_groups(net.matrices, net), weight_decay=0.1)
    for _ in range(STEPS):
        for weight in net.parameters():
            weight.grad = divided_like(torch.randn(weight.shape), weight)
        optimizer.step()
    return [whole(weight.detach()).clone() for weight in net.parameters()]


def divided_like(values, weight):
    if not isinstance(weight, DTensor):
        return values
    own = values[own_part(weight)].contiguous()
    place = {"device_mesh": weight.device_mesh, "placements": weight.placements}
    return DTensor.from_local(own, **place, run_check=False, shape=weight.shape, stride=weight.stride())


def fsdp2(processes: int, tensor_parallel: int = 1):
    """Shards every weight but the convolution's, which no sharded training has."""

    def divide(net):
        sizes = (processes // tensor_parallel, tensor_parallel)
        mesh = init_device_mesh("cpu", sizes, mesh_dim_names=("data", "tensor"))
        if tensor_parallel > 1:
            plan = {
                "project_in": ColwiseParallel(output_layouts=Replicate()),
                "project_out": RowwiseParallel(input_layouts=Replicate()),
            }
            parallelize_module(net, mesh["tensor"], plan)
        for module in net.matrices[: 4 if tensor_parallel == 1 else 2]:
            fully_shard(module, mesh=mesh["data"])

    return divide


def whole_on_all(net):
    """DDP's way."""


def compare(in_processes, processes, divide):
    alone = trained(whole_on_all)
    for weights in in_processes(processes, lambda rank: trained(divide)):
        for weight, expected in zip(weights, alone, strict=True):
            torch.testing.assert_close(weight, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", ["ddp", "fsdp2", "tensor-parallel"])
def test_two_processes_that_share_the_work_have_the_weights_of_one(in_processes, way):
    ways = {"ddp": whole_on_all, "fsdp2": fsdp2(2), "tensor-parallel": fsdp2(2, 2)}
    compare(in_processes, 2, ways[way])


@pytest.mark.long
@pytest.mark.parametrize("way", ["ddp", "fsdp2", "both", "tensor-parallel"])
def test_so_have_four(in_processes, way):
    ways = {"ddp": whole_on_all, "fsdp2": fsdp2(4), "both": fsdp2(4, 2), "tensor-parallel": fsdp2(4, 4)}
    compare(in_processes, 4, ways[way])


def test_a_single_process_in_a_group_is_one_process(in_processes):
    compare(in_processes, 1, fsdp2(1))


def test_each_matrix_is_iterated_by_one_process(in_processes, monkeypatch):
    """The work is shared, not repeated: the rows iterated by all are those of all parts."""
    from videolm.training import muon

    def counted(rank):
        iterated = []
        real = muon.orthogonalized

        def counting(matrices, *rest):
            iterated.append(matrices.numel())
            return real(matrices, *rest)

        monkeypatch.setattr(muon, "orthogonalized", counting)
        trained(whole_on_all)
        return sum(iterated)

    each = in_processes(2, counted)
    net = Net()
    assert sum(each) == STEPS * sum(module.weight.numel() for module in net.matrices)
    assert min(each) > 0


def test_the_maps_of_a_fused_one_are_orthogonalized_apart():
    torch.manual_seed(0)
    fused = FusedLinear(8, (8, 4, 4))
    apart = [nn.Parameter(rows.detach().clone()) for rows in fused.weight.split(fused.parts)]
    gradient = torch.randn_like(fused.weight)
    fused.weight.grad = gradient
    for part, rows in zip(apart, gradient.split(fused.parts), strict=True):
        part.grad = rows.clone()
    Muon(parameter_groups([fused], fused)).step()
    Muon(Groups(apart, [])).step()
    torch.testing.assert_close(fused.weight.detach(), torch.cat(apart).detach())


def test_a_state_of_before_maps_were_told_apart_goes_on():
    torch.manual_seed(0)
    fused = FusedLinear(8, (8, 4, 4))
    fused.weight.grad = torch.randn_like(fused.weight)
    before = Muon(Groups([fused.weight], []))
    before.step()
    now = Muon(parameter_groups([fused], fused))
    now.load_state_dict(before.state_dict())
    now.step()
    momentum = now.state[fused.weight]["momentum"]
    torch.testing.assert_close(momentum, 1.95 * fused.weight.grad)


def test_boxes_cover_a_sharded_matrix_once(in_processes):
    sizes = (7, 5)

    def boxes(rank):
        linear = nn.Linear(sizes[1], sizes[0], bias=False)
        fully_shard(linear, mesh=init_device_mesh("cpu", (2,)))
        return [[(each.start, each.stop) for each in box] for box in boxes_of(linear.weight)]

    first, second = in_processes(2, boxes)
    assert first == second
    covered = torch.zeros(sizes, dtype=torch.long)
    for rows, columns in first:
        covered[slice(*rows), slice(*columns)] += 1
    assert (covered == 1).all()
