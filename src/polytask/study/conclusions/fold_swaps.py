"""Prepares the permutation test that swaps the answers of two arms about a subject, for metrics over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.run_comparison import EvaluatedRun
from polytask.inference.pooled_answers import CaseId, PooledAnswers
from polytask.kinds import KINDS
from polytask.statistics.effect import Effect
from polytask.statistics.swap_check import ExchangeFold
from polytask.study.arms import BASELINE
from polytask.study.conclusions.finished_runs import GatheredRuns
from polytask.tasks.survival import Survival
from polytask.tasks.task import Arrays, expect_pooled_task


def build_swaps_by_fold(gathered: GatheredRuns, task: str, arm: str, effect: Effect) -> list[ExchangeFold]:
    """Build a swap test for each fold, on the same folds, seeds and subjects as the effect; none for a voxel task."""
    if task not in next(iter(gathered.of_arm(arm))).evaluated.answers.pooled:
        return []
    scale = gathered.asked[task].points * (1 if gathered.asked[task].higher else -1)
    swaps = []
    for fold in effect.folds:
        runs = gathered.folds[fold]
        pairs = [[runs[a, s].evaluated for a in (arm, BASELINE)] for s in effect.seeds]
        everybody = [r.evaluated.answers for r in runs.values() if task in r.evaluated.tasks]
        swaps.append(build_fold_swap(pairs, list_known_to_all(everybody, task), task, scale))
    return swaps


def build_fold_swap(
    pairs: Sequence[Sequence[EvaluatedRun]], ids: Sequence[CaseId], task: str, scale: float
) -> ExchangeFold:
    """Build the swap test of one fold from the runs of arm and baseline of every seed, on these items."""
    names = list(dict.fromkeys(subject for subject, _ in ids))
    # Position of the subject of each item, in the order in which subjects first occur.
    who = np.array([names.index(subject) for subject, _ in ids], np.int64)
    judge = expect_pooled_task(pairs[0][0].tasks[task])
    if isinstance(judge, Survival):
        judge = replace(judge, horizons=())  # only C is asked for
    items = [[evaluated.answers.only({task: ids}).pooled[task] for evaluated in pair] for pair in pairs]
    # Where a metric uses only the order of scores, they are replaced by their ranks within a run: so runs with scores
    # on different scales can be swapped.
    ranked = KINDS[judge.kind].skill_rule == "rank"
    scores = [[rank_scores(i) if ranked else dict(i.prediction) for i in pair] for pair in items]
    value, known = items[0][0].value, items[0][0].known

    def metric(own_scores: Arrays, other_scores: Arrays, turned: npt.NDArray[np.bool_]) -> float:
        side = {key: swap_rows(own_scores[key], other_scores[key], turned) for key in own_scores}
        return judge.metrics(side, value, known).get(judge.primary, float("nan"))

    def difference(swapped: npt.NDArray[np.bool_]) -> float:
        # Subjects are swapped with all their visits: visits of one subject are not independent.
        turned = swapped[who]
        return scale * float(np.mean([metric(a, b, turned) - metric(b, a, turned) for a, b in scores]))

    return ExchangeFold(difference, len(names), len(ids))


def list_known_to_all(answers: Sequence[PartAnswers], task: str) -> list[CaseId]:
    """List the ids that all runs answered and whose truth is known."""
    everybody = set.intersection(*(set(a.ids(task)) for a in answers))
    ids = [i for i in answers[0].ids(task) if i in everybody]
    items = answers[0].only({task: ids}).pooled[task]
    known = items.known.reshape(len(ids), -1).any(1)
    return [ids[k] for k in np.flatnonzero(known)]


def rank_scores(items: PooledAnswers) -> dict[str, npt.NDArray[np.float64]]:
    """Replace the scores of each column by their ranks, scaled to lie between 0 and 1."""
    return {k: (rankdata(v, axis=0) - 0.5) / max(1, len(v)) for k, v in items.prediction.items()}


def swap_rows(own_values: Any, other_values: Any, swapped_rows: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return the rows of the first array, replaced by those of the second one where `swapped_rows` is true."""
    own_values, other_values = np.asarray(own_values), np.asarray(other_values)
    # The mask is reshaped so that whole rows are swapped, also of arrays with a column per class.
    return np.asarray(
        np.where(swapped_rows.reshape(-1, *[1] * (own_values.ndim - 1)), other_values, own_values)
    )
