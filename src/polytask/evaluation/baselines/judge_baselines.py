"""Judges simple models and the network on the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.evaluation.baselines.apply_baseline import answer_with_baseline
from polytask.evaluation.baselines.fit_baselines import fit_baselines
from polytask.evaluation.metric_estimates import estimate_metrics
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.evaluation.run_comparison import measure_differences
from polytask.inference.pooled_answers import PooledAnswers
from polytask.plain import make_plain, write_plain_json
from polytask.plan.plan_schema import FoldPlan
from polytask.predict.baseline_file import BASELINES_FILE, read_baseline_file
from polytask.prepare.store import Store
from polytask.tasks.task import Task


def judge_baselines(
    tasks: Mapping[str, Task],
    answers: PartAnswers,
    cohort: Cohort,
    members: Sequence[Sequence[Mapping[str, Any]]],
    resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """Judge every simple model that can be applied to these cases.

    Args:
        answers: the network's answers with the truths and the predicted volumes, of any part or cohort.
        members: the simple models of each member of an ensemble.

    Returns:
        Task → simple model → `metric`, `estimate` of the simple model, `network` (value of the network on the same
        cases), `difference` (network − simple model) with its interval, and what was fitted.
    """
    results: dict[str, dict[str, Any]] = {}
    for first in members[0] if members else ():
        task, name = tasks.get(first["task"]), str(first["name"])
        same = [b for member in members for b in member if (b["task"], b["name"]) == (first["task"], name)]
        # Every member has its own training part: where one could not be fitted, the ensemble has no simple model.
        if task is None or len(same) < len(members) or task.name not in answers.pooled:
            continue
        ours = answers.pooled[task.name]
        ids, prediction = answer_with_baseline(same, cohort, ours.ids, answers.volumes)
        if not ids:
            continue
        network_answers = answers.only({task.name: ids})
        own = network_answers.pooled[task.name]
        simple = PartAnswers(
            network_answers.sites,
            {task.name: PooledAnswers(own.ids, prediction, own.value, own.known)},
            {},
            network_answers.unanswered,
        )
        difference = measure_differences({task.name: task}, network_answers, simple, resamples)[0][task.name]
        statistic = PartStatistic({task.name: task}, simple, list(simple.sites))
        estimate = estimate_metrics(statistic, resamples)[0][task.name][task.primary]
        results.setdefault(task.name, {})[name] = make_plain(
            {
                "metric": task.primary,
                "higher": task.higher,
                "method": first["method"],
                "features": len(first["features"]),
                "fitted_on": first["n"],
                "estimate": estimate._asdict(),
                "network": difference.values[0],
                "difference": difference.difference._asdict(),
            }
        )
    return results


def read_or_fit_baselines(
    folder: Path,
    plan: str,
    cohort: Cohort,
    tasks: Mapping[str, Task],
    fold: FoldPlan,
    train: Sequence[str],
    store: Path,
) -> tuple[Mapping[str, Any], ...]:
    """Read the simple models of a run from its `baselines.json`; the first time they are fitted and written there.

    Args:
        folder: folder of the run. plan: hash of the plan that they belong to.
        store: folder of the prepared cases in the work folder.
    """
    if (folder / BASELINES_FILE).exists():
        content = read_baseline_file(folder)
        # A changed plan may use other columns: then all are fitted again.
        if content["plan"] == plan:
            return tuple(content["baselines"])
    prepared_store = Store(store) if (store / "store.json").exists() else None
    baselines = fit_baselines(cohort, tasks, fold, train, prepared_store)
    write_plain_json(folder / BASELINES_FILE, {"polytask": 1, "plan": plan, "baselines": baselines})
    return tuple(baselines)
