"""Chains of tasks."""

from __future__ import annotations

import pytest

from polytask.task_chains import find_upstream_tasks

AFTER = {
    "response": ["stage", "mask"],
    "stage": ["grade"],
    "grade": ["mask"],
    "loop": ["pool"],
    "pool": ["loop"],
}


@pytest.mark.parametrize(
    ("task", "upstream"),
    [
        ("response", {"stage", "grade", "mask"}),
        ("grade", {"mask"}),
        ("mask", set()),
        ("loop", {"pool", "loop"}),
    ],
)
def test_a_task_reads_answers_directly_and_through_others(task: str, upstream: set[str]) -> None:
    assert find_upstream_tasks(task, AFTER) == upstream
