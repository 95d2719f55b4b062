"""A study runs on the folds that can train one of its tasks, and times the fold that trains most of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from polytask.study.workspace import Workspace


def workspace_of(*folds: tuple[str, ...]) -> Workspace:
    """A workspace whose plan trains these tasks in each fold; the others of `a`, `b`, `c` are not trained there."""
    every = ("a", "b", "c")
    parts = {
        number: SimpleNamespace(tasks=dict.fromkeys(own), untrained={t: "" for t in every if t not in own})
        for number, own in enumerate(folds)
    }
    nothing: Any = None
    plan: Any = SimpleNamespace(folds=parts)
    return Workspace(Path(), plan, nothing, nothing, nothing)


def test_folds_that_cannot_train_any_task_are_left_out() -> None:
    workspace = workspace_of(("a", "b"), ("a", "b", "c"), ("b", "c"))
    assert workspace.tasks(None) == ["a", "b", "c"]
    assert workspace.folds(None, ["a", "c"]) == (0, 1, 2)
    assert workspace.folds(None, ["c"]) == (1, 2)
    assert workspace.folds(2, ["c"]) == (1,)
    assert workspace.choose_timed_fold((0, 1, 2), ["a", "c"]) == 1
    assert workspace.list_trained_tasks(0, ["a", "c"]) == ["a"]
