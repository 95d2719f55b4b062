"""Task affinity: cosines of the tasks' gradients over the runs of an arm, and groups of tasks with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from polytask.evaluation.run_costs import read_network_logs
from polytask.plain import make_plain
from polytask.study.arms import BASELINE
from polytask.study.conclusions.finished_runs import FinishedRun, GatheredRuns
from polytask.training.gradient_log import average_over_batches

MIN_COMMON_STEP_SHARE = 0.5
"""A pair is judged only if at least this share of steps has a sample in which both tasks are known."""
MIN_RUNS_FOR_ERROR = 3
"""The standard error of a mean cosine needs at least this many runs."""
NEGLIGIBLE_COSINE = 0.02
"""A mean cosine above minus this value counts as orthogonal, however small its error is."""
NOT_VISIBLE = "not visible"


@dataclass(frozen=True)
class Affinity:
    """How far the gradients of the tasks agree in the runs of one arm.

    Args:
        arm: name of the arm. runs, looks: how many of its runs, and of their logged gradients, were read.
        tasks: the order of rows and columns of the matrices.
        cosine: `[T, T]`, mean over the logged steps of a run, then over runs. spread: its standard error over runs.
        common: `[T, T]`, share of steps with a sample in which both tasks were known.
        groups: tasks to train together; empty when nothing can be concluded. why: the evidence in a sentence.
    """

    arm: str
    runs: int
    looks: int
    tasks: tuple[str, ...]
    cosine: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    common: npt.NDArray[np.float64]
    groups: tuple[tuple[str, ...], ...]
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data for JSON; matrices become lists."""
        content: dict[str, Any] = make_plain(
            {**vars(self), **{k: getattr(self, k).tolist() for k in ("cosine", "spread", "common")}}
        )
        return content


def measure_affinity(gathered: GatheredRuns) -> Affinity | None:
    """Measure the affinity in the joint arm with the most logged gradients; among equals, one with equal weights."""
    best: Affinity | None = None
    for arm in sorted(
        (a for a in gathered.study.arms if a.name != BASELINE), key=lambda a: a.balance != "equal"
    ):
        at_parameters = gathered.study.design.cut == "parameters"
        affinity = _measure_arm_affinity(
            gathered.of_arm(arm.name), arm.name, tuple(gathered.asked), at_parameters
        )
        # A strict ">" keeps the first of equals; arms with equal weights are sorted to the front.
        if affinity is not None and (best is None or affinity.looks > best.looks):
            best = affinity
    return best


def _measure_arm_affinity(
    runs: Sequence[FinishedRun], arm: str, tasks: tuple[str, ...], by_parameters: bool
) -> Affinity | None:
    by_run, shares, looks = [], [], 0
    for finished in runs:
        entries = read_network_logs(finished.run.folder).get("", [])
        logged_cosines = [e["gradients"]["cosines"] for e in entries if "gradients" in e]
        looks += len(logged_cosines)
        if logged_cosines:
            # First the mean within a run: logged steps of one run are not independent, runs are.
            by_run.append(average_over_batches([_parse_pair_matrix(s, tasks) for s in logged_cosines]))
        shares += [_parse_pair_matrix(e["common"], tasks) for e in entries if "common" in e]
    if not by_run:
        return None
    cosine = average_over_batches(by_run)
    spread = np.full_like(cosine, np.nan)
    if len(by_run) >= MIN_RUNS_FOR_ERROR:
        spread = np.std(by_run, axis=0, ddof=1) / np.sqrt(len(by_run))
    common = average_over_batches(shares) if shares else np.full_like(cosine, np.nan)
    # Gradients of parameters sum over all samples, so they can be compared without a common sample.
    judged_shares = np.ones_like(common) if by_parameters else common
    groups, why = group_tasks(tasks, cosine, spread, judged_shares, len(by_run))
    return Affinity(arm, len(by_run), looks, tasks, cosine, spread, common, groups, why)


def group_tasks(
    tasks: tuple[str, ...],
    cosine: npt.NDArray[np.float64],
    spread: npt.NDArray[np.float64],
    common: npt.NDArray[np.float64],
    runs: int,
) -> tuple[tuple[tuple[str, ...], ...], str]:
    """Separate tasks whose gradients clearly oppose each other; all other tasks stay together.

    A pair clearly opposes when the upper bound of its mean cosine is below −`NEGLIGIBLE_COSINE`. The bound is a t
    quantile over `runs`, with a 5 % error shared among all pairs that can be judged (Bonferroni). A pair can be judged
    when both tasks were known in one sample often enough. Without such a pair there are no groups, and the reason
    begins with `NOT_VISIBLE`.
    """
    pairs = [(i, j) for i in range(len(tasks)) for j in range(i)]
    # `not x < y` keeps a pair whose share is NaN: runs without that entry in their log are judged by the cosine alone.
    judged_pairs = [
        (i, j) for i, j in pairs if np.isfinite(spread[i, j]) and not common[i, j] < MIN_COMMON_STEP_SHARE
    ]
    if not judged_pairs:
        lack = f"it takes {MIN_RUNS_FOR_ERROR} runs, and samples in which both tasks are known in half of the steps"
        return (), f"{NOT_VISIBLE}: {lack}"
    wide = float(stats.t.ppf(1 - 0.05 / len(judged_pairs), runs - 1))
    apart = {(i, j) for i, j in judged_pairs if cosine[i, j] + wide * spread[i, j] < -NEGLIGIBLE_COSINE}
    if not apart:
        reason = f"no pair of the {len(judged_pairs)} that can be judged has gradients that clearly oppose each other"
        return (), f"{NOT_VISIBLE} which tasks to separate: {reason}"
    groups: list[list[int]] = []
    # The tasks with the most conflicts choose their group first; the result is a group to which nobody in it objects.
    for task in sorted(range(len(tasks)), key=lambda k: -sum(k in pair for pair in apart)):
        fits = [g for g in groups if not any((max(task, o), min(task, o)) in apart for o in g)]
        if fits:
            max(fits, key=lambda g: float(np.nanmean([cosine[task, o] for o in g]))).append(task)
        else:
            groups.append([task])
    evidence = ", ".join(
        f"{tasks[j]} and {tasks[i]} {cosine[i, j]:+.2f} (± {wide * spread[i, j]:.2f})".replace(" -", " −")
        for i, j in sorted(apart)
    )
    named = tuple(tuple(tasks[k] for k in sorted(g)) for g in groups)
    return named, f"gradients that oppose each other (mean cosine): {evidence}"


def _parse_pair_matrix(pairs: Mapping[str, float], tasks: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Turn `{"A B": x}` into a symmetric matrix `[T, T]`, with 1 on the diagonal and NaN for missing pairs."""
    matrix = np.full((len(tasks), len(tasks)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    names = {f"{a} {b}": (i, j) for i, a in enumerate(tasks) for j, b in enumerate(tasks)}
    for pair, value in pairs.items():
        if pair in names:
            i, j = names[pair]
            matrix[i, j] = matrix[j, i] = value
    return matrix
