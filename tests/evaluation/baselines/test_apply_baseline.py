"""Answers of simple models, by hand."""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.evaluation.baselines.apply_baseline import answer_with_baseline, apply_baseline
from tests.evaluation.baselines.test_fit_baselines import write_cohort

INPUTS = {"volumes": {"task": "mask", "structures": ["s"], "units": [1.0]}}
VOLUMES = {"mask": {("s0", ""): {"s": exp(3) - 1}, ("s1", ""): {"s": exp(5) - 1}}}
"""Features 3 and 5: logarithms of one and the volume."""


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return write_cohort(tmp_path, [40.0, 50.0, 60.0], 3)


def make_model(
    kind: str, coefficients: list[list[float]], intercepts: list[float | None], **more: Any
) -> dict[str, Any]:
    usual = {"name": "volume of mask", "task": "size", "kind": kind, "inputs": INPUTS, "visits": None}
    return {
        **usual,
        "center": [1.0],
        "scale": [2.0],
        "coefficients": coefficients,
        "intercepts": intercepts,
        **more,
    }


def answer(model: dict[str, Any], cohort: Cohort, subject: int = 0) -> dict[str, list[Any]] | None:
    found = apply_baseline(model, cohort, [cohort.cases[subject]], VOLUMES)
    return None if found is None else {k: v.tolist() for k, v in found.items()}


def test_a_number_is_slope_times_standardized_feature_and_intercept(cohort: Cohort) -> None:
    assert answer(make_model("regression", [[0.5]], [10.0]), cohort) == {"value": [pytest.approx(10.5)]}
    assert answer(make_model("regression", [[0.5]], [10.0]), cohort, 1) == {"value": [pytest.approx(11.0)]}
    assert answer(make_model("regression", [[0.5]], [10.0]), cohort, 2) is None


def test_classes_have_probabilities_that_sum_to_one(cohort: Cohort) -> None:
    found = answer(make_model("classification", [[0.0], [log(3)]], [0.0, 0.0]), cohort)
    assert found == {"p": [pytest.approx([0.25, 0.75])]}
    never = answer(make_model("ordinal", [[0.0], [0.0], [0.0]], [0.0, None, 0.0]), cohort)
    assert never == {"p": [pytest.approx([0.5, 0.0, 0.5])]}


def test_labels_are_answered_one_by_one(cohort: Cohort) -> None:
    found = answer(make_model("multilabel", [[0.0], [log(3)], [0.0], [0.0]], [0.0, 0.0, log(4), 0.0]), cohort)
    assert found == {"p": [pytest.approx([0.75, 0.2])]}


def test_a_risk_raises_the_baseline_hazard(cohort: Cohort) -> None:
    model = make_model(
        "survival",
        [[log(2)]],
        [0.0],
        baseline={"times": [4.0, 9.0], "hazard": [0.1, 0.3]},
        horizons=[5.0, 10.0],
    )
    found = answer(model, cohort)
    assert found is not None
    assert found["risk"] == [pytest.approx(log(2))]
    assert found["p"][0][0] == pytest.approx(1 - exp(-0.2))
    assert np.isnan(found["p"][0][1])
    wild = answer(
        {
            **model,
            "horizons": [4.0],
            "coefficients": [[1e6]],
            "baseline": {"times": [4.0], "hazard": [1e-23]},
        },
        cohort,
    )
    assert wild is not None
    assert wild["p"][0][0] == pytest.approx(1 - exp(-1e-23 * exp(50)))


def test_members_are_averaged_where_all_answer(cohort: Cohort) -> None:
    members = [make_model("regression", [[0.5]], [10.0]), make_model("regression", [[0.5]], [20.0])]
    ids, found = answer_with_baseline(members, cohort, [("s1", ""), ("s2", ""), ("s0", "")], VOLUMES)
    assert ids == [("s1", ""), ("s0", "")]
    assert found["value"].tolist() == pytest.approx([16.0, 15.5])
    missing = {**INPUTS["volumes"], "task": "other"}
    less = [members[0], {**members[1], "inputs": {"volumes": missing}}]
    assert answer_with_baseline(less, cohort, [("s0", "")], VOLUMES) == ([], {})


def test_coefficients_that_do_not_fit_are_one_line(cohort: Cohort) -> None:
    with pytest.raises(PolytaskError, match="the simple model 'volume of mask' of 'size' cannot be applied"):
        answer(make_model("regression", [[0.5, 0.5]], [10.0]), cohort)
