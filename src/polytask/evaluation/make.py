"""`evaluate`: predict a part, judge it in source geometry, write what was found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.evaluation.answers import FILE as ANSWERS
from polytask.evaluation.answers import Answers
from polytask.evaluation.cases import write_cases
from polytask.evaluation.collect import Collector
from polytask.evaluation.learning import read_learning
from polytask.evaluation.measure import Progress, by_site, counts, describe, estimates
from polytask.evaluation.part import Judged, judged, note_test, times_touched, weights_of
from polytask.evaluation.result import FILE, Evaluation, Part
from polytask.evaluation.site_effect import explain_site_effects, find_site_effects
from polytask.evaluation.statistic import Statistic
from polytask.plan.files import ensure_cohort, read_plan
from polytask.predict.outputs import write
from polytask.predict.predictor import Predictor
from polytask.training.folder import Run
from polytask.training.run import cohort_folder_of

if TYPE_CHECKING:
    from polytask.predict.predictor import CaseAnswer
    from polytask.tasks.task import Task


def evaluate(
    run: Path | str,
    part: Part = "held_out",
    *,
    tta: bool = False,
    resamples: int = 1000,
    progress: Progress | None = None,
    device: str | None = None,
) -> Evaluation:
    """Metrics with 95 % bootstrap intervals over subjects, n beside each, per site.

    Writes into RUN (part `held_out`), RUN/tune or RUN/test: `predictions.csv`, `predictions/`, `cases.csv` (truth and
    answer by subject and visit), `answers.json` and `evaluation.json`. Touching the test part leaves a line in
    `WORK/test_log.jsonl`.

    Args:
        run: a run's folder.
        part: of the run's fold, or `test`.
        tta: average over mirror images.
        resamples: of the bootstrap.
        progress: called with (done, total, what).
        device: cpu, cuda, mps; the best there is by default.
    """
    record = Run.read(run)
    plan = read_plan(record.folder)
    cohort = Cohort.read(cohort_folder_of(record, plan))
    ensure_cohort(plan, cohort)
    chosen = judged(record, cohort, part)
    predictor = Predictor.load(record.folder, device=device)
    if part == "test":
        note_test(record, len(chosen.subjects))
    answers = predicted(predictor, cohort, chosen, tta, progress)
    found = judge(predictor.tasks, answers, record.record, part, resamples, progress)
    settings: dict[str, Any] = {
        "test_touched": times_touched(record.work),
        "tta": tta,
        "weights": weights_of(record),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdicts": (
            *read_learning(record, predictor.tasks, answers, found.skill).list_verdicts(),
            *found.verdicts,
        ),
    }
    result = Evaluation(**{**vars(found), **settings})
    write_cases(predictor.tasks, answers, chosen.folder / "cases.csv")
    answers.write(chosen.folder / ANSWERS)
    result.write(chosen.folder / FILE)
    return result


def predicted(
    predictor: Predictor, cohort: Cohort, chosen: Judged, tta: bool = False, progress: Progress | None = None
) -> Answers:
    """Predict the part's subjects into its folder, each judged on its way."""
    samples = cohort.samples(chosen.subjects)
    collector = Collector(cohort, predictor.tasks)
    total, seen = sum(len(s.cases) for s in samples), 0

    def look(answer: CaseAnswer) -> None:
        nonlocal seen
        collector(answer)
        seen += answer.case is not None
        if progress:
            progress(min(seen, total), total, answer.subject)

    write(predictor, cohort, chosen.folder, samples, tta=tta, seen=look)
    return collector.answers(samples)


def judge(
    tasks: Mapping[str, Task],
    answers: Answers,
    record: Mapping[str, Any],
    part: Part,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Evaluation:
    """Estimates of answers; nothing is read or written."""
    if resamples < 1:
        raise PolytaskError(f"resamples is {resamples}; expected 1 or more (1000 for intervals to quote)")
    if progress:
        progress(0, 1, "intervals")
    statistic = Statistic(tasks, answers, list(answers.sites))
    metrics, skill, mean = estimates(statistic, resamples)
    site_effects = find_site_effects(statistic, answers.sites)
    return Evaluation(
        run=str(record["name"]),
        fold=int(record["fold"]),
        seed=int(record["seed"]),
        sharing=str(record["sharing"]),
        part=part,
        subjects=tuple(answers.sites),
        tasks={n: describe(t) for n, t in tasks.items()},
        metrics=metrics,
        sites=by_site(tasks, answers, metrics, resamples, progress),
        skill=skill,
        mean_skill=mean,
        counts={n: counts(t, answers) for n, t in tasks.items()},
        resamples=resamples,
        verdicts=explain_site_effects(site_effects),
        site_effects={n: e.as_dict() for n, e in site_effects.items()},
    )
