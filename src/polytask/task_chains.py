"""Chains of tasks, as plan and network name them: task → the tasks whose answers it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def find_upstream_tasks(task: str, after: Mapping[str, Sequence[str]]) -> set[str]:
    """Find all tasks whose answers a task reads, directly or through others."""
    upstream: set[str] = set()
    left = list(after.get(task, ()))
    while left:
        name = left.pop()
        if name not in upstream:
            upstream.add(name)
            left += after.get(name, ())
    return upstream
