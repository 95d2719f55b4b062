"""A response is a change: two visits tell it, one alone does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.cohort.phantom import make_phantom
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.run_comparison import EvaluatedRun
from tests.journeys.outcome_runs import (
    compute_gain_between,
    is_clearly_better,
    plan_and_prepare,
    rewrite_cohort,
    train_and_evaluate,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SUBJECTS, LEARNING, TUNING, STEPS = 360, 144, 36, 360
VISIT_BY_TASK = {"first": "baseline", "second": "week6"}
"""Task → the only visit it may read. The answer is the response's."""


def split_response_by_visit(header: dict[str, Any]) -> None:
    """The response as three tasks on one column, by what they may read; the image alone."""
    asked = header["tasks"]["response"]
    header["tasks"] |= {
        name: asked | {"column": "response", "visits": [v]} for name, v in VISIT_BY_TASK.items()
    }
    del header["inputs"]["clinic"]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Evaluation]]:
    """The work folder and the three runs, each with the mask task and the same steps and loss weights."""
    folder = tmp_path_factory.mktemp("time")
    cohort = make_phantom(folder / "cohort", SUBJECTS, 32, 0, 2, 2, ["lesion", "response"], 1)
    rewrite_cohort(cohort, split_response_by_visit, lambda row: row | {"split": "train"})
    work = plan_and_prepare(cohort, folder / "work", LEARNING, TUNING)
    found = {
        "response": train_and_evaluate(work, "response", STEPS, preset="rpnet", tasks=["lesion", "response"])
    }
    for task in VISIT_BY_TASK:
        same = {"preset": "parallel", "time": "concat", "tasks": ["lesion", task]}
        found[task] = train_and_evaluate(work, task, STEPS, "training.weights.lesion=0.4", **same)
    return work, found


def test_rpnet_draws_masks_at_both_visits(judged: tuple[Path, dict[str, Evaluation]]) -> None:
    work, _ = judged
    masks = EvaluatedRun.read(work / "runs/response").answers.voxel["lesion"]
    visits = np.array([visit for _, visit in masks.ids])
    for visit in VISIT_BY_TASK.values():
        assert np.nanmean(masks.column("dice.lesion")[visits == visit]) > 0.7, visit


@pytest.mark.parametrize("one", list(VISIT_BY_TASK))
def test_two_visits_beat_one(one: str, judged: tuple[Path, dict[str, Evaluation]]) -> None:
    work, _ = judged
    found = compute_gain_between(work, ("response", "response"), (one, one))
    assert found.values[0] > 0.9
    assert is_clearly_better(found), found


def test_the_first_visit_alone_is_chance_and_the_second_lies_between(
    judged: tuple[Path, dict[str, Evaluation]],
) -> None:
    """The phantom deals response and first size apart: a guard that the comparison above is a fair one."""
    _, found = judged
    first, second, both = (found[t].primary(t) for t in ("first", "second", "response"))
    assert first.low < 0.5 < first.high
    assert first.high < second.estimate < both.estimate
