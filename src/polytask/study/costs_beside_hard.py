"""What each arm of a study costs beside `hard`: the time of a step, operations, memory and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from polytask.plan.plan_settings import set_values
from polytask.study.study_design import ArmTiming, StudyDesign
from polytask.study.workspace import Workspace

HARD = "hard"
HARD_MODEL: dict[str, Any] = {"sharing": HARD, "form": "light", "decoder": "private", "after": {}, "link": {}}
"""Values of a plan's `model` that make it the measure of all others."""


@dataclass(frozen=True)
class CostBesideHard:
    """Costs of an arm as multiples of those of `hard`.

    Args:
        step: time of a training step, timed in turns before the first run; None where one of the two was not timed.
        flops, memory, parameters: counted; see `ArchitectureCost`.
    """

    step: float | None
    flops: float
    memory: float
    parameters: float

    def as_dict(self) -> dict[str, Any]:
        """Return the costs as plain data for JSON."""
        return asdict(self)


def compare_costs_with_hard(design: StudyDesign, workspace: Workspace) -> dict[str, CostBesideHard]:
    """Return arm → its costs beside `hard`; nothing for a cohort without images, whose networks all cost little."""
    from polytask.training.architecture_costs import count_architecture_cost

    header, tasks = workspace.cohort.header, workspace.tasks(design.tasks)
    if not header.images:
        return {}
    fold = workspace.choose_timed_fold(design.folds, tasks)
    trained = workspace.list_trained_tasks(fold, tasks)
    common = set_values(workspace.plan, design.list_plan_overrides())
    hard = common.shared.model.model_copy(update=HARD_MODEL)
    base = count_architecture_cost(common, header, hard, fold, trained)
    costs = {}
    for arm in design.arms:
        plan = arm.plan(workspace.plan, workspace.header(design.tasks), design.list_plan_overrides())
        ratios = count_architecture_cost(plan, header, plan.shared.model, fold, trained).divide_by(base)
        step = divide_step_times(design.paces, arm.name)
        costs[arm.name] = CostBesideHard(step, ratios.flops, ratios.memory, ratios.parameters)
    return costs


def divide_step_times(paces: Mapping[str, ArmTiming], arm: str) -> float | None:
    """Divide the time of a step by that of `hard`. Both are multiples of the single networks' in the same rounds, so
    that other work on the machine slows both alike."""
    own, hard = paces.get(arm), paces.get(HARD)
    if own is None or hard is None:
        return None
    if own.beside is None or hard.beside is None:
        return own.step / hard.step
    return own.beside.median / hard.beside.median


def format_costs_beside_hard(costs: Mapping[str, CostBesideHard]) -> Iterator[str]:
    """Format the costs as lines: a head, then a line for each arm."""
    if not costs:
        return
    width = max(map(len, costs))
    yield "a step as multiples of hard (time is measured, the others are counted):"
    for arm, c in costs.items():
        time = "not timed" if c.step is None else f"{c.step:.2f} × time"
        yield (
            f"  {arm:<{width}}  {time:>11}  {c.flops:6.2f} × operations  {c.memory:6.2f} × memory  "
            f"{c.parameters:6.2f} × parameters"
        )
