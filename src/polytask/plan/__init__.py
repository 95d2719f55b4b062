"""Planning: fingerprint → rules → plan, each value with a reason. Public names load on first use; none needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.plan.files import ensure_cohort as ensure_cohort
    from polytask.plan.files import read_plan as read_plan
    from polytask.plan.files import write_plan as write_plan
    from polytask.plan.make import make_plan as make_plan
    from polytask.plan.plan import Plan as Plan
    from polytask.plan.settings import set_value as set_value
    from polytask.plan.work import plan_into as plan_into

# Public name → the module of this folder that defines it. Loaded lazily, so that `polytask --help` stays quick.
_PLACES = {
    "Plan": "plan",
    "ensure_cohort": "files",
    "make_plan": "make",
    "plan_into": "work",
    "read_plan": "files",
    "set_value": "settings",
    "write_plan": "files",
}
__all__ = ["Plan", "ensure_cohort", "make_plan", "plan_into", "read_plan", "set_value", "write_plan"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.plan' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.plan.{_PLACES[name]}"), name)
