"""Rows of other processes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from polytask.tasks import cox_criterion
from polytask.tasks.cox_criterion import find_rank_and_world, gather_other_rows


def test_one_process_alone_has_no_others() -> None:
    assert find_rank_and_world() == (0, 1)
    rows = torch.ones(3, 2, requires_grad=True)
    lower, higher = gather_other_rows(rows)
    assert (lower.shape, higher.shape) == ((0, 2), (0, 2))
    assert not lower.requires_grad


@pytest.mark.parametrize(
    ("rank", "below", "above"),
    [
        (0, [], [[3.0], [4.0], [5.0], [6.0]]),
        (1, [[1.0], [2.0]], [[6.0]]),
        (2, [[1.0], [2.0], [3.0], [4.0], [5.0]], []),
    ],
)
def test_rows_of_lower_and_of_higher_ranks(
    monkeypatch: pytest.MonkeyPatch, rank: int, below: list[list[float]], above: list[list[float]]
) -> None:
    """Three processes with 2, 3 and 1 rows; what goes over the wire has as many rows as the longest."""
    parts = [torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0], [5.0]]), torch.tensor([[6.0]])]
    sent: list[Tensor] = []

    def all_gather(into: list[Tensor], own: Tensor) -> None:
        sent.append(own)
        for place, (room, part) in enumerate(zip(into, parts, strict=True)):
            if len(sent) == 1:
                room.fill_(len(part))
            else:
                filled = torch.full((3, 1), -9.0 - place)
                filled[: len(part)] = part
                room.copy_(filled)

    monkeypatch.setattr("torch.distributed.all_gather", all_gather)
    monkeypatch.setattr(cox_criterion, "find_rank_and_world", lambda: (rank, 3))
    lower, higher = gather_other_rows(parts[rank].clone().requires_grad_())
    assert (lower.tolist(), higher.tolist()) == (below, above)
    assert sent[0].tolist() == [len(parts[rank])]
    assert sent[1].shape == (3, 1)
    assert sent[1][: len(parts[rank])].tolist() == parts[rank].tolist()
    assert (sent[1][len(parts[rank]) :] == 0).all()
    assert not sent[1].requires_grad
    assert not lower.requires_grad
