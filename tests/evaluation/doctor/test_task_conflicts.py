"""When two tasks count as pulling against each other, at every bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.task_conflicts import find_conflicts
from tests.evaluation.doctor.worlds import make_chart, make_look

BOTH = {"size": 1.0, "grade": 1.0}


def find_conflict(cosines: Sequence[float], sharing: str = "hard", **world: Any) -> list[Finding]:
    looks = [make_look(k + 1, BOTH, cosines={"size grade": c}) for k, c in enumerate(cosines)]
    return list(find_conflicts(make_chart([*looks, make_look(90, BOTH)], sharing=sharing, **world)))


@pytest.mark.parametrize(
    ("cosines", "said"),
    [
        ([-0.2] * 6, True),
        ([-0.19] * 6, False),
        ([-0.3, -0.3, -0.2, 0.0, 0.0], True),
        ([-0.3] * 4 + [0.0] * 3, False),
        ([-0.3] * 4, False),
        ([-0.3] * 5, True),
        ([0.3] * 6, False),
    ],
)
def test_most_cosines_and_their_median_are_below_nothing(cosines: list[float], said: bool) -> None:
    assert bool(find_conflict(cosines)) == said


def test_the_share_and_the_median_are_told() -> None:
    (found,) = find_conflict([-0.4, -0.3, -0.2, -0.3, 0.5])
    assert found.tasks == ("size", "grade")
    assert found.evidence == {"share": 0.8, "looks": 5, "cosine": -0.3}


def test_the_remedy_is_a_rule_or_features_of_their_own_or_a_split() -> None:
    assert "--balance upgrad; or train grade separately: --tasks size" in find_conflict([-0.3] * 5)[0].remedy
    assert "--sharing mtan_light" in find_conflict([-0.3] * 5, rule="upgrad")[0].remedy
    assert "--sharing single" in find_conflict([-0.3] * 5, rule="upgrad", sharing="mtan")[0].remedy
