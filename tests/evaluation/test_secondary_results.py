"""What is judged beside the metrics of an evaluation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.evaluation import secondary_results
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.secondary_results import add_secondary_results
from polytask.tasks import make_task
from polytask.tasks.task import Task
from polytask.training.decisions import Decisions
from tests.evaluation.worlds import items

TASKS: dict[str, Task] = {
    "os": make_task("os", {"kind": "survival", "level": "subject", "horizons": [5.0]}),
    "two": make_task("two", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]}),
}
RECORD = {"name": "x", "fold": 0, "seed": 0, "sharing": "hard"}


def test_groups_curves_and_other_answers_stand_beside_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [[float(k + 1), 1.0] for k in range(6)]
    survival = items({"risk": np.arange(6.0), "p": np.full((6, 1), 0.5)}, times)
    p = np.linspace(0.1, 0.9, 6)
    two = items({"p": np.stack([1 - p, p], 1)}, [0, 0, 1, 0, 1, 1])
    answers = PartAnswers({f"s{k}": "" for k in range(6)}, {"os": survival, "two": two}, {}, {})
    found = evaluate_answers(TASKS, answers, RECORD, "held_out", 9)
    seen: list[Any] = []
    judged = SimpleNamespace(as_dict=lambda: {"told": True})

    def judge_given(table: Any, tasks: Any, answers: Any, cohort: str, resamples: int) -> SimpleNamespace:
        seen.append(resamples)
        return judged

    monkeypatch.setattr(secondary_results, "judge_other_answers", judge_given)
    monkeypatch.setattr(
        secondary_results,
        "judge_baselines",
        lambda tasks, answers, cohort, members, resamples: {"two": {"table": {}}},
    )
    tables: Any = [SimpleNamespace(table=SimpleNamespace(name=n)) for n in ("one", "other")]
    nothing: Any = None
    told: list[tuple[int, int, str]] = []
    decisions = Decisions({"os": (2.5,), "gone": (1.0,)})
    whole = add_secondary_results(
        found, TASKS, answers, nothing, decisions, (), tables, lambda *what: told.append(what)
    )
    assert whole.groups["os"]["groups"] == {
        "lower risk": {"n": 3, "events": 3},
        "higher risk": {"n": 3, "events": 3},
    }
    assert set(whole.groups) == {"os"}
    assert set(whole.decision_curves) == {"two"}
    assert whole.answers == {"one": {"told": True}, "other": {"told": True}}
    assert (whole.baselines, seen) == ({"two": {"table": {}}}, [9, 9])
    assert told == [(0, 2, "answers of one"), (1, 2, "answers of other"), (0, 1, "simple models")]
    assert whole.metrics == found.metrics


def test_nobody_answered_has_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = PartAnswers({"s0": ""}, {"os": items({}, np.zeros(0))}, {}, {})
    tasks = {"os": TASKS["os"]}
    found = evaluate_answers(tasks, answers, RECORD, "held_out", 9)
    nothing: Any = SimpleNamespace(table=Path("cases.csv"))
    assert add_secondary_results(found, tasks, answers, nothing, Decisions({"os": (2.5,)})).groups == {}
