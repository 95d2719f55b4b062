"""Metrics of a task that follows another: given that it applies, and end to end, with the cases that are ruled out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score

from polytask.evaluation.cases_csv import write_cases
from polytask.evaluation.end_to_end import find_applicability
from polytask.evaluation.metric_estimates import count_evidence, describe_task, estimate_metrics
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.predict.applicable_answers import mark_not_applicable
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.evaluation.worlds import answers, items

TASKS: dict[str, Task] = {
    "diagnosis": make_task(
        "diagnosis",
        {"kind": "classification", "level": "visit", "classes": ["benign", "unclear", "malignant"]},
    ),
    "severity": make_task(
        "severity",
        {
            "kind": "ordinal",
            "level": "visit",
            "classes": ["mild", "severe"],
            "applies_when": {"diagnosis": ["unclear", "malignant"]},
        },
    ),
    "size": make_task(
        "size", {"kind": "regression", "level": "visit", "applies_when": {"diagnosis": ["malignant"]}}
    ),
}


def give(
    diagnosis: list[int | None], called: list[int], grade: list[int | None], graded: list[int]
) -> PartAnswers:
    """Truths (None = unknown) and answers, by subject."""
    sure = np.eye(3)[called] * 0.8 + 0.1
    grades = np.eye(2)[graded] * 0.6 + 0.2
    return answers(
        {
            "diagnosis": items({"p": sure}, [v or 0 for v in diagnosis], [v is not None for v in diagnosis]),
            "severity": items({"p": grades}, [v or 0 for v in grade], [v is not None for v in grade]),
            "size": items(
                {"value": np.arange(len(grade)) * 1.0}, [0.0] * len(grade), [v == 2 for v in diagnosis]
            ),
        }
    )


#          benign, benign, malignant, malignant, malignant, malignant, unclear, unknown, malignant: not graded
TRUTH: list[int | None] = [0, 0, 2, 2, 2, 2, 1, None, 2]
CALLED = [0, 2, 2, 2, 0, 2, 0, 1, 2]
GRADE: list[int | None] = [None, None, 0, 1, 1, 0, 1, 1, None]
GRADED = [1, 1, 0, 1, 1, 1, 1, 1, 0]
# Not applicable is 0, mild 1, severe 2; the last subject is not known end to end.
WHOLE_TRUTH = [0, 0, 1, 2, 2, 1, 2, 2]
WHOLE_ANSWER = [0, 2, 1, 2, 0, 2, 0, 2]


def test_end_to_end_is_the_metric_with_one_more_class() -> None:
    given = give(TRUTH, CALLED, GRADE, GRADED)
    found = PartStatistic(TASKS, given, list(given.sites)).whole["severity"]
    assert found["accuracy.end_to_end"] == accuracy_score(WHOLE_TRUTH, WHOLE_ANSWER)
    assert found["balanced_accuracy.end_to_end"] == pytest.approx(
        balanced_accuracy_score(WHOLE_TRUTH, WHOLE_ANSWER)
    )
    assert found["kappa.end_to_end"] == pytest.approx(
        cohen_kappa_score(WHOLE_TRUTH, WHOLE_ANSWER, weights="quadratic")
    )
    assert found["n.end_to_end"] == 8
    assert found["reached"] == 4 / 6, "of six known grades two are ruled out by the answered diagnosis"


def test_the_metrics_themselves_are_those_of_the_cases_to_which_the_task_applies() -> None:
    known = [k for k, grade in enumerate(GRADE) if grade is not None]
    given = give(TRUTH, CALLED, GRADE, GRADED)
    found = PartStatistic(TASKS, given, list(given.sites)).whole["severity"]
    assert found["accuracy"] == accuracy_score([GRADE[k] for k in known], [GRADED[k] for k in known])
    assert found["n"] == 6
    always = {
        **TASKS,
        "severity": make_task(
            "severity", {"kind": "ordinal", "level": "visit", "classes": ["mild", "severe"]}
        ),
    }
    plain = PartStatistic(always, given, list(given.sites)).whole["severity"]
    assert {k: v for k, v in found.items() if k in plain} == pytest.approx(plain, nan_ok=True)
    assert not any(k.endswith("end_to_end") for k in plain)


def test_every_end_to_end_metric_has_an_interval_and_its_own_n() -> None:
    random = np.random.default_rng(0)
    truth = [int(v) for v in random.integers(0, 3, 200)]
    grade = [int(random.integers(0, 2)) if v else None for v in truth]
    right = random.random(200) < 0.8
    called = [v if hit else 0 for v, hit in zip(truth, right, strict=True)]
    given = give(truth, called, grade, [g or 0 for g in grade])
    statistic = PartStatistic(TASKS, given, list(given.sites))
    found = estimate_metrics(statistic, 50)[0]["severity"]
    for name in ("accuracy.end_to_end", "balanced_accuracy.end_to_end", "kappa.end_to_end", "reached"):
        assert found[name].estimate == pytest.approx(statistic.whole["severity"][name])
        assert found[name].low < found[name].estimate < found[name].high
    assert found["accuracy.end_to_end"].n == 200
    assert found["reached"].n == found["accuracy"].n == sum(g is not None for g in grade)
    # Grades are all right where they are reached, so that only the diagnosis costs.
    assert found["accuracy"].estimate == 1.0
    assert found["accuracy.end_to_end"].estimate < 1.0
    number = estimate_metrics(statistic, 50)[0]["size"]
    assert not [m for m in number if m.endswith("end_to_end")]
    assert number["reached"].n == truth.count(2)


def test_not_applicable_is_not_missing() -> None:
    given = give(TRUTH, CALLED, GRADE, GRADED)
    counts = count_evidence(TASKS["severity"], given, TASKS)
    assert (counts["items"], counts["known"], counts["not_applicable"]) == (9, 6, 2)
    assert "not_applicable" not in count_evidence(TASKS["diagnosis"], given, TASKS)
    assert describe_task(TASKS["severity"])["applies_when"] == {"diagnosis": ["unclear", "malignant"]}


def test_without_the_task_that_decides_nothing_is_said_end_to_end() -> None:
    given = give(TRUTH, CALLED, GRADE, GRADED)
    alone = {"severity": TASKS["severity"]}
    assert find_applicability("severity", alone, given) is None
    assert "reached" not in PartStatistic(alone, given, list(given.sites)).whole["severity"]


def test_a_diagnosis_of_the_subject_holds_at_its_visits_and_through_chains() -> None:
    whole = make_task("diagnosis", {"kind": "classification", "level": "subject", "classes": ["a", "b"]})
    graded = make_task(
        "severity",
        {"kind": "ordinal", "level": "visit", "classes": ["x", "y"], "applies_when": {"diagnosis": ["b"]}},
    )
    stage = make_task(
        "stage",
        {"kind": "ordinal", "level": "visit", "classes": ["I", "II"], "applies_when": {"severity": ["y"]}},
    )
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    by_visit = np.array([[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.7, 0.3]])
    visits = (("s0", "v1"), ("s0", "v2"), ("s1", "v1"), ("s1", "v2"))
    value, known = np.array([0, 0, 1, 0]), np.array([False, False, True, True])
    given = answers(
        {
            "diagnosis": items({"p": p}, [0, 1]),
            "severity": type(items({"p": p}, [0, 1]))(visits, {"p": by_visit}, value, known),
            "stage": type(items({"p": p}, [0, 1]))(visits, {"p": by_visit}, value, np.zeros(4, bool)),
        }
    )
    tasks = {"diagnosis": whole, "severity": graded, "stage": stage}
    severity, chained = (find_applicability(n, tasks, given) for n in ("severity", "stage"))
    assert severity is not None
    assert severity.truth.tolist() == [0, 0, 1, 1]
    assert severity.answered.tolist() == [False, False, True, True]
    assert chained is not None
    assert chained.truth.tolist() == [0, 0, 1, 0], "where the severity does not apply, neither does the stage"
    assert chained.answered.tolist() == [False, False, True, False]


def test_the_table_of_cases_says_not_applicable(tmp_path) -> None:  # type: ignore[no-untyped-def]
    given = give(TRUTH, CALLED, GRADE, GRADED)
    write_cases(TASKS, given, tmp_path / "cases.csv")
    rows = [line.split(",") for line in (tmp_path / "cases.csv").read_text().splitlines()]
    place = [rows[0].index(f"severity.{c}") for c in ("truth", "answer", "p.severe")]
    assert [[row[k] for k in place] for row in rows[1:4]] == [
        ["not applicable", "not applicable", "0.8"],
        ["not applicable", "severe", "0.8"],
        ["mild", "mild", "0.2"],
    ]
    assert rows[5][place[1]] == "not applicable", "a missed malignant case"


def test_only_what_is_decided_becomes_not_applicable() -> None:
    rows = {
        ("a", "v1"): {
            "diagnosis": "benign",
            "severity": "mild",
            "severity.p.mild": "0.9",
            "severity.set": "mild;severe",
            "severity.at_sensitivity_90": "severe",
        },
        ("b", "v1"): {"diagnosis": "malignant", "severity": "mild"},
        ("c", "v1"): {"severity": "mild"},
        ("d", "v1"): {"diagnosis": "benign"},
    }
    mark_not_applicable(rows, TASKS)
    assert rows["a", "v1"] == {
        "diagnosis": "benign",
        "severity": "not applicable",
        "severity.p.mild": "0.9",
        "severity.set": "mild;severe",
        "severity.at_sensitivity_90": "not applicable",
    }
    assert rows["b", "v1"]["severity"] == rows["c", "v1"]["severity"] == "mild"
    assert rows["d", "v1"] == {"diagnosis": "benign"}, "a task without an answer gets no cell"


def test_an_answer_about_the_subject_rules_out_those_of_its_visits() -> None:
    whole = make_task(
        "diagnosis", {"kind": "classification", "level": "subject", "classes": ["benign", "malignant"]}
    )
    rows = {
        ("a", "v1"): {"severity": "mild"},
        ("a", "v2"): {"severity": "severe"},
        ("a", ""): {"diagnosis": "benign"},
        ("b", "v1"): {"severity": "mild"},
        ("b", ""): {"diagnosis": "malignant"},
    }
    mark_not_applicable(rows, {**TASKS, "diagnosis": whole})
    assert [row.get("severity") for row in rows.values()] == [
        "not applicable",
        "not applicable",
        None,
        "mild",
        None,
    ]
