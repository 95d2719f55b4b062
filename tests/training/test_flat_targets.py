"""Targets of a batch in the order of the network's outputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from polytask.tasks import make_task
from polytask.tasks.target import Target
from polytask.training.flat_targets import flatten_target, unpack_structure_masks
from tests.model.worlds import FIELDS
from tests.training.worlds import batch_of


@pytest.mark.parametrize("patched", [False, True])
def test_every_label_of_a_label_map_becomes_a_mask_of_its_own(patched: bool) -> None:
    value = torch.tensor([[0, 1, 2], [3, 3, 1]], dtype=torch.uint8)
    value = value.view(1, 2, 1, 3) if patched else value.view(1, 2, 3)
    known = torch.tensor([[[True, True, True], [True, True, False]]])
    masks = unpack_structure_masks(Target(value, known, torch.ones_like(value, dtype=torch.bool)), patched)
    expected = [[[0, 1, 0], [0, 0, 1], [0, 0, 0]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]]]
    assert masks.shape == ((2, 1, 3, 3) if patched else (2, 3, 3))
    assert masks.view(2, 3, 3).int().tolist() == expected, (
        "the third structure of the second visit is unknown"
    )


@pytest.mark.parametrize("patched", [False, True])
def test_overlapping_masks_stay_as_they_are_where_they_are_known(patched: bool) -> None:
    value = torch.tensor([[[0, 1, 1], [1, 1, 0]]], dtype=torch.uint8)
    value = value.view(1, 1, 1, 2, 3) if patched else value.view(1, 1, 2, 3)
    region = torch.ones((1, 1, 1, 3) if patched else (1, 1, 3), dtype=torch.bool)
    masks = unpack_structure_masks(Target(value, torch.tensor([[[True, False]]]), region), patched)
    assert masks.view(2, 3).int().tolist() == [[0, 1, 1], [0, 0, 0]]


def test_visits_come_one_after_another_and_padded_ones_are_unknown() -> None:
    batch = batch_of({"grade": [[True, False], [True, True], [True, True]]})
    target, ids = flatten_target(batch, make_task("grade", FIELDS["grade"]))
    assert ids == ["s0@first", "s0@second", "s1@first", "s1", "s2@first", "s2@second"]
    assert target.value.shape == (6,)
    assert target.known.tolist() == [True, False, True, False, True, True]


def test_labels_of_padded_visits_are_unknown_one_by_one() -> None:
    task = make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["a", "b"]})
    batch = batch_of({})
    known = torch.tensor([[[True, False], [True, True]]] * 3)
    found = Target(torch.zeros(3, 2, 2), known)
    target, _ = flatten_target(replace(batch, targets={"finds": found}), task)
    assert target.known.tolist() == [[True, False], [True, True], [True, False], [False, False], [True, False],
                                     [True, True]]  # fmt: skip
