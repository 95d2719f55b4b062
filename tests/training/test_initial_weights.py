"""Weights of another model as a start."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.training.initial_weights import copy_matching_weights
from polytask.training.state import save_weights
from tests.model.worlds import network_of, tasks_of


def write_model(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    """An exported model of two members, of which the second has other weights."""
    folder.mkdir()
    members = {f"0/{k}": v for k, v in weights.items()} | {f"1/{k}": v + 1 for k, v in weights.items()}
    save_weights(folder, members)
    (folder / "model.json").write_text("{}")
    return folder


def test_tensors_whose_name_and_shape_agree_are_copied(tmp_path: Path) -> None:
    network = network_of(tasks_of("visit"), 2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    name = next(k for k, v in before.items() if v.dim() > 1)
    other = next(k for k, v in before.items() if v.dim() == 1)
    given = {
        name: before[name] + 5,
        other: torch.zeros(before[other].shape[0] + 1),
        "stranger": torch.zeros(1),
    }
    assert copy_matching_weights(network, write_model(tmp_path / "m", given)) == 1
    after = network.state_dict()
    assert torch.equal(after[name], before[name] + 5)
    assert all(torch.equal(after[k], v) for k, v in before.items() if k != name)


def test_nothing_in_common_is_an_error(tmp_path: Path) -> None:
    network = network_of(tasks_of("visit"), 2)
    with pytest.raises(PolytaskError, match="no weight fits"):
        copy_matching_weights(network, write_model(tmp_path / "m", {"stranger": torch.zeros(1)}))
    with pytest.raises(PolytaskError, match=r"neither a run \(run\.yaml\) nor a model"):
        copy_matching_weights(network, tmp_path)
