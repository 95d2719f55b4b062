"""A target moves as a whole."""

from __future__ import annotations

import torch

from polytask.tasks.target import Target


def test_all_parts_move_and_those_that_are_not_there_stay_so() -> None:
    there = torch.device("meta")
    whole = Target(torch.ones(2), torch.ones(2).bool(), torch.ones(3).bool(), torch.ones(4).bool()).to(there)
    assert whole.region is not None
    assert whole.structures is not None
    assert {x.device for x in (whole.value, whole.known, whole.region, whole.structures)} == {there}
    assert (whole.value.shape, whole.known.dtype) == ((2,), torch.bool)
    assert (whole.region.shape, whole.structures.shape) == ((3,), (4,))
    short = Target(torch.ones(2), torch.ones(2).bool()).to(there)
    assert (short.region, short.structures) == (None, None)
