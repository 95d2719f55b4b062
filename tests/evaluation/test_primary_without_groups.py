"""The primary metric without each group is what the task's own metrics say of the rest, for every pooled kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from polytask.evaluation.primary_without_groups import measure_without_groups
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from polytask.tasks.task import PooledTask, Task
from tests.evaluation.worlds import items

R = np.random.default_rng(5)
Made = Callable[[int], PooledAnswers]


def classes(count: int) -> Made:
    def make(n: int) -> PooledAnswers:
        truth = R.integers(0, count, n)
        return items({"p": np.round(R.dirichlet(np.ones(count), n) + 0.2 * np.eye(count)[truth], 2)}, truth)

    return make


def labels(n: int) -> PooledAnswers:
    truth = R.integers(0, 2, (n, 2)).astype(float)
    return replace(items({"p": np.round(R.random((n, 2)), 1)}, truth), known=np.ones((n, 2), bool))


def numbers(n: int) -> PooledAnswers:
    truth = R.normal(60, 3, n)
    return items({"value": truth + R.normal(size=n)}, truth)


def survival_times(n: int) -> PooledAnswers:
    value = np.stack([np.ceil(R.exponential(9, n)), R.random(n) < 0.6], 1).astype(float)
    return items({"risk": np.round(R.normal(size=n), 1), "p": np.full((n, 1), np.nan)}, value)


WORLDS: dict[str, tuple[dict[str, object], Made]] = {
    "two classes": ({"kind": "classification", "classes": ["a", "b"]}, classes(2)),
    "three classes": ({"kind": "classification", "classes": ["a", "b", "c"]}, classes(3)),
    "labels": ({"kind": "multilabel", "labels": ["x", "y"]}, labels),
    "ordered classes": ({"kind": "ordinal", "classes": ["a", "b", "c", "d"]}, classes(4)),
    "numbers": ({"kind": "regression"}, numbers),
    "survival": ({"kind": "survival", "horizons": [9.0], "unit": "days"}, survival_times),
}


def world(name: str, n: int) -> tuple[Task, PooledAnswers]:
    fields, make = WORLDS[name]
    found = make(n)
    some = R.random(found.known.shape) < 0.8  # among labels some are known of an item and others not
    return make_task("t", {"level": "visit", **fields}), replace(found, known=found.known & some)


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize(("n", "groups"), [(5, 5), (40, 40), (60, 6)])
def test_each_rest_is_as_the_metrics_say(name: str, n: int, groups: int) -> None:
    for _ in range(4):
        task, given = world(name, n)
        group = np.concatenate([np.arange(groups), R.integers(0, groups, n - groups)])
        found = measure_without_groups(task, given, group, groups)
        assert found
        for g in range(groups):
            rest = given.take(np.flatnonzero(group != g))
            expected = cast(PooledTask, task).metrics(rest.prediction, rest.value, rest.known)
            parts = [k for k in expected if k.startswith(f"{task.primary}.")] or [task.primary]
            assert list(found) == parts
            np.testing.assert_allclose([found[p][g] for p in parts], [expected[p] for p in parts], atol=1e-9)


def test_answers_that_are_no_numbers_and_kinds_from_elsewhere_have_no_such_way() -> None:
    task, given = world("survival", 20)
    known = np.flatnonzero(given.known)
    group = np.arange(20)
    given.prediction["risk"][known[0]] = np.nan
    assert measure_without_groups(task, given, group, 20) is None
    given.prediction["risk"][known[0]] = 1.0
    assert measure_without_groups(task, given, group, 20) is not None
    odd = type("Odd", (), {"primary": "auc", "kind": "odd"})()
    assert measure_without_groups(odd, given, group, 20) is None
    assert measure_without_groups(task, given.take(np.zeros(0, np.int64)), group[:0], 2) is None
