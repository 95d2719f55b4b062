"""What a parameter is to the tasks: trunk, private or joint."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

TRUNK, JOINT = "trunk", "joint"
Roles = dict[str, str]
"""Parameter name → `trunk` (before the cut), `private:TASK` (only that task's loss reaches it) or `joint`
(behind the cut, reached by several)."""


def private(task: str) -> str:
    """The role of a parameter only one task's loss reaches."""
    return f"private:{task}"


def owned_by(tasks: Sequence[str]) -> str:
    """Role of a module behind the cut that serves `tasks`."""
    return private(tasks[0]) if len(tasks) == 1 else JOINT


def same_role(module: nn.Module, prefix: str, role: str) -> Roles:
    """One role for all parameters of a module."""
    return {f"{prefix}{name}": role for name, _ in module.named_parameters()}
