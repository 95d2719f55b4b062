"""The run of an arm that trains groups of tasks: its groups come from what another run has measured in training.

That run is the one of `MEASURING_ARM` on the same fold with the same seed. It measured affinities on its training
batches only, so no held-out subject of the fold has a say in the groups.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from polytask.array_types import Floats
from polytask.documents.json_reader import find_json_object
from polytask.errors import PolytaskError
from polytask.locks import is_lock_held
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.study.arms import MEASURING_ARM, Arm
from polytask.study.run_spec import STUDY_RECORD_FILE, RunSpec
from polytask.study.stop_request import StopRequest
from polytask.study.task_grouping import MAX_GROUPED_TASKS, find_best_grouping, write_groups
from polytask.task_chains import join_chains
from polytask.training.run_request import RunRequest

POLL_SECONDS = 0.5
"""Seconds between two checks of a run that another command works on."""


def find_affinity_share(plan: Plan, overrides: Sequence[str], share: float) -> float:
    """Find the share of the time in which the runs of a study measure affinities: its own, or the one set by hand."""
    settings = (f"training.balance.affinity={share}", *overrides)
    return set_values(plan, settings).shared.training.balance.affinity


def refuse_impossible_groups(
    arms: Sequence[Arm], tasks: Sequence[str], share: float, steps: int | None = None
) -> None:
    """Refuse arms whose groups could not be found.

    Args:
        tasks: that the study trains. share: of the training time in which affinities are measured.
        steps: of each network, where they are fixed already.

    Raises:
        PolytaskError: the first problem.
    """
    from polytask.training.lookahead import find_first_look

    for arm in arms:
        if not arm.groups:
            continue
        begin = f"--arm {arm.name}: "
        if not any(other.name == MEASURING_ARM for other in arms):
            raise PolytaskError(
                f"{begin}its groups follow from the affinities in the runs of {MEASURING_ARM}; add "
                f"--sharing {MEASURING_ARM}"
            )
        if arm.groups >= len(tasks):
            raise PolytaskError(
                f"{begin}{len(tasks)} tasks in {arm.groups} networks leave nothing to group; single is always an arm"
            )
        if len(tasks) > MAX_GROUPED_TASKS:
            raise PolytaskError(
                f"{begin}{len(tasks)} tasks have too many groupings to compare; choose at most {MAX_GROUPED_TASKS} "
                "with --tasks"
            )
        if share <= 0:
            raise PolytaskError(
                f"{begin}the runs of this study do not measure affinities (training.balance.affinity is 0); begin "
                "another study with -o"
            )
        first = find_first_look(len(tasks), share)
        if steps is not None and steps <= first:
            raise PolytaskError(
                f"{begin}affinities of {len(tasks)} tasks are measured from step {first + 1} on (for {100 * share:g} % "
                f"of the time), and a run has {steps}; train longer, or allow more: --set training.balance.affinity=…"
            )


def wait_for_measurement(spec: RunSpec, stop_request: StopRequest) -> bool:
    """Wait while another command works on the run that measures the affinities; false when a stop is requested."""
    measuring = replace(spec, name=spec.measured_by)
    while spec.measured_by and is_lock_held(measuring.active):
        if stop_request.is_requested:
            return False
        time.sleep(POLL_SECONDS)
    return True


def make_grouped_request(work: Path, spec: RunSpec) -> RunRequest:
    """Ask for the run that the values of a spec describe, with its tasks in groups if it is to have any.

    Raises:
        PolytaskError: the run that measures the affinities is not finished, or has measured none.
    """
    request = spec.make_run_request()
    if not spec.groups:
        return request
    # Only the process of a run loads these libraries.
    from polytask.training.run_plan import choose_fold_tasks, make_run_plan

    folder = work / "runs" / spec.measured_by
    if not find_json_object(folder / STUDY_RECORD_FILE).get("costs"):
        raise PolytaskError(
            f"the groups follow from the affinities in {folder}, and this run is not finished; see its error, then run "
            "the same command again"
        )
    plan = make_run_plan(work, request)
    tasks = choose_fold_tasks(plan, spec.fold, spec.tasks)
    affinity, looks = read_mean_affinity(folder, tasks)
    if not looks:
        raise PolytaskError(f"{folder}: no affinities were measured in {spec.steps} steps; train longer")
    chains = join_chains(tasks, plan.shared.model.after)
    best = find_best_grouping(tasks, affinity, spec.groups, chains)
    return replace(request, overrides=(*request.overrides, write_groups(best.groups)))


def read_mean_affinity(folder: Path, tasks: list[str]) -> tuple[Floats, int]:
    """Read the affinities that the joint network of a run has measured: their mean `[T, T]`, and the number of looks.

    Rows are the tasks that take the step, columns those whose loss it changes; NaN where a pair was never measured.
    """
    from polytask.evaluation.run_costs import read_network_logs
    from polytask.training.gradient_log import average_over_batches

    entries = read_network_logs(folder).get("", [])
    looks = [parse_affinities(entry["affinity"], tasks) for entry in entries if "affinity" in entry]
    return (average_over_batches(looks) if looks else np.full((len(tasks), len(tasks)), np.nan)), len(looks)


def parse_affinities(pairs: dict[str, float | None], tasks: list[str]) -> Floats:
    """Turn `{"I J": x}` into a matrix `[T, T]` with NaN for missing pairs."""
    matrix = np.full((len(tasks), len(tasks)), np.nan)
    names = {f"{a} {b}": (i, j) for i, a in enumerate(tasks) for j, b in enumerate(tasks)}
    for pair, value in pairs.items():
        if pair in names and value is not None:
            matrix[names[pair]] = value
    return matrix
