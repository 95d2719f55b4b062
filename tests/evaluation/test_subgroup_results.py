"""Every site and subgroup against everybody else, and the worst of them."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, isnan
from pathlib import Path

import numpy as np
import pytest

from polytask.cli.subgroup_table import describe_worst_groups, make_subgroups_table
from polytask.evaluation.calibration_error import estimate_calibration_error
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.subgroup_results import (
    count_comparisons,
    estimate_group_calibration,
    find_worst_group,
)
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.evaluation.worlds import answers, items

RECORD = {"name": "x", "fold": 1, "seed": 0, "sharing": "hard"}
TASKS: dict[str, Task] = {
    "type": make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")}),
    "size": make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0}),
}


def make_part(n: int = 360) -> PartAnswers:
    """The model is well calibrated for `F`, and far too sure and often wrong for the few `M`; sites do not matter."""
    random = np.random.default_rng(3)
    male = random.random(n) < 0.35
    truth = (random.random(n) < 0.5).astype(int)
    z = random.normal(size=n) + np.where(male, 0.3, 2.0) * truth
    logit = np.where(male, 6 * (z - 0.15), 2 * z - 2)
    p = 1 / (1 + np.exp(-logit))
    size = random.normal(size=n)
    made = answers(
        {
            "type": items({"p": np.stack([1 - p, p], 1)}, truth),
            "size": items({"value": size + 0.3 * random.normal(size=n)}, size),
        }
    )
    subjects = list(made.sites)
    strata = {
        "sex": {s: "M" if male[k] else "F" for k, s in enumerate(subjects)},
        "arm": {s: "few" if k < 8 else "" if k < 12 else "many" for k, s in enumerate(subjects)},
        "same": dict.fromkeys(subjects, "all"),
    }
    return replace(made, sites={s: "ABC"[k % 3] for k, s in enumerate(subjects)}, strata=strata)


@pytest.fixture(scope="module")
def part() -> PartAnswers:
    return make_part()


@pytest.fixture(scope="module")
def judged(part: PartAnswers) -> Evaluation:
    return evaluate_answers(TASKS, part, RECORD, "held_out", resamples=100)


def test_sites_and_subgroups_are_compared_with_all_others(part: PartAnswers, judged: Evaluation) -> None:
    assert {column: list(groups) for column, groups in judged.subgroups.items()} == {
        "site": ["A", "B", "C"],
        "sex": ["F", "M"],
        "arm": ["few", "many"],
    }, "a column with one group compares nobody"
    males = judged.subgroups["sex"]["M"]["type"]
    assert males.difference == judged.strata["sex"]["M"].differences["type"]
    assert males.difference.high < 0
    site = judged.subgroups["site"]["A"]["size"]
    others = [s for s, own in part.sites.items() if own != "A"]
    rest = evaluate_answers(TASKS, part.restrict_to_subjects(others), RECORD, "tune", resamples=100)
    assert site.difference.estimate == pytest.approx(site.primary.estimate - rest.primary("size").estimate)


def test_calibration_is_that_of_the_group_alone(part: PartAnswers, judged: Evaluation) -> None:
    males = judged.subgroups["sex"]["M"]["type"]
    items_ = part.pooled["type"]
    mine = np.array([part.strata["sex"][s] == "M" for s, _ in items_.ids])
    alone = estimate_calibration_error(items_.prediction["p"][mine, 1], items_.value[mine], resamples=100)
    assert males.calibration.estimate == pytest.approx(alone.estimate)
    assert males.calibration_difference.low > 0.1
    females = judged.subgroups["sex"]["F"]["type"]
    opposite = females.calibration_difference
    assert opposite.low == pytest.approx(-males.calibration_difference.high)
    assert opposite.high == pytest.approx(-males.calibration_difference.low)
    assert isnan(judged.subgroups["sex"]["M"]["size"].calibration.estimate), "numbers have no probabilities"
    assert estimate_group_calibration(None, []).n == 0


def test_the_worst_group_is_named_with_how_many_were_looked_at(judged: Evaluation) -> None:
    worst = find_worst_group(judged.subgroups, "type", higher=True)
    assert worst is not None
    assert (worst.column, worst.group, worst.clear) == ("sex", "M", True)
    assert worst.compared == 5, "three sites and two sexes; the arms have too few for an AUC"
    lower = find_worst_group(judged.subgroups, "type", higher=False)
    assert lower is not None
    assert (lower.column, lower.group) == ("sex", "F")
    assert count_comparisons(judged.subgroups) == 2 * (3 + 1), "of two groups one difference says all"
    told = list(describe_worst_groups(judged))
    assert told[0].startswith("type: worst of 5 groups is sex M: auc -0.")
    assert "8 differences between groups had an interval; about 0.4" in told[-1]
    assert find_worst_group({}, "type", True) is None


def test_a_small_group_has_no_number_but_a_reason(judged: Evaluation) -> None:
    few = judged.subgroups["arm"]["few"]["type"]
    assert not isfinite(few.difference.low)
    assert "too few" in few.difference.reason
    assert "too few" in few.calibration.reason
    cells = make_subgroups_table(judged).columns
    row = [str(c) for c in cells[1].cells].index("arm few")
    assert str(list(cells[3].cells)[row]) == "too few"


def test_subgroups_are_kept_in_the_file(judged: Evaluation, tmp_path: Path) -> None:
    judged.write(tmp_path / "evaluation.json")
    again = Evaluation.read(tmp_path / "evaluation.json")
    # NaN is not equal to itself, but its text is.
    assert str(again.subgroups) == str(judged.subgroups)
