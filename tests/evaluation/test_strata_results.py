from __future__ import annotations

from dataclasses import replace
from math import isfinite, isnan, sqrt
from pathlib import Path

import numpy as np
import pytest

from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.strata_results import estimate_metrics_by_stratum, list_strata
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.evaluation.worlds import answers, items

RECORD = {"name": "x", "fold": 1, "seed": 0, "sharing": "hard"}
TASKS: dict[str, Task] = {
    "type": make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")}),
    "size": make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0}),
}


@pytest.fixture
def judged() -> PartAnswers:
    """240 subjects; the model is right for those of `F` and guesses for those of `M`; 6 are of neither."""
    random = np.random.default_rng(3)
    n = 240
    truth = random.integers(0, 2, n)
    female = np.arange(n) % 2 == 0
    p = np.clip(np.where(female, 0.8 * truth, 0.0) + 0.2 * random.random(n), 0, 1)
    size = random.normal(size=n)
    made = answers(
        {
            "type": items({"p": np.stack([1 - p, p], 1)}, truth),
            "size": items({"value": size + random.normal(size=n) * np.where(female, 0.1, 1.0)}, size),
        }
    )
    subjects = list(made.sites)
    sex = {s: "" if k < 6 else "F" if female[k] else "M" for k, s in enumerate(subjects)}
    age = {s: ("< 50", "50 to < 70", "≥ 70")[k % 3] for k, s in enumerate(subjects)}
    return replace(made, strata={"sex": sex, "age": age})


def test_metrics_of_a_stratum_are_those_of_its_subjects_alone(judged: PartAnswers) -> None:
    results = estimate_metrics_by_stratum(TASKS, judged, resamples=200)
    assert {column: list(strata) for column, strata in results.items()} == {
        "sex": ["F", "M"],
        "age": ["< 50", "50 to < 70", "≥ 70"],
    }
    for column, strata in results.items():
        for name, result in strata.items():
            members = [s for s, own in judged.strata[column].items() if own == name]
            alone = evaluate_answers(
                TASKS, judged.restrict_to_subjects(members), RECORD, "tune", resamples=200
            )
            assert result.metrics == alone.metrics
            assert result.subjects == len(members) == result.metrics["type"]["auc"].n
    assert results["sex"]["F"].metrics["type"]["auc"].estimate == 1.0
    assert results["sex"]["M"].metrics["type"]["auc"].estimate < 0.7


def test_a_difference_is_against_everybody_else_with_a_known_stratum(judged: PartAnswers) -> None:
    results = estimate_metrics_by_stratum(TASKS, judged, resamples=200)
    a, b = (results["sex"][s].metrics["type"]["auc"] for s in ("F", "M"))
    difference = results["sex"]["F"].differences["type"]
    assert difference.estimate == pytest.approx(a.estimate - b.estimate)
    # Zou and Donner 2008: the distances to the two ends are added like standard errors.
    assert difference.low == pytest.approx(
        difference.estimate - sqrt((a.estimate - a.low) ** 2 + (b.high - b.estimate) ** 2)
    )
    assert difference.high == pytest.approx(
        difference.estimate + sqrt((a.high - a.estimate) ** 2 + (b.estimate - b.low) ** 2)
    )
    assert difference.low > 0.2
    assert difference.n == 234
    opposite = results["sex"]["M"].differences["type"]
    assert opposite[:3] == pytest.approx((-difference.estimate, -difference.high, -difference.low))
    # Of three strata, each is compared with the two others together.
    others = [s for s, own in judged.strata["age"].items() if own != "≥ 70"]
    rest = evaluate_answers(TASKS, judged.restrict_to_subjects(others), RECORD, "tune", resamples=200)
    third = results["age"]["≥ 70"]
    assert third.differences["size"].estimate == pytest.approx(
        third.metrics["size"]["r2"].estimate - rest.metrics["size"]["r2"].estimate
    )


def test_a_small_stratum_has_no_interval_and_says_why(judged: PartAnswers) -> None:
    few = {s: ("few" if k < 8 else "many") for k, s in enumerate(judged.sites)}
    result = estimate_metrics_by_stratum(TASKS, replace(judged, strata={"arm": few}), resamples=50)["arm"]
    difference = result["few"].differences["type"]
    assert isfinite(difference.estimate)
    assert isnan(difference.low)
    assert "too few" in difference.reason


def test_a_single_stratum_is_compared_with_nobody(judged: PartAnswers) -> None:
    one = estimate_metrics_by_stratum(
        TASKS, replace(judged, strata={"sex": dict.fromkeys(judged.sites, "F")}), resamples=50
    )["sex"]
    assert list(one) == ["F"]
    assert isnan(one["F"].differences["type"].estimate)
    assert one["F"].differences["type"].n == 0


def test_bands_stand_in_ascending_order_and_unknown_is_none() -> None:
    bands = ["≥ 100", "9 to < 50", "< 9", "50 to < 100", ""]
    assert list_strata(dict(zip("abcde", bands, strict=True))) == ["< 9", "9 to < 50", "50 to < 100", "≥ 100"]
    assert list_strata({"a": "M", "b": "F", "c": "M"}) == ["F", "M"]


def test_strata_are_kept_in_both_files(judged: PartAnswers, tmp_path: Path) -> None:
    evaluation = evaluate_answers(TASKS, judged, RECORD, "held_out", resamples=50)
    evaluation.write(tmp_path / "evaluation.json")
    judged.write(tmp_path / "answers.json")
    assert Evaluation.read(tmp_path / "evaluation.json").strata == evaluation.strata
    assert PartAnswers.read(tmp_path / "answers.json").strata == judged.strata
