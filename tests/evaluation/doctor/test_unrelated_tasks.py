"""When tasks count as strangers, at every bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.unrelated_tasks import find_unrelated_tasks
from tests.evaluation.doctor.worlds import make_chart

FOUR = ("lesion", "grade", "diameter", "size")


def find_strangers(
    common: Mapping[str, float], steps: int = 40, tasks: Sequence[str] = ("size", "grade"), **world: Any
) -> list[Finding]:
    entries = [{"step": steps, "loss": dict.fromkeys(tasks, 0.5), "common": dict(common)}]
    return list(find_unrelated_tasks(make_chart(entries, tasks, **{"rule": "upgrad", **world})))


@pytest.mark.parametrize(("share", "steps", "said"), [(0.49, 20, True), (0.5, 40, False), (0.1, 19, False)])
def test_they_share_no_sample_in_most_of_twenty_steps_or_more(share: float, steps: int, said: bool) -> None:
    assert bool(find_strangers({"size grade": share}, steps)) == said


def test_it_matters_where_a_rule_reads_gradients_at_the_features() -> None:
    assert not find_strangers({"size grade": 0.1}, rule="equal")
    assert not find_strangers({"size grade": 0.1}, cut="parameters")


def test_the_three_rarest_pairs_are_told_and_the_rest_counted() -> None:
    pairs = {f"{a} {b}": 0.1 * k for k, (a, b) in enumerate([(a, b) for a in FOUR for b in FOUR if a < b])}
    (found,) = find_strangers(pairs, tasks=FOUR)
    assert found.evidence["steps"] == 40
    shown = [float(v) for k, v in found.evidence.items() if k != "steps"]
    assert shown == sorted(shown) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert " and 2 more pairs" in found.says
    (found,) = find_strangers({"size grade": 0.1, "size diameter": 0.2}, tasks=("size", "grade", "diameter"))
    assert "more pairs" not in found.says
    assert found.tasks == ("size", "grade", "diameter")
    assert "size and grade 10%, size and diameter 20%" in found.says


def test_only_those_who_are_strangers_are_named() -> None:
    (found,) = find_strangers({"size grade": 0.1, "size diameter": 0.9}, tasks=("size", "grade", "diameter"))
    assert found.tasks == ("size", "grade")
