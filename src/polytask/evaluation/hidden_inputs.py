"""Primary metrics of a part when inputs are hidden from every case: how good answers are without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from polytask.array_types import NAN
from polytask.cohort.cohort import Cohort, Sample
from polytask.evaluation.answer_collector import AnswerCollector
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.metric_estimates import Progress
from polytask.evaluation.part_statistic import PartStatistic
from polytask.predict.held_out import INPUT_SEPARATOR
from polytask.predict.input_hiding import choose_combinations, list_affected_tasks, predict_without_inputs

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor


@dataclass(frozen=True)
class HiddenInputResults:
    """The primary metrics without some of the inputs.

    Args:
        metrics: combination of hidden inputs and channels (joined by `;`) → task that reads one of them → its primary
            metric and n, without an interval.
        needed: combinations without which nothing can be predicted.
    """

    metrics: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    needed: tuple[str, ...] = ()


def measure_hidden_inputs(
    predictor: Predictor,
    cohort: Cohort,
    subjects: Sequence[str],
    tta: bool = False,
    progress: Progress | None = None,
) -> HiddenInputResults:
    """Judge the subjects once for each combination of `choose_combinations`. Nothing is judged for a model with a
    single input whose channels are always present."""
    chosen, needed = choose_combinations(predictor.model_inputs, cohort)
    samples = cohort.samples(subjects)
    collectors = {
        key: AnswerCollector(
            cohort,
            {t: predictor.tasks[t] for t in list_affected_tasks(predictor.model_inputs, key)},
            # Surface distances take most of the time of a mask, and the primary metric does not need them.
            distances=False,
        )
        for key in chosen
    }
    total, done = len(chosen) * len(samples), 0
    for key, answer in predict_without_inputs(predictor, cohort, samples, chosen, tta):
        collectors[key](answer)
        done += answer.case is not None
        if progress:
            progress(min(done, total), total, f"without {' and '.join(key)}")
    metrics = {
        INPUT_SEPARATOR.join(key): measure_primary_metrics(c, samples) for key, c in collectors.items()
    }
    # A combination without any answer is one that the model cannot do without.
    unanswered = [
        key for key, tasks in metrics.items() if not any(isfinite(e.estimate) or e.n for e in tasks.values())
    ]
    return HiddenInputResults(
        {key: tasks for key, tasks in metrics.items() if key not in unanswered},
        (*(INPUT_SEPARATOR.join(key) for key in needed), *unanswered),
    )


def measure_primary_metrics(collector: AnswerCollector, samples: Sequence[Sample]) -> dict[str, Estimate]:
    """Compute the primary metric of each task; NaN with n 0 for a task without any answer."""
    answers = collector.answers(list(samples))
    statistic = PartStatistic(collector.tasks, answers, list(answers.sites))
    return {
        name: Estimate(statistic.whole[name][task.primary], NAN, NAN, statistic.n(name, task.primary))
        for name, task in collector.tasks.items()
    }
