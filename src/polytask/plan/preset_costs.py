"""Counts what presets that change only how tasks share features would cost with the sizes of a plan, beside `hard`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from polytask.cohort.header import Header
from polytask.plan.model_plan import ModelPlan
from polytask.plan.plan_schema import Plan
from polytask.plan.presets import PRESETS
from polytask.plan.step_memory import predict_step_memory

COMPARED_PRESETS = ("cross_stitch", "mtan_light", "mtan", "ctan_light", "ctan", "task_tokens", "mtmedformer")
OWN_NAME = "this plan"


@dataclass(frozen=True)
class PresetCost:
    """Counted costs as multiples of those of `hard`: memory of a training step, and parameters."""

    memory: float
    parameters: float


def compare_presets(plan: Plan, header: Header) -> dict[str, PresetCost]:
    """Count the costs of the plan's own architecture, where it is not `hard`, and of presets, with the same sizes.

    Nothing is counted for cohorts without images, nor with a single task, which has nobody to share with.
    """
    if not header.images or len(header.tasks) < 2:
        return {}
    own = plan.shared.model
    models = {OWN_NAME: own} if own.sharing != "hard" or own.decoder != "private" or own.after else {}
    models |= {name: ModelPlan(trunk=own.trunk, **PRESETS[name].model) for name in COMPARED_PRESETS}
    base = _count_bytes(plan, header, ModelPlan(trunk=own.trunk))
    needs = {name: _count_bytes(plan, header, model) for name, model in models.items()}
    return {name: PresetCost(step / base[0], model / base[1]) for name, (step, model) in needs.items()}


def format_preset_costs(costs: Mapping[str, PresetCost]) -> Iterator[str]:
    """Format the costs as lines: a head, then a line for each architecture."""
    if not costs:
        return
    yield "a step as multiples of hard, counted (`polytask study WORK --preset NAME --dry-run` also times it):"
    for name, c in costs.items():
        yield f"  {name:<12}  {c.memory:5.2f} × memory  {c.parameters:5.2f} × parameters"


def _count_bytes(plan: Plan, header: Header, model: ModelPlan) -> tuple[float, float]:
    """Count the bytes of a step, and of them those of parameters, gradients and optimizer."""
    trial = plan.model_copy(deep=True)
    trial.shared.model = model
    need = predict_step_memory(trial, header)
    return need.kept + need.model, need.model
