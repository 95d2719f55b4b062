"""Where a figure is not defined the page says what is lacking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.inference.pooled_answers import PooledAnswers
from polytask.report.display_names import DisplayNames
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import render_run_page
from polytask.report.undefined_reasons import explain_undefined_metric
from polytask.tasks import make_task
from tests.evaluation.worlds import items

CLASSES = ("no", "yes")
OS: dict[str, Any] = {
    "horizons": (100.0, 900.0),
    "unit": "days",
    "censoring": {"times": (200.0, 800.0), "survival": (0.5, 0.05)},
}


def p_of(truth: list[int], classes: int = 2) -> np.ndarray:
    return np.eye(classes)[truth] * 0.8 + 0.2 / classes


def answers_of(task: str, found: PooledAnswers | CaseMetrics) -> PartAnswers:
    sites = {s: "A" for s, _ in found.ids}
    if isinstance(found, CaseMetrics):
        return PartAnswers(sites, {}, {task: found}, {})
    return PartAnswers(sites, {task: found}, {}, {task: 2})


def survival(values: list[list[float]]) -> PooledAnswers:
    count = len(values)
    return items({"risk": np.arange(count) * 1.0, "p": np.full((count, 2), 0.5)}, values)


WORLDS: list[tuple[str, dict[str, Any], PooledAnswers | CaseMetrics, str, str]] = [
    (
        "classification",
        {"classes": CLASSES},
        items({"p": p_of([0, 0])}, [0, 0]),
        "auc",
        "no known subject is yes",
    ),
    (
        "classification",
        {"classes": ("a", "b", "c")},
        items({"p": p_of([0, 1], 3)}, [0, 1]),
        "auc.c",
        "no known subject has c",
    ),
    (
        "ordinal",
        {"classes": ("G1", "G2")},
        items({"p": p_of([1, 1])}, [1, 1]),
        "auc.G2",
        "every known subject has G2 or higher",
    ),
    (
        "ordinal",
        {"classes": ("G1", "G2")},
        items({"p": p_of([1, 1])}, [1, 1]),
        "kappa",
        "all known subjects are G2",
    ),
    (
        "multilabel",
        {"labels": ("x", "y")},
        items({"p": np.full((2, 2), 0.4)}, [[1, 0], [0, 0]], np.ones((2, 2), bool)),
        "auc.y",
        "no known subject has y",
    ),
    ("regression", {}, items({"value": np.array([1.0])}, [2.0]), "r2", "fewer than 2 subjects are known"),
    ("regression", {}, items({"value": np.array([1.0, 2.0])}, [2.0, 2.0]), "r2", "all true values are equal"),
    ("survival", OS, survival([[5.0, 0], [9.0, 0]]), "c", "no event was observed"),
    ("survival", OS, survival([[50.0, 0], [150.0, 1]]), "auc.T100", "no event by 100 days"),
    (
        "survival",
        OS,
        survival([[50.0, 1], [950.0, 0]]),
        "auc.T900",
        "fewer than a tenth of the training subjects were followed for 900 days",
    ),
    ("survival", OS, survival([[50.0, 1], [60.0, 1]]), "auc.T100", "nobody was followed beyond 100 days"),
    *(
        (
            "survival",
            {**OS, "loss": "hazard", "bins": (90.0,)},
            items({"risk": np.arange(2.0), "p": np.full((2, 2), np.nan)}, [[50.0, 1], [950.0, 0]]),
            metric,
            "no probability: no event in training later than 90 days, where the intervals end",
        )
        for metric in ("auc.T100", "brier.T100")
    ),
    (
        "survival",
        {**OS, "baseline": {"times": (60.0,), "hazard": (0.2,)}},
        items({"risk": np.arange(2.0), "p": np.full((2, 2), np.nan)}, [[50.0, 1], [950.0, 0]]),
        "brier.T100",
        "no probability: nobody in training was followed for longer than 60 days",
    ),
    (
        "classification",
        {"classes": CLASSES},
        PooledAnswers((), {}, np.zeros(0), np.zeros(0, bool)),
        "auc",
        "nothing was predicted for 2 known subjects",
    ),
    (
        "classification",
        {"classes": CLASSES},
        items({"p": p_of([0])}, [0], np.array([False])),
        "auc",
        "the answer is known for no subject",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "found", "metric", "reason"), WORLDS)
def test_the_reason_is_what_is_lacking(
    kind: str, fields: dict[str, Any], found: PooledAnswers, metric: str, reason: str
) -> None:
    """And the figure is indeed not defined there."""
    task = make_task("t", {"kind": kind, "level": "subject", **fields})
    answers = answers_of("t", found)
    assert not np.isfinite(
        PartStatistic({"t": task}, answers, list(answers.sites)).whole["t"].get(metric, np.nan)
    )
    assert explain_undefined_metric(task, metric, answers) == reason


def test_masks_that_are_known_nowhere() -> None:
    task = make_task(
        "t", {"kind": "segmentation", "level": "voxel", "structures": ("liver",), "exclusive": True}
    )
    nobody = answers_of("t", CaseMetrics((), ()))
    assert explain_undefined_metric(task, "dice", nobody) == "the mask is known for no case"
    one = answers_of("t", CaseMetrics((("1", ""),), ({"dice": 0.5, "dice.spleen": 0.5},)))
    titled = DisplayNames(words={"t": {"liver": "Liver (whole)"}})
    assert (
        explain_undefined_metric(task, "dice.liver", one, names=titled) == "Liver (whole) is known in no case"
    )
    assert explain_undefined_metric(task, "dice", one, subjects={"2"}) == "the mask is known for no case"


@pytest.mark.usefixtures("without_pictures")
def test_the_page_says_why(flat: ReportMaterial) -> None:
    """In the tables of the part and of the sites."""
    one = flat.answers.pooled["pattern"]
    pooled = flat.answers.pooled | {"pattern": replace(one, value=np.zeros_like(one.value))}
    answers = replace(flat.answers, pooled=pooled)
    metrics = dict(flat.evaluation.metrics)
    undefined = flat.evaluation.metrics["pattern"]["auc"]._replace(
        estimate=np.nan, low=np.nan, high=np.nan, n=0
    )
    metrics["pattern"] = metrics["pattern"] | {"auc": undefined}
    found = replace(flat.evaluation, metrics=metrics)
    assert "no known case is hollow" in render_run_page(replace(flat, answers=answers, evaluation=found))
