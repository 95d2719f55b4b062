"""The kinds of tasks with tensors. `KINDS` and `make_task` load torch on first use; `polytask.kinds` needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.tasks.task_registry import KINDS as KINDS
    from polytask.tasks.task_registry import dump_task_fields as dump_task_fields
    from polytask.tasks.task_registry import make_task as make_task

__all__ = ["KINDS", "dump_task_fields", "make_task"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'polytask.tasks' has no attribute {name!r}")
    from polytask.tasks import task_registry

    return getattr(task_registry, name)
