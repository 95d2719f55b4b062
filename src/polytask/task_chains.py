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


def join_chains(tasks: Sequence[str], after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Join the tasks that a chain links; every other task is alone."""
    groups: list[list[str]] = []
    for task in tasks:
        tied = [g for g in groups if any(o in after.get(task, ()) or task in after.get(o, ()) for o in g)]
        # A task may link groups that were separate so far: they become one.
        groups = [g for g in groups if g not in tied] + [[t for g in tied for t in g] + [task]]
    return groups
