"""The primary metrics of a part with inputs hidden from every case: what an answer without them is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from polytask.cohort.cohort import Cohort, Sample
from polytask.evaluation.collect import Collector
from polytask.evaluation.measure import Progress
from polytask.evaluation.result import NAN, Estimate
from polytask.evaluation.statistic import Statistic
from polytask.predict.held_out import SEPARATOR
from polytask.predict.hidden import affected_tasks, answers_without, choose_combinations

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor


@dataclass(frozen=True)
class Hidden:
    """What was found.

    Args:
        metrics: combination of inputs and channels (joined by `;`) → task that reads one of them → its primary metric
            and n, without an interval.
        needed: combinations without which nothing can be predicted.
    """

    metrics: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    needed: tuple[str, ...] = ()


def measure_hidden(
    predictor: Predictor,
    cohort: Cohort,
    subjects: Sequence[str],
    tta: bool = False,
    progress: Progress | None = None,
) -> Hidden:
    """Judge the subjects once for each combination of `choose_combinations`; nothing to do where a model reads one
    input whose channels are always there."""
    chosen, needed = choose_combinations(predictor.reading, cohort)
    samples = cohort.samples(subjects)
    collectors = {
        key: Collector(
            cohort,
            {t: predictor.tasks[t] for t in affected_tasks(predictor.reading, key)},
            distances=False,
        )
        for key in chosen
    }
    total, done = len(chosen) * len(samples), 0
    for key, answer in answers_without(predictor, cohort, samples, chosen, tta):
        collectors[key](answer)
        done += answer.case is not None
        if progress:
            progress(min(done, total), total, f"without {' and '.join(key)}")
    found = {SEPARATOR.join(key): judge_hidden(c, samples) for key, c in collectors.items()}
    lost = [
        key for key, tasks in found.items() if not any(isfinite(e.estimate) or e.n for e in tasks.values())
    ]
    return Hidden(
        {key: tasks for key, tasks in found.items() if key not in lost},
        (*(SEPARATOR.join(key) for key in needed), *lost),
    )


def judge_hidden(collector: Collector, samples: Sequence[Sample]) -> dict[str, Estimate]:
    """Task → primary metric; of a task that gave no answer NaN, with n 0."""
    answers = collector.answers(list(samples))
    statistic = Statistic(collector.tasks, answers, list(answers.sites))
    return {
        name: Estimate(statistic.whole[name][task.primary], NAN, NAN, statistic.n(name, task.primary))
        for name, task in collector.tasks.items()
    }
