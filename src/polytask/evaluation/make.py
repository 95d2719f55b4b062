"""`evaluate`: predicts a part of a run's fold, judges it in source geometry, and writes the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.errors import PolytaskError
from polytask.evaluation.answers import FILE as ANSWERS
from polytask.evaluation.answers import Answers
from polytask.evaluation.baselines.judge import fitted_baselines
from polytask.evaluation.beside import judge_beside
from polytask.evaluation.cases import write_cases
from polytask.evaluation.collect import Collector
from polytask.evaluation.given.judge import read_given, write_given
from polytask.evaluation.hidden import Hidden, measure_hidden
from polytask.evaluation.learning import read_learning
from polytask.evaluation.measure import Progress, by_site, counts, describe, estimates
from polytask.evaluation.misses import leave_out_misses
from polytask.evaluation.operating import choose_points, read_asked
from polytask.evaluation.part import Judged, folder_of, judged, note_test, times_touched, weights_of
from polytask.evaluation.result import FILE, Evaluation, Part
from polytask.evaluation.site_effect import explain_site_effects, find_site_effects
from polytask.evaluation.statistic import Statistic
from polytask.plan.files import ensure_cohort, read_plan
from polytask.predict.outputs import write
from polytask.predict.predictor import Predictor
from polytask.training.decisions import read_decisions, write_decisions
from polytask.training.folder import Run
from polytask.training.ownership import own_results
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
    answers: Sequence[Path | str] = (),
    sensitivity: Sequence[str] = (),
    specificity: Sequence[str] = (),
    hidden: bool = True,
) -> Evaluation:
    """Evaluate a run on one part: metrics with 95 % intervals over subjects and with n, overall and per site.

    Writes into RUN (part `held_out`), RUN/tune or RUN/test: `predictions.csv`, `predictions/`, `cases.csv` (truth and
    answer by subject and visit), `answers.json` and `evaluation.json`. Touching the test part leaves a line in
    `WORK/test_log.jsonl`.

    Args:
        run: folder of a run.
        part: part of the run's fold, or `test`.
        tta: average over mirror images.
        resamples: number of resamples of the intervals that are found by a bootstrap.
        progress: called with (done, total, what).
        device: cpu, cuda or mps; by default the best one there is.
        answers: tables of other people's answers, judged on the same cases; each is also written to
            `answers_NAME.json`.
        sensitivity, specificity: operating points to choose on tune, as TASK=SHARE or TASK.LABEL=SHARE; the run keeps
            them in `decisions.json`.
        hidden: on the held-out part, also judge the answers with inputs hidden, where the model reads several.

    Raises:
        LockedError: another process evaluates this run.
    """
    record = Run.read(run)
    with own_results(record.folder):
        return _evaluate(
            record, part, tta, resamples, progress, device, answers, sensitivity, specificity, hidden
        )


def _evaluate(
    record: Run,
    part: Part,
    tta: bool,
    resamples: int,
    progress: Progress | None,
    device: str | None,
    answers: Sequence[Path | str] = (),
    sensitivity: Sequence[str] = (),
    specificity: Sequence[str] = (),
    hidden: bool = True,
) -> Evaluation:
    """Evaluate a run; see `evaluate`. The caller holds the lock of the run's results."""
    plan = read_plan(record.folder)
    cohort = Cohort.read(cohort_folder_of(record, plan))
    ensure_cohort(plan, cohort)
    chosen = judged(record, cohort, part)
    predictor = Predictor.load(record.folder, device=device)
    # Tables are read before anything is predicted: a bad cell must not be found after an hour of work.
    given = read_given(answers, predictor.tasks, cohort)
    if sensitivity or specificity:
        choose_operating_points(
            record, predictor.tasks, sensitivity, specificity, tta, resamples, progress, device
        )
        predictor = Predictor.load(record.folder, device=device)
    # Noted before the prediction, so that a killed evaluation counts as a use of the test part as well.
    if part == "test":
        note_test(record, len(chosen.subjects))
    ours = predicted(predictor, cohort, chosen, tta, progress)
    found = judge(predictor.tasks, ours, record.record, part, resamples, progress)
    fold = int(record.record["fold"])
    baselines = fitted_baselines(
        record.folder,
        str(record.record["plan"]),
        cohort,
        predictor.tasks,
        plan.folds[fold],
        train_part(record),
        record.work / "store",
    )
    found = judge_beside(
        found, predictor.tasks, ours, cohort, predictor.decisions, [baselines], given, progress
    )
    without = (
        measure_hidden(predictor, cohort, chosen.subjects, tta, progress)
        if hidden and part == "held_out"
        else Hidden()
    )
    settings: dict[str, Any] = {
        "test_touched": times_touched(record.work),
        "tta": tta,
        "weights": weights_of(record),
        "hidden": without.metrics,
        "needed": without.needed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdicts": (
            *read_learning(record, predictor.tasks, ours, found.skill).list_verdicts(),
            *found.verdicts,
        ),
    }
    result = Evaluation(**{**vars(found), **settings})
    write_cases(predictor.tasks, ours, chosen.folder / "cases.csv")
    ours.write(chosen.folder / ANSWERS)
    write_given(result.answers, chosen.folder)
    # Written last: in a new folder it is there only when all other files are complete.
    result.write(chosen.folder / FILE)
    return result


def train_part(record: Run) -> tuple[str, ...]:
    """List the training subjects of the run's fold."""
    return read_fold(record.work / "splits.json", int(record.record["fold"])).train


def choose_operating_points(
    record: Run,
    tasks: Mapping[str, Task],
    sensitivity: Sequence[str],
    specificity: Sequence[str],
    tta: bool = False,
    resamples: int = 1000,
    progress: Progress | None = None,
    device: str | None = None,
) -> None:
    """Choose thresholds on the tune part and keep them in the run's `decisions.json`.

    The tune part is predicted first where its answers are missing or were made with other weights.
    """
    asked = [ask for text in sensitivity for ask in read_asked(text, "sensitivity", tasks)]
    asked += [ask for text in specificity for ask in read_asked(text, "specificity", tasks)]
    place = folder_of(record.folder, "tune")
    there = (place / FILE).exists() and (place / ANSWERS).exists()
    # Answers of other weights, or with another averaging over mirror images, have other probabilities: thresholds
    # chosen on them would not fit.
    seen = Evaluation.read(place / FILE) if there else None
    if seen is None or seen.weights != weights_of(record) or seen.tta != tta:
        _evaluate(record, "tune", tta, resamples, progress, device)
    before = read_decisions(record.folder)
    write_decisions(record.folder, choose_points(asked, tasks, Answers.read(place / ANSWERS), before))


def predicted(
    predictor: Predictor, cohort: Cohort, chosen: Judged, tta: bool = False, progress: Progress | None = None
) -> Answers:
    """Predict the subjects of a part into its folder, and judge each case as soon as it is predicted."""
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
    """Build the evaluation of these answers: all estimates with their intervals. Nothing is read or written."""
    if resamples < 1:
        raise PolytaskError(f"resamples is {resamples}; expected 1 or more (1000 for intervals to quote)")
    if progress:
        progress(0, 1, "intervals")
    # The counts below use all answers; only the mean distances leave out one-sided cases.
    shown = leave_out_misses(tasks, answers)
    statistic = Statistic(tasks, shown, list(answers.sites))
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
        sites=by_site(tasks, shown, metrics, resamples, progress),
        skill=skill,
        mean_skill=mean,
        counts={n: counts(t, answers) for n, t in tasks.items()},
        resamples=resamples,
        verdicts=explain_site_effects(site_effects),
        site_effects={n: e.as_dict() for n, e in site_effects.items()},
    )
