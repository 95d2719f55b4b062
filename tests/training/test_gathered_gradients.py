"""How much the two cuts of the gradients agree."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.balance.fixed_weights import EqualWeights, FixedWeights
from polytask.balance.rule import EMPTY_MEMORY, RuleInput
from polytask.training.gathered_gradients import compare_cuts

PRESENT, LOSSES = np.arange(2), np.ones(2)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4])
def test_the_cosine_of_the_cuts_does_not_depend_on_the_size_of_gradients(scale: float) -> None:
    trunk = scale * np.array([[4.0, 1.0], [1.0, 2.0]])
    batch = RuleInput(PRESENT, LOSSES, trunk)
    weights = np.array([1.0, 0.0])
    # Weights (1, 0) against equal ones: (4 + 1) / √(4 · 8).
    cosine = compare_cuts(EqualWeights(), EMPTY_MEMORY, batch, weights, trunk, (0,))
    assert cosine == pytest.approx(5 / np.sqrt(4 * 8))


def test_without_gradients_the_cosine_is_not_defined() -> None:
    batch = RuleInput(PRESENT, LOSSES, np.zeros((2, 2)))
    rule = FixedWeights((1.0, 1.0))
    assert compare_cuts(rule, EMPTY_MEMORY, batch, np.ones(2), np.zeros((2, 2)), (0,)) is None
    assert compare_cuts(rule, EMPTY_MEMORY, batch, np.ones(2), np.full((2, 2), np.nan), (0,)) is None
