"""The kinds of tasks with tensors. `KINDS` and `make_task` load torch on first use; `polytask.kinds` needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.tasks.kinds import KINDS as KINDS
    from polytask.tasks.kinds import fields_of as fields_of
    from polytask.tasks.kinds import make_task as make_task

__all__ = ["KINDS", "fields_of", "make_task"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'polytask.tasks' has no attribute {name!r}")
    from polytask.tasks import kinds

    return getattr(kinds, name)
