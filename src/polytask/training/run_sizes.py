"""Makes the step of a new run fit into memory, where its architecture needs more than that of the plan."""

from __future__ import annotations

from pathlib import Path

from polytask.cohort.header_file import HEADER_FILE, read_header
from polytask.plan.machine import Machine
from polytask.plan.plan_schema import Plan
from polytask.training.cohort_folder import find_cohort_folder
from polytask.training.memory_warning import MemoryExcess, find_memory_excess
from polytask.training.replanned_values import (
    fit_batch,
    has_batch_by_hand,
    has_same_arrays,
    list_architecture_settings,
    list_sizing_overrides,
    plan_smaller_sizes,
    write_plan_command,
)
from polytask.training.run_plan import choose_fold_tasks, make_run_plan
from polytask.training.run_record import assign_networks
from polytask.training.run_request import RunRequest


def fit_run_plan(
    work: Path, plan: Plan, request: RunRequest, machine: Machine, devices: int = 1
) -> tuple[Plan, str]:
    """Return the plan of a new run with sizes whose step fits, and what was done about it in words.

    First the batch is divided, then patch, view and width are planned again for the architecture, as `polytask plan`
    does around what was set by hand. The sizes stay as they are where a step fits, where the batch was set by hand, and
    in a study, whose arms share them; whether a step fits is then said before the first one.

    Args:
        plan: that of the run, with the changes of the request.
        machine: where it trains.
        devices: number of processes with a device of their own.
    """
    if request.keep_sizes or request.fold not in plan.folds:
        return plan, ""
    header = read_header(find_cohort_folder(work, plan) / HEADER_FILE)

    def find_excess(trial: Plan) -> MemoryExcess | None:
        model = trial.shared.model
        tasks = choose_fold_tasks(trial, request.fold, request.tasks)
        return find_memory_excess(
            trial, header, assign_networks(tasks, model.sharing, model.after, model.groups), machine, devices
        )

    excess = find_excess(plan)
    if excess is None or has_batch_by_hand(work, plan, request):
        return plan, ""
    if excess.fitting:
        fitted = fit_batch(plan, excess)
        training = fitted.shared.training
        return fitted, (
            f"{excess.words}; the run takes training.batch={training.batch} and training.accumulation="
            f"{training.accumulation}, which gives the same step"
        )
    smaller = plan_smaller_sizes(work, plan, request, machine)
    if smaller is None:
        return plan, ""
    if not has_same_arrays(header, smaller, plan):
        planned = Plan.read(work)
        settings = [*list_sizing_overrides(planned, request.overrides), *list_architecture_settings(plan)]
        return plan, (
            f"{excess.words}; smaller sizes need other prepared arrays: "
            f"{write_plan_command(work, planned, settings)}"
        )
    resized = make_run_plan(work, request, smaller)
    left = find_excess(resized)
    if left and left.fitting:
        resized = fit_batch(resized, left)
    elif left:
        return plan, ""
    sizes = ", ".join(
        f"{name} {'×'.join(map(str, image.patch or image.view or ()))}"
        for name, image in resized.shared.images.items()
    )
    return resized, (
        f"{excess.words}; its sizes are planned again for it: {sizes}, {resized.shared.training.batch} samples"
    )
