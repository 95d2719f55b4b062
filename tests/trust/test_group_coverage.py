"""For whom sets hold the truth: groups on the halves that fitted nothing."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from polytask.evaluation.evaluation_result import Estimate
from polytask.inference.pooled_answers import PooledAnswers
from polytask.plain import make_plain
from polytask.trust.answer_forms import FORMS
from polytask.trust.fit_runs import RunsTrust
from polytask.trust.fit_task import TaskTrust, fit_task
from polytask.trust.group_coverage import (
    average_groups,
    estimate_coverage,
    list_group_remarks,
    parse_group_checks,
)


@pytest.fixture(scope="module")
def fitted() -> TaskTrust:
    """Numbers whose error is three times as large for `M`, at two sites that do not matter; eight are `rare`."""
    random, n = np.random.default_rng(1), 240
    male = np.arange(n) % 4 == 0
    truth = random.normal(size=n)
    value = truth + random.normal(size=n) * np.where(male, 3.0, 1.0)
    ids = tuple((f"{k // 2}", f"v{k % 2}") for k in range(n))
    groups = {
        "site": {str(k): "AB"[k % 3 == 0] for k in range(n // 2)},
        "sex": {str(k): "M" if male[2 * k] else "F" for k in range(n // 2)},
        "kind": {str(k): "rare" if k < 8 else "usual" for k in range(n // 2)},
        "same": dict.fromkeys(map(str, range(n // 2)), "all"),
    }
    # Both visits of a subject are of one sex.
    value[1::2] = truth[1::2] + np.where(male[::2], 3.0, 1.0) * random.normal(size=n // 2)
    answers = PooledAnswers(ids, {"value": value}, truth, np.ones(n, bool))
    return fit_task(FORMS["number"], "size", answers, 0.2, 0, groups)


def test_the_group_that_is_held_less_often_is_told(fitted: TaskTrust) -> None:
    assert fitted.check is not None
    groups = fitted.check.groups
    assert set(groups) == {"site", "sex", "kind"}
    male, female = groups["sex"]["M"], groups["sex"]["F"]
    assert male.difference.high < -0.05
    assert female.difference.low == pytest.approx(-male.difference.high)
    assert male.subjects + female.subjects == 120
    assert male.coverage.n + female.coverage.n == 240
    whole = (male.coverage.estimate * male.coverage.n + female.coverage.estimate * female.coverage.n) / 240
    assert whole == pytest.approx(fitted.check.coverage.mean, abs=0.02)
    site = groups["site"]["A"].difference
    assert site.low < 0 < site.high
    assert "too few: 8 subjects" in groups["kind"]["rare"].difference.reason
    assert not np.isfinite(male.error.estimate), "numbers have no probabilities"


def test_remarks_name_the_group_and_how_many_were_looked_at(fitted: TaskTrust) -> None:
    runs = cast(RunsTrust, SimpleNamespace(tasks={"size": (fitted,)}))
    told = list(list_group_remarks(runs))
    assert told[0].startswith("size: held least often in sex M: ")
    assert told[0].endswith("2 with too few subjects for a difference")
    assert told[1].startswith("4 groups were compared; about 0.2")


def test_groups_are_written_and_read_again(fitted: TaskTrust) -> None:
    assert fitted.check is not None
    written: Any = make_plain(asdict(fitted.check))["groups"]
    assert str(parse_group_checks(written)) == str(fitted.check.groups)


def test_coverage_counts_known_answers_only() -> None:
    held = np.array([[1.0], [np.nan], [0.5], [1.0]])
    told = estimate_coverage(["a", "a", "b", "c"], held, ["a", "b"])
    assert (told.estimate, told.n) == (0.75, 2)


def test_folds_are_averaged_by_their_answers(fitted: TaskTrust) -> None:
    assert fitted.check is not None
    groups = fitted.check.groups
    coverage, difference = average_groups([groups, groups])["sex"]["M"]
    own = groups["sex"]["M"]
    assert coverage.estimate == pytest.approx(own.coverage.estimate)
    assert coverage.n == 2 * own.coverage.n
    width = own.difference.high - own.difference.low
    assert difference.high - difference.low == pytest.approx(width / np.sqrt(2), rel=1e-6)
    assert isinstance(difference, Estimate)
