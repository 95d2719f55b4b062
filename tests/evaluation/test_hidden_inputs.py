"""Answers with inputs hidden."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.evaluation import hidden_inputs
from polytask.evaluation.hidden_inputs import (
    HiddenInputResults,
    measure_hidden_inputs,
    measure_primary_metrics,
)
from polytask.evaluation.part_answers import PartAnswers
from polytask.tasks import make_task
from tests.evaluation.worlds import items


def test_the_primary_metric_stands_without_an_interval() -> None:
    tasks = {
        "size": make_task("size", {"kind": "regression", "level": "visit"}),
        "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ["a", "b"]}),
    }
    size = items({"value": np.array([1.0, 2.0, 4.0])}, [1.0, 2.0, 3.0])
    answers = PartAnswers(
        {f"s{k}": "" for k in range(3)}, {"size": size, "grade": items({}, np.zeros(0))}, {}, {}
    )
    collector: Any = SimpleNamespace(tasks=tasks, answers=lambda samples: answers)
    found = measure_primary_metrics(collector, [])
    assert (found["size"].estimate, found["size"].n) == (pytest.approx(0.5), 3)
    assert np.isnan([found["size"].low, found["size"].high, found["grade"].estimate]).all()
    assert found["grade"].n == 0
    assert HiddenInputResults() == HiddenInputResults({}, ())


def test_every_combination_is_judged_once_and_what_gives_nothing_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = {"size": make_task("size", {"kind": "regression", "level": "visit"})}
    given: dict[Any, list[Any]] = {("ct",): [], ("age", "sex"): []}

    class Collected:
        def __init__(self, cohort: Any, tasks: Any, distances: bool = True) -> None:
            assert not distances
            self.tasks, self.seen = tasks, list[Any]()

        def __call__(self, answer: Any) -> None:
            self.seen.append(answer)

        def answers(self, samples: Any) -> PartAnswers:
            count = len(self.seen)
            value = np.arange(float(count))
            found = items({"value": value} if count else {}, value)
            return PartAnswers({f"s{k}": "" for k in range(count)}, {"size": found}, {}, {})

    def answer(predictor: Any, cohort: Any, samples: Any, chosen: Any, tta: bool) -> Any:
        assert tta
        for _ in range(3):
            yield ("ct",), SimpleNamespace(case="case")
        yield ("ct",), SimpleNamespace(case=None)

    monkeypatch.setattr(
        hidden_inputs, "choose_combinations", lambda reading, cohort: (list(given), [("ct", "age")])
    )
    monkeypatch.setattr(hidden_inputs, "list_affected_tasks", lambda reading, key: ["size"])
    monkeypatch.setattr(hidden_inputs, "predict_without_inputs", answer)
    monkeypatch.setattr(hidden_inputs, "AnswerCollector", Collected)
    told: list[tuple[int, int, str]] = []
    predictor: Any = SimpleNamespace(model_inputs=None, tasks=tasks)
    cohort: Any = SimpleNamespace(samples=lambda subjects: list(subjects))
    found = measure_hidden_inputs(predictor, cohort, ["a", "b"], True, lambda *what: told.append(what))
    assert list(found.metrics) == ["ct"]
    assert found.metrics["ct"]["size"].estimate == 1.0
    assert found.needed == ("ct;age", "age;sex")
    assert told == [(1, 4, "without ct"), (2, 4, "without ct"), (3, 4, "without ct"), (3, 4, "without ct")]
