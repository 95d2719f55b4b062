"""Primary metrics of a part when inputs are hidden from every case: how good answers are without them."""

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
    """The primary metrics without some of the inputs.

    Args:
        metrics: combination of hidden inputs and channels (joined by `;`) → task that reads one of them → its primary
            metric and n, without an interval.
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
    """Judge the subjects once for each combination of `choose_combinations`. There is nothing to do for a model with a
    single input whose channels are always there."""
    chosen, needed = choose_combinations(predictor.reading, cohort)
    samples = cohort.samples(subjects)
    collectors = {
        key: Collector(
            cohort,
            {t: predictor.tasks[t] for t in affected_tasks(predictor.reading, key)},
            # Surface distances take most of the time of a mask, and the primary metric does not need them.
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
    # A combination without any answer is one that the model cannot do without.
    lost = [
        key for key, tasks in found.items() if not any(isfinite(e.estimate) or e.n for e in tasks.values())
    ]
    return Hidden(
        {key: tasks for key, tasks in found.items() if key not in lost},
        (*(SEPARATOR.join(key) for key in needed), *lost),
    )


def judge_hidden(collector: Collector, samples: Sequence[Sample]) -> dict[str, Estimate]:
    """Compute the primary metric of each task; NaN with n 0 for a task without any answer."""
    answers = collector.answers(list(samples))
    statistic = Statistic(collector.tasks, answers, list(answers.sites))
    return {
        name: Estimate(statistic.whole[name][task.primary], NAN, NAN, statistic.n(name, task.primary))
        for name, task in collector.tasks.items()
    }
