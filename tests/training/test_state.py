"""Weights of another version are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.training.state import put_weights
from tests.model.worlds import inputs_of, network_of, tasks_of, total


def test_weights_that_do_not_fit_are_refused_and_nothing_is_changed() -> None:
    network = network_of(tasks_of("visit"), 2)
    kept = {k: v.clone() for k, v in network.state_dict().items()}
    renamed = {k.replace("branches", "heads"): v + 1 for k, v in kept.items()}
    narrow = {k: v[:1] + 1 if v.dim() else v for k, v in kept.items()}
    for weights in (renamed, narrow):
        with pytest.raises(PolytaskError, match="another version of Polytask") as error:
            put_weights(network, weights, Path("run/best"))
        assert str(error.value).startswith("run/best: ")
    assert all(torch.equal(kept[k], v) for k, v in network.state_dict().items())


def test_weights_that_fit_are_taken() -> None:
    one, other = (network_of(tasks_of("visit"), 2) for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    before = total(one(inputs_of(2))["grade"])
    put_weights(one, other.state_dict(), Path("run/best"))
    assert not torch.equal(before, total(one(inputs_of(2))["grade"]))
