"""A study says which folds cannot test a task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from polytask.study.conclusions.untested_folds import list_untested_folds


def finished(known: dict[str, int], site: str) -> Any:
    """A run that was evaluated on subjects of one site, with this many known answers by task."""
    evaluation = SimpleNamespace(counts={task: {"known": n} for task, n in known.items()})
    answers = SimpleNamespace(sites={"s1": site, "s2": site})
    return SimpleNamespace(
        evaluated=SimpleNamespace(tasks=dict.fromkeys(known), evaluation=evaluation, answers=answers)
    )


def test_folds_without_training_or_held_out_answers_are_named() -> None:
    folds = {
        0: {(arm, 0): finished({"lesion": 9, "grade": 0}, "A") for arm in ("single", "hard")},
        1: {("hard", 0): finished({"lesion": 8, "os": 0}, "B")},
        2: {("hard", 0): finished({"lesion": 8, "grade": 5, "os": 2}, "C")},
    }
    gathered: Any = SimpleNamespace(asked=dict.fromkeys(("lesion", "grade", "os")), folds=folds)
    assert list(list_untested_folds(gathered)) == [
        "grade is not testable in fold 0 (no subject of site A has a known answer), "
        "fold 1 (no training subject outside site B has a known answer): 1 of 3 folds count for it",
        "os is not testable in fold 0 (no training subject outside site A has a known answer), "
        "fold 1 (no subject of site B has a known answer): 1 of 3 folds count for it",
    ]
