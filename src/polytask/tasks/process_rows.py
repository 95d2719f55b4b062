"""Gathers rows of other processes, for a loss whose terms run over the subjects of all processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def find_rank_and_world() -> tuple[int, int]:
    """Return (rank of this process, number of processes); (0, 1) without distributed training."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_other_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Gather the rows of the other processes: (those of lower ranks, those of higher ranks), without gradient.

    `rows [n, …]` may have another n in each process. This is a collective call: every process must make it equally
    often, or all of them wait forever.
    """
    rank, world = find_rank_and_world()
    rows = rows.detach()
    if world == 1:
        return rows[:0], rows[:0]
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world)]
    dist.all_gather(sizes, torch.tensor([len(rows)], dtype=torch.int64, device=rows.device))
    counts = [int(s.item()) for s in sizes]
    # all_gather needs the same shape everywhere, so that rows are padded to the longest and cut again afterwards.
    padded = rows.new_zeros((max(counts), *rows.shape[1:]))
    padded[: len(rows)] = rows
    found = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(found, padded)
    kept = [f[:n] for f, n in zip(found, counts, strict=True)]
    return torch.cat([rows[:0], *kept[:rank]]), torch.cat([rows[:0], *kept[rank + 1 :]])
