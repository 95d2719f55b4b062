"""The role of a parameter for the tasks: trunk, private or joint."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

TRUNK, JOINT = "trunk", "joint"
ParameterRoles = dict[str, str]
"""Parameter name → `trunk` (before the cut), `private:TASK` (only that task's loss reaches it) or `joint`
(behind the cut, reached by several)."""


def private_role(task: str) -> str:
    """Return the role of a parameter that only the loss of one task reaches."""
    return f"private:{task}"


def choose_owner_role(tasks: Sequence[str]) -> str:
    """Return the role of a module behind the cut that serves `tasks`."""
    return private_role(tasks[0]) if len(tasks) == 1 else JOINT


def assign_role(module: nn.Module, prefix: str, role: str) -> ParameterRoles:
    """Give all parameters of a module one role."""
    return {f"{prefix}{name}": role for name, _ in module.named_parameters()}
