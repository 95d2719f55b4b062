"""Planning: fingerprint → rules → plan, each value with a reason. Public names load on first use; none needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.plan.plan_file import ensure_cohort as ensure_cohort
    from polytask.plan.plan_file import write_plan as write_plan
    from polytask.plan.plan_schema import Plan as Plan
    from polytask.plan.plan_settings import set_value as set_value
    from polytask.plan.planner import make_plan as make_plan
    from polytask.plan.work_folder import plan_into as plan_into

# Public name → the module of this folder that defines it. Loaded lazily, so that `polytask --help` stays quick.
_PLAN_EXPORTS = {
    "Plan": "plan_schema",
    "ensure_cohort": "plan_file",
    "make_plan": "planner",
    "plan_into": "work_folder",
    "set_value": "plan_settings",
    "write_plan": "plan_file",
}
__all__ = ["Plan", "ensure_cohort", "make_plan", "plan_into", "set_value", "write_plan"]


def __getattr__(name: str) -> Any:
    if name not in _PLAN_EXPORTS:
        raise AttributeError(f"module 'polytask.plan' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.plan.{_PLAN_EXPORTS[name]}"), name)
