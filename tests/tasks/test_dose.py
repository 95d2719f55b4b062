from __future__ import annotations

import numpy as np
import pytest
import torch

from polytask.tasks.dose import Dose
from polytask.tasks.dvh import (
    compute_dvh_statistics,
    compute_volume_dose,
)
from polytask.tasks.field_criterion import FieldCriterion, compute_histogram_distance
from polytask.tasks.target import Target

R = np.random.default_rng(0)
SPACING = (3.9, 3.9, 2.5)


def test_statistics_by_hand() -> None:
    dose = np.arange(101.0).reshape(1, 1, 101)
    found = compute_dvh_statistics(dose, np.ones(dose.shape, bool), (1.0, 1.0, 1.0))
    # 100 voxels of 1 mm³ are 0.1 cm³: percentile 100 − 100·100/101 of 0…100
    assert found == pytest.approx(
        {"mean": 50, "D99": 1, "D95": 5, "D50": 50, "D5": 95, "D1": 99, "D0.1cc": 100 / 101}
    )
    assert compute_dvh_statistics(dose, np.zeros(dose.shape, bool), SPACING) == {}
    assert "D0.1cc" not in compute_dvh_statistics(dose[0], np.ones((1, 101), bool), (1.0, 1.0))


def test_hottest_volume_is_at_least_one_voxel_and_at_most_all() -> None:
    inside = np.array([1.0, 2, 3, 4])
    assert compute_volume_dose(inside, 0.1, 1000.0) == pytest.approx(1 + 3 * 0.75)
    assert compute_volume_dose(inside, 0.1, 1.0) == 1


def test_case_metrics() -> None:
    task = Dose("d", scale=10.0, deviation=8.0, structures=("a",))
    truth = R.uniform(0, 70, (6, 6, 6))
    answer, region, mask = truth + 2, np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)
    region[:4], mask[2:] = True, True
    spoilt = np.where(region, truth, np.nan)
    found = task.case_metrics(
        answer, spoilt, np.array([True]), region, SPACING, {"a": mask, "none": ~region & False}
    )
    assert found["mae"] == pytest.approx(2)
    assert found["dvh"] == pytest.approx(2)
    assert found["dvh.a.D95"] == pytest.approx(2)
    assert not any(k.startswith("dvh.none") for k in found)
    assert task.skill(found) == pytest.approx(0.75)


def test_loss_is_the_masked_mean_absolute_error() -> None:
    value, output = torch.rand(3, 5, 6, 7) * 70, torch.rand(3, 1, 5, 6, 7)
    region = torch.rand(3, 5, 6, 7) < 0.4
    target = Target(value, torch.tensor([[True], [True], [False]]), region)
    found, count = FieldCriterion(10.0, 0.0, 2.0)(output, target, ["a"] * 3)
    expected = sum((output[i, 0] - value[i] / 10)[region[i]].abs().mean() for i in range(2)) / 2.0
    assert count == 2
    torch.testing.assert_close(found, expected)


def test_histogram_distance() -> None:
    truth = torch.rand(500)
    assert compute_histogram_distance(truth[torch.randperm(500)], truth) == 0
    assert compute_histogram_distance(truth + 0.3, truth).item() == pytest.approx(0.3, rel=1e-4)
    other = torch.rand(500) * 2
    assert compute_histogram_distance(other, truth) >= (other.mean() - truth.mean()).abs() - 1e-6
    scipy = pytest.importorskip("scipy.stats")
    assert compute_histogram_distance(other, truth).item() == pytest.approx(
        scipy.wasserstein_distance(other, truth), rel=1e-5
    )


def test_histogram_part_looks_only_into_structures_and_region() -> None:
    value = torch.zeros(1, 4, 4)
    output = torch.ones(1, 1, 4, 4, requires_grad=True)
    region = torch.ones(1, 4, 4, dtype=torch.bool)
    region[:, 3] = False
    structures = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    structures[:, 0, 2:] = True
    plain = FieldCriterion(1.0, 0.0, 1.0)(output, Target(value, torch.ones(1, 1), region, structures), ["a"])[
        0
    ]
    total = FieldCriterion(1.0, 2.0, 1.0)(output, Target(value, torch.ones(1, 1), region, structures), ["a"])[
        0
    ]
    assert (total - plain).item() == pytest.approx(2.0)
    (grad,) = torch.autograd.grad(total - plain, output)
    assert grad[0, 0, 2].sum().item() == pytest.approx(2.0)
    assert grad[0, 0, [0, 1, 3]].abs().sum() == 0
    without = FieldCriterion(1.0, 2.0, 1.0)(output, Target(value, torch.ones(1, 1), region), ["a"])[0]
    assert without.item() == pytest.approx(plain.item())


def test_a_dose_is_not_negative_and_a_fresh_head_answers_the_median() -> None:
    task = Dose("d", scale=10.0, median=25.0)
    assert task.decode(torch.tensor([[[-1.0, 2.0]]]))["value"].tolist() == [[0.0, 20.0]]
    output = task.head(4, 2)(torch.zeros(1, 4, 1, 2))
    assert task.answer(task.decode(output)).flatten().tolist() == [25.0, 25.0]
    plain = Dose("d")
    assert plain.decode(torch.tensor([[[2.0]]]))["value"].tolist() == [[2.0]]
    assert plain.head(4, 2)(torch.zeros(1, 4, 1, 1)).flatten().tolist() == [0.0]


def test_measures_of_a_case_by_hand() -> None:
    task = Dose("d", structures=("a", "b"))
    value, answer = np.array([[10.0, 20.0]]), np.array([[13.0, 19.0]])
    masks = {"a": np.array([[True, False]]), "b": np.array([[False, True]])}
    found = task.case_metrics(answer, value, np.array([True]), None, (1.0, 1.0), masks)
    assert (found["n"], found["mae"], found["dvh.a.mean"], found["dvh.b.mean"]) == (1.0, 2.0, 3.0, -1.0)
    assert found["dvh"] == 2.0
    assert "dvh" not in task.case_metrics(answer, value, np.array([True]), None, (1.0, 1.0))
    for known, region in ((False, None), (True, np.zeros((1, 2), bool))):
        nothing = task.case_metrics(answer, value, np.array([known]), region, (1.0, 1.0))
        assert nothing["n"] == 0
        assert np.isnan(nothing["mae"])


def test_skill_is_what_is_gained_over_the_median() -> None:
    assert Dose("d", deviation=8.0).skill({"mae": 2.0}) == 0.75
    assert Dose("d").skill({"mae": 0.25}) == 0.75
    assert np.isnan([Dose("d", deviation=0.0).skill({"mae": 2.0}), Dose("d").skill({})]).all()


def test_a_dose_has_one_channel_and_a_loss_of_its_own_size_where_no_constant_is_planned() -> None:
    task = Dose("d", scale=2.0)
    assert task.outputs == 1
    known = torch.ones(1, 1, dtype=torch.bool)
    target = Target(torch.full((1, 2, 2), 6.0), known, torch.ones(1, 2, 2, dtype=torch.bool))
    loss, _ = task.criterion()(torch.zeros(1, 1, 2, 2), target, ["s"])
    assert float(loss) == pytest.approx(3.0), "6 Gy in units of 2"
