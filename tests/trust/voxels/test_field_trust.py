from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.voxels.field_trust import FieldTrust, choose_reach, fit_field


def test_the_reach_is_the_conformal_quantile_of_all_members() -> None:
    members = [FieldTrust(np.arange(1.0, 8.0)), FieldTrust(np.arange(8.0, 20.0))]
    assert choose_reach(members, 0.1) == 18.0
    assert choose_reach(members[:1], 0.1) == np.inf


def test_new_patients_lie_within_reach_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    held = [
        (random.lognormal(size=50) <= choose_reach([FieldTrust(random.lognormal(size=39))], 0.1)).mean()
        for _ in range(1000)
    ]
    assert np.mean(held) == pytest.approx(36 / 40, abs=3 * np.std(held) / np.sqrt(1000))


def test_the_check_fits_one_half_and_looks_at_the_other() -> None:
    scores = np.random.default_rng(0).lognormal(size=200)
    subjects = np.array([f"s{k // 2}" for k in range(200)])
    fitted = fit_field(scores, subjects, 0.2, 0)
    assert fitted.scores.tolist() == np.sort(scores).tolist()
    assert fitted.check is not None
    assert (fitted.check.n, fitted.check.subjects, fitted.check.endless) == (200, 100, 0.0)
    assert fitted.check.patients.mean == pytest.approx(0.8, abs=0.03)
    few = fit_field(scores[:12], subjects[:12], 0.1, 0).check
    assert few is not None
    assert few.endless == 1.0
    assert fit_field(scores[:6], subjects[:6], 0.1, 0).check is None
