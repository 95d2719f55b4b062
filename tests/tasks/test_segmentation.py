"""Masks: where a head starts, what is answered, and the measures of one case."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from polytask.tasks.segmentation import Segmentation
from polytask.tasks.target import Target

ONE = Segmentation("m", ("a", "b"), exclusive=True, fractions=(0.2, 0.3))
MANY = Segmentation("m", ("a", "b"), exclusive=False, fractions=(0.2, 0.75))


def begin(task: Segmentation) -> list[float]:
    """The outputs of a fresh head without any features."""
    found: list[float] = task.head(4, 2)(torch.zeros(1, 4, 1, 1)).flatten().tolist()
    return found


def test_a_head_starts_at_the_shares_of_training() -> None:
    assert begin(ONE) == pytest.approx([log(0.5), log(0.2), log(0.3)])
    assert begin(MANY) == pytest.approx([log(0.25), log(3)])
    assert begin(Segmentation("m", ("a", "b"), exclusive=True)) == pytest.approx([log(1 / 3)] * 3)
    assert begin(Segmentation("m", ("a",), exclusive=False)) == pytest.approx([0.0])
    assert (ONE.outputs, MANY.outputs) == (3, 2)


def test_a_loss_without_a_constant_is_the_plain_one() -> None:
    target = Target(torch.zeros(1, 2, 3, 3), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 3, 3) > 0)
    plain, half = (
        float(task.criterion()(torch.zeros(1, 2, 3, 3), target, ["a"])[0])
        for task in (
            MANY,
            Segmentation("m", ("a", "b"), exclusive=False, fractions=(0.2, 0.75), constant=2.0),
        )
    )
    assert plain == pytest.approx(2 * half)


def test_the_most_probable_label_is_answered_or_every_structure_of_one_half() -> None:
    output = torch.tensor([[[0.0, 5.0], [0.0, -5.0]]])[..., None]
    assert MANY.answer(MANY.decode(output)).squeeze(-1).tolist() == [[[1, 1], [1, 0]]]
    output = torch.tensor([[[0.0, 5.0], [1.0, 0.0], [2.0, 0.0]]])[..., None]
    p = ONE.decode(output)["p"]
    assert p.sum(1).flatten().tolist() == pytest.approx([1.0, 1.0])
    assert ONE.answer({"p": p}).flatten().tolist() == [2, 0]


def make_masks(shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Answer and truth: a row of 4 voxels of a, and the same moved."""
    answer, truth = np.zeros((12, 8), np.uint8), np.zeros((12, 8), np.uint8)
    truth[2, 2:6] = 1
    answer[2 + shift, 2:6] = 1
    return answer, truth


@pytest.mark.parametrize(("shift", "surface_dice"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_surfaces_within_two_are_near_by_default(shift: int, surface_dice: float) -> None:
    answer, truth = make_masks(shift)
    found = ONE.case_metrics(answer, truth, np.array([True, False]), None, (1.0, 1.0))
    assert (found["surface_dice"], found["hd95"], found["n"]) == (surface_dice, shift, 1.0)


def test_each_known_structure_is_measured_and_the_mean_is_of_those() -> None:
    answer, truth = make_masks(0)
    truth[8, 2:6] = 2
    found = ONE.case_metrics(answer, truth, np.array([True, True]), None, (2.0, 5.0))
    assert (found["dice.a"], found["dice.b"], found["dice"]) == (1.0, 0.0, 0.5)
    assert found["volume.a"] == pytest.approx(4 * 10 / 100)
    assert (found["empty_truth.b"], found["empty_answer.b"], found["empty_answer.a"]) == (0.0, 1.0, 0.0)
    assert "empty_answer" not in found
    nothing = ONE.case_metrics(answer, truth, np.array([False, False]), None, (1.0, 1.0))
    assert nothing["n"] == 0
    assert np.isnan(nothing["dice"])


def test_masks_of_their_own_are_measured_one_by_one() -> None:
    answer, truth = make_masks(0)
    found = MANY.case_metrics(
        np.stack([answer, truth * 0]),
        np.stack([truth, truth]),
        np.array([True, True]),
        None,
        (1.0, 1.0),
        None,
        False,
    )
    assert (found["dice.a"], found["dice.b"]) == (1.0, 0.0)
    assert "hd95.a" not in found


def test_only_the_region_counts() -> None:
    answer, truth = make_masks(3)
    region = np.zeros(truth.shape, bool)
    region[5:] = True
    found = ONE.case_metrics(answer, truth, np.array([True, False]), region, (1.0, 1.0), distances=False)
    assert (found["volume"], found["volume_error"]) == (0.0, pytest.approx(0.04))


def test_pixels_are_counted_where_no_scale_is_known() -> None:
    task = Segmentation("m", ("a",), exclusive=True, unit="px")
    answer, truth = make_masks(3)
    found = task.case_metrics(answer, truth, np.array([True]), None, (0.2, 0.2))
    assert (found["hd95"], found["volume"]) == (3.0, pytest.approx(4.0))


def test_skill_is_dice() -> None:
    assert ONE.skill({"dice": 0.7}) == 0.7
    assert np.isnan(ONE.skill({}))
