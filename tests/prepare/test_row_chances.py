"""Rows that strangers share, against strangers that are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polytask.prepare.row_chances import compute_row_chances, tells_people_apart
from tests.prepare.test_case_digests import table_cohort


def test_the_levels_of_the_columns_multiply(tmp_path: Path) -> None:
    cohort = table_cohort(tmp_path / "t", ["a,1,0.5,0,,,f,", "b,11,0.6,1,,,m,", "c,2,3.5,0,,,f,"])
    found = compute_row_chances(cohort, cohort.cases)
    assert found["a"] == pytest.approx((2 / 11) * (2 / 31)), "codes 0 and 1, and categories, tell nobody"
    assert len(set(found.values())) == 1


def test_codes_alone_never_tell_people_apart(tmp_path: Path) -> None:
    cohort = table_cohort(tmp_path / "t", ["a,0,1,0,1,0,f,", "b,1,0,1,0,1,m,"])
    found = compute_row_chances(cohort, cohort.cases)
    assert found == {"a": 1.0, "b": 1.0}
    assert not tells_people_apart(1.0, 1, 1)


def test_drawn_strangers_are_alike_no_oftener_than_said(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    drawn = [(int(random.normal(60, 10)), round(float(random.normal(5, 1)), 1)) for _ in range(400)]
    rows = [f"s{k},{age},{marker},,,,f," for k, (age, marker) in enumerate(drawn)]
    cohort = table_cohort(tmp_path / "t", rows)
    said = compute_row_chances(cohort, cohort.cases)["s0"]
    pairs = sum(a == b for k, a in enumerate(drawn) for b in drawn[:k])
    assert pairs > 0
    assert 0.5 < said * (400 * 399 / 2) / pairs < 4
    assert not tells_people_apart(said, 400, 400)
