"""Steps of masks against MAPIE, against the definition, and in simulated worlds."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.voxels.risk_control import choose_patient_step, choose_risk_step, find_reached_steps


def test_the_step_is_that_of_mapie() -> None:
    """mapie 1.6.0, risk_control/methods.py: find_best_predict_param(steps, get_r_hat_plus(missed, steps, "crc", None,
    None, None)[1], [0.05, 0.1, 0.2, 0.3]), on these shares."""
    i, j = np.arange(30)[:, None], np.arange(65)[None]
    missed = np.maximum(0.0, 1 - ((7 * i) % 13) / 13 - j / (5 + (11 * i) % 29))
    steps = [choose_risk_step(missed.mean(0), 30, alpha) for alpha in (0.05, 0.1, 0.2, 0.3)]
    assert steps == [24, 17, 9, 5]


def test_too_few_cases_or_too_bad_masks_leave_only_everything() -> None:
    nothing = np.zeros(5)
    assert [choose_risk_step(nothing, n, 0.1) for n in (8, 9)] == [None, 0]
    assert choose_risk_step(np.full(5, 0.3), 1000, 0.1) is None
    steps = np.zeros(8, np.int64)
    assert [choose_patient_step(steps[:n], 5, 0.1) for n in (8, 0)] == [None, None]
    assert choose_patient_step(np.zeros(9, np.int64), 5, 0.1) == 0
    assert choose_patient_step(np.full(30, 5), 5, 0.1) is None


def test_a_case_is_reached_at_the_first_step_that_misses_little() -> None:
    missed = np.array([[0.5, 0.2, 0.1, 0.0], [0.1, 0.1, 0.1, 0.1], [1.0, 0.9, 0.8, 0.7]])
    assert find_reached_steps(missed, 0.1).tolist() == [2, 0, 4]
    # 1 − 0.9 is a little less than 0.1.
    assert find_reached_steps(missed, 1 - 0.9).tolist() == [2, 0, 4]


def test_of_the_known_steps_the_conformal_quantile_is_chosen() -> None:
    reached = np.arange(19)[::-1]
    assert choose_patient_step(reached, 30, 0.1) == 17
    assert choose_patient_step(reached, 30, 0.2) == 15


@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_new_cases_miss_no_more_than_promised(alpha: float) -> None:
    """Over 600 calibrations on 25 cases each, the mean missed share and the share of unreached patients stay below."""
    random, risks, unreached = np.random.default_rng(1), [], []
    for _ in range(600):
        start, slope = random.beta(1, 2, (50, 1)), random.uniform(0.02, 0.6, (50, 1))
        missed = np.maximum(0.0, start - slope * np.arange(65) / 10)
        step = choose_risk_step(missed[:25].mean(0), 25, alpha)
        risks.append(0.0 if step is None else float(missed[25:, step].mean()))
        step = choose_patient_step(find_reached_steps(missed[:25], alpha), 65, alpha)
        unreached.append(0.0 if step is None else float((missed[25:, step] > alpha).mean()))
    for shares in (risks, unreached):
        error = np.std(shares) / np.sqrt(len(shares))
        assert alpha / 2 < np.mean(shares) <= alpha + 3 * error
