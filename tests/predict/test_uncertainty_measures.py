"""How unsure answers are, by hand and against outside constants."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polytask.inference.head_passes import PASSES
from polytask.predict.uncertainty_measures import (
    compute_entropy,
    compute_expected_dice,
    measure_classes,
    measure_entropy_maps,
    measure_labels,
    measure_uncertainty,
)


def test_entropy_by_scipy() -> None:
    # scipy 1.17: entropy([0.7, 0.2, 0.1], base=3).
    assert compute_entropy(np.array([0.7, 0.2, 0.1])) == pytest.approx(0.7298466991620975)
    assert compute_entropy(np.full(5, 0.2)) == pytest.approx(1)
    assert compute_entropy(np.array([1.0, 0.0])) == 0


def test_passes_that_contradict_are_all_of_the_uncertainty() -> None:
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert measure_classes(sure) == pytest.approx((1, 1))
    assert measure_classes(np.full((4, 2), 0.5)) == pytest.approx((1, 0))
    # By hand: H(0.5) = 1; H(0.75) = 0.8112781245.
    assert measure_classes(np.array([[0.75, 0.25], [0.25, 0.75]])) == pytest.approx((1, 1 - 0.8112781245))
    assert measure_labels(np.array([[0.75, 0.5], [0.25, 0.5]])) == pytest.approx((1, (1 - 0.8112781245) / 2))


def test_members_are_averaged_and_their_disagreement_stands_beside() -> None:
    members = [{"p": np.array([[0.9, 0.1]])}, {"p": np.array([[0.1, 0.9]])}]
    figures = measure_uncertainty("class", members)
    # H(0.9) = 0.4689955936.
    assert figures == pytest.approx({"u": 0.4689955936, "u.folds": 1 - 0.4689955936})
    assert set(measure_uncertainty("class", members[:1])) == {"u"}
    passes = [own | {PASSES: own["p"][:, None].repeat(3, 1)} for own in members]
    assert measure_uncertainty("grade", passes)["u.epistemic"] == pytest.approx(0)


def test_numbers_tell_their_spread() -> None:
    told = {"value": np.array([5.0]), "spread": np.array([2.0]), PASSES: np.array([[4.0, 6.0]])}
    other = {"value": np.array([9.0]), "spread": np.array([4.0]), PASSES: np.array([[9.0, 9.0]])}
    figures = measure_uncertainty("number", [told, other])
    assert figures == pytest.approx({"u": 3.0, "u.epistemic": 0.5, "u.folds": 2.0})
    assert measure_uncertainty("number", [{"value": np.array([5.0])}]) == {}
    risk = {"risk": np.array([0.3]), PASSES: np.array([[0.0, 1.0]])}
    assert measure_uncertainty("time", [risk, risk]) == pytest.approx({"u.epistemic": 0.5})


def test_maps_of_entropy() -> None:
    p = np.array([[[0.5, 1.0]], [[0.5, 0.0]]])
    assert measure_entropy_maps(p, exclusive=True).tolist() == [[1.0, 0.0]]
    each = measure_entropy_maps(np.array([[[0.5, 1.0]], [[0.75, 0.0]]]), exclusive=False)
    assert each == pytest.approx(np.array([[[1.0, 0.0]], [[0.8112781245, 0.0]]]))


def test_expected_dice_is_that_of_drawn_masks() -> None:
    p = np.array([0.9, 0.8, 0.4, 0.1])
    assert compute_expected_dice(p, p >= 0.5) == pytest.approx(2 * 1.7 / (2.2 + 2))
    assert np.isnan(compute_expected_dice(p, np.zeros(4)))
    large = torch.linspace(0, 1, 4000).double().numpy()
    mask = large >= 0.5
    drawn = np.random.default_rng(0).uniform(size=(200, 4000)) < large
    dice = 2 * (drawn & mask).sum(1) / (drawn.sum(1) + mask.sum())
    assert compute_expected_dice(large, mask) == pytest.approx(dice.mean(), abs=2e-3)
