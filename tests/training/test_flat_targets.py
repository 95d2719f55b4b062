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


def test_a_subject_task_has_its_target_as_it_is() -> None:
    task = make_task("response", FIELDS["response"])
    found = Target(torch.tensor([1, 0, 1]), torch.tensor([True, False, True]))
    target, ids = flatten_target(replace(batch_of({}), targets={"response": found}), task)
    assert target is found
    assert ids == ["s0", "s1", "s2"]


def make_mask(patches: int = 0) -> Target:
    """Masks of three subjects with two visits; each voxel holds the number of its visit (and patch)."""
    space = (patches, 2, 2) if patches else (2, 2)
    value = torch.arange(6).reshape(3, 2, *[1] * len(space)).expand(3, 2, *space).clone()
    if patches:
        value = 10 * value + torch.arange(patches).view(1, 1, patches, 1, 1)
    return Target(value, torch.ones(3, 2, 2, dtype=torch.bool), torch.ones(3, 2, *space, dtype=torch.bool))


def test_a_voxel_task_has_the_visits_that_are_there() -> None:
    task = make_task("mask", FIELDS["mask"])
    target, ids = flatten_target(replace(batch_of({}), targets={"mask": make_mask()}), task)
    assert ids == ["s0@first", "s0@second", "s1@first", "s2@first", "s2@second"]
    assert target.value[:, 0, 0].tolist() == [0, 1, 2, 4, 5]
    assert target.structures is None
    assert target.known.shape == (5, 2)


def test_patches_of_a_visit_follow_each_other() -> None:
    task = make_task("mask", FIELDS["mask"])
    target, ids = flatten_target(replace(batch_of({}), targets={"mask": make_mask(3)}), task, patched=True)
    assert ids[:4] == ["s0@first", "s0@first", "s0@first", "s0@second"]
    assert target.value[:, 0, 0].tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22, 40, 41, 42, 50, 51, 52]
    assert (target.known.shape, target.region is not None and target.region.shape) == ((15, 2), (15, 2, 2))


def test_the_masks_of_a_dose_stand_beside_it() -> None:
    task = make_task("dose", FIELDS["dose"])
    dose = Target(
        torch.zeros(3, 2, 2, 2),
        torch.ones(3, 2, 1, dtype=torch.bool),
        torch.ones(3, 2, 2, 2, dtype=torch.bool),
    )
    batch = replace(batch_of({}), targets={"dose": dose, "mask": make_mask()})
    target, _ = flatten_target(batch, task, structures="mask")
    assert target.structures is not None
    assert target.structures[:, :, 0, 0].int().tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]]
    assert flatten_target(batch, task)[0].structures is None
