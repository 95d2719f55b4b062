"""One of two processes that sum gradients: `python overlapped_process.py RANK FILE`."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist
from torch import nn

from polytask.training.distributed import World
from polytask.training.overlapped_sum import OverlappedSum

WIDTH = 6


def make_parameters() -> nn.ModuleDict:
    """Make a trunk and heads of three tasks; the same in every process."""
    torch.manual_seed(0)
    heads = {f"head{n}": nn.Linear(WIDTH, 1) for n in range(3)}
    return nn.ModuleDict({"trunk": nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(4))), **heads})


def compute_loss(network: nn.ModuleDict, rank: int, batch: int) -> torch.Tensor:
    """The first process lacks task 1 in the last batch, the second lacks task 0 in both; nobody has task 2."""
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(10 * batch + rank))
    features = network["trunk"](x)
    losses = [features.square().mean()] if rank == 0 or batch == 0 else []
    losses += [network["head0"](features).square().mean()] if rank == 0 else []
    losses += [network["head1"](features).square().mean()] if rank == 1 or batch == 0 else []
    return torch.stack(losses).sum()


def main() -> None:
    """Sum gradients both ways and compare them bit for bit."""
    rank, place = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    world = World(rank, 2, torch.device("cpu"))
    gradients, early = [], []
    for bucket_bytes in (0, 1, 200, 10**6):
        network = make_parameters()
        parameters = list(network.parameters())
        compute_loss(network, rank, 0).backward()
        overlapped = OverlappedSum(world, parameters, bucket_bytes) if bucket_bytes else None
        compute_loss(network, rank, 1).backward()
        if overlapped:
            early.append(len(overlapped.sent))
            assert len(overlapped.buckets) > 1 or bucket_bytes == 10**6
            overlapped.finish()
            assert len(overlapped.sent) == len(overlapped.buckets)
            # A later step must not send anything by itself.
            compute_loss(make_parameters(), rank, 0).backward()
        else:
            world.add_gradients(parameters)
        gradients.append([p.grad for p in parameters])
    for other in gradients[1:]:
        for one, two in zip(gradients[0], other, strict=True):
            assert (one is None) == (two is None)
            assert one is None or (two is not None and torch.equal(one, two))
    assert sum(g is None for g in gradients[0]) == 2, "weight and bias of the task that nobody has"
    total = torch.tensor([float(g.abs().sum()) for g in gradients[0] if g is not None])
    assert torch.equal(2 * total, world.total(total)), "all processes have the same gradients"
    dist.destroy_process_group()
    print("early", *early)


if __name__ == "__main__":
    main()
