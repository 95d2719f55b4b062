"""Weights against TorchJD 0.18.0 (its solvers: quadprog, Clarabel through cvxpy, ECOS, scipy's least squares)."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.balance import make_rule
from polytask.balance.rule import RuleInput

TWO = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
THREE = np.array([[1.0, 2.0, -1.0, 0.5], [-2.0, 0.5, 1.0, 1.0], [0.3, -1.0, 2.0, -0.4]])
REFERENCE = {
    "mgda": ([0.6, 0.4], [0.40951189, 0.17494197, 0.41554614]),
    "imtl_g": ([0.59233032, 0.40766968], [0.4112025, 0.17794341, 0.41085409]),
    "aligned": ([0.55907192, 0.40826107], [0.34644703, 0.21186411, 0.34513315]),
    "upgrad": ([1.11092105, 0.78943103], [0.65930936, 0.41862685, 0.62662118]),
    "cagrad": ([0.66329932, 0.5], [0.53338949, 0.33333333, 0.51883428]),
    "nash": ([0.41822619, 0.287843], [0.46584144, 0.27152956, 0.4586317]),
    "fairgrad": ([0.47136292, 0.31945423], [0.73423016, 0.37791864, 0.73205783]),
}
"""`gramian_weighting(J Jᵀ)` in float64: MGDA(), IMTLG(), AlignedMTL(), UPGrad(), CAGrad(c=0.4), NashMTL(n_tasks=K),
FairGrad(alpha=2). MGDA stops its search at 1e-3, ours is exact; UPGrad adds 1e-4 to the Gramian, ours 1e-5."""
LOOSE = {"mgda": 0.02, "upgrad": 1e-3}
LENGTH = {"cagrad": 1 / 1.4}
"""CAGrad is divided by 1 + c here."""
DIRECTION = ("nash", "fairgrad")
"""Scaled to Σ w = K here: the direction is the published one."""


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize(("place", "gradients"), [(0, TWO), (1, THREE)])
def test_weights_are_torchjd_s(name: str, place: int, gradients: np.ndarray) -> None:
    count = len(gradients)
    seen = RuleInput(np.arange(count), np.ones(count), gradients @ gradients.T)
    weights, _ = make_rule(name).weigh(seen, {})
    expected = np.array(REFERENCE[name][place]) * LENGTH.get(name, 1.0)
    if name in DIRECTION:
        expected /= expected.sum()
    assert weights / count == pytest.approx(expected, rel=LOOSE.get(name, 1e-4))


def test_pcgrad_is_a_mean_over_orders_of_the_published_projections() -> None:
    """PCGrad() of TorchJD on TWO, where the order cannot matter: [20/9, 30/19]; it sums, the step here is a mean."""
    seen = RuleInput(np.arange(2), np.ones(2), TWO @ TWO.T)
    weights, _ = make_rule("pcgrad").weigh(seen, {})
    assert weights == pytest.approx([20 / 9, 30 / 19])


def test_mgda_reaches_the_shortest_vector() -> None:
    """At the least norm all tasks in the hull have one inner product with it (the conditions of the problem)."""
    seen = RuleInput(np.arange(3), np.ones(3), THREE @ THREE.T)
    weights, _ = make_rule("mgda").weigh(seen, {})
    step = weights / 3 @ THREE
    assert THREE @ step == pytest.approx([step @ step] * 3, rel=1e-6)


def test_with_two_tasks_some_rules_are_one() -> None:
    """Known and said in the guide: the bisector is fair and equal in projection; one projection is the other's."""
    seen = RuleInput(np.arange(2), np.ones(2), TWO @ TWO.T)
    found = {n: make_rule(n).weigh(seen, {})[0] for n in ("nash", "imtl_g", "pcgrad", "upgrad")}
    assert found["nash"] == pytest.approx(found["imtl_g"], rel=1e-6)
    assert found["pcgrad"] == pytest.approx(found["upgrad"], rel=1e-4)
