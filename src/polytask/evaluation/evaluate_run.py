"""`evaluate`: predicts a part of a run's fold, judges it in source geometry, and writes the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.cohort.subject_strata import read_subject_strata
from polytask.errors import PolytaskError
from polytask.evaluation.answer_collector import AnswerCollector
from polytask.evaluation.baselines.judge_baselines import read_or_fit_baselines
from polytask.evaluation.cases_csv import write_cases
from polytask.evaluation.evaluated_part import (
    EvaluatedPart,
    count_test_uses,
    hash_weights,
    locate_results,
    log_test_use,
    select_part_subjects,
)
from polytask.evaluation.evaluation_result import EVALUATION_FILE, Evaluation, PartName
from polytask.evaluation.hidden_inputs import HiddenInputResults, measure_hidden_inputs
from polytask.evaluation.learning_check import check_learning
from polytask.evaluation.metric_estimates import (
    Progress,
    count_evidence,
    describe_task,
    estimate_metrics,
    estimate_metrics_by_site,
)
from polytask.evaluation.missed_structures import leave_out_missed_distances
from polytask.evaluation.operating_points import choose_point_thresholds, parse_requested_points
from polytask.evaluation.other_answers.judge_other_answers import read_other_answers, write_other_results
from polytask.evaluation.part_answers import ANSWERS_FILE as ANSWERS
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.evaluation.promise_probe import MakeProbe, PromiseProbe
from polytask.evaluation.secondary_results import add_secondary_results
from polytask.evaluation.site_effect import explain_site_effects, find_site_effects
from polytask.evaluation.strata_results import estimate_metrics_by_stratum
from polytask.evaluation.subgroup_results import compare_subgroups
from polytask.evaluation.untested_tasks import explain_untested_tasks
from polytask.plan.plan_file import ensure_cohort
from polytask.plan.plan_schema import Plan
from polytask.predict.predictor import Predictor
from polytask.predict.write_outputs import write_predictions
from polytask.training.decisions import read_decisions, write_decisions
from polytask.training.folder import Run
from polytask.training.ownership import own_results
from polytask.training.run import find_run_cohort_folder

if TYPE_CHECKING:
    from polytask.predict.case_answer import CaseAnswer
    from polytask.tasks.task import Task


def evaluate(
    run: Path | str,
    part: PartName = "held_out",
    *,
    tta: bool = False,
    resamples: int = 1000,
    progress: Progress | None = None,
    device: str | None = None,
    answers: Sequence[Path | str] = (),
    sensitivity: Sequence[str] = (),
    specificity: Sequence[str] = (),
    hidden: bool = True,
    make_probe: MakeProbe | None = None,
) -> Evaluation:
    """Evaluate a run on one part: metrics with 95 % intervals over subjects and with n, overall, per site
    and per stratum (the header's `strata`).

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
        make_probe: on the test part, makes what checks the run's promises (`polytask.trust.promise_check`).
        hidden: on the held-out part, also judge the answers with inputs hidden, where the model reads several.

    Raises:
        LockedError: another process evaluates this run.
    """
    record = Run.read(run)
    with own_results(record.folder):
        return _evaluate_locked(
            record,
            part,
            tta,
            resamples,
            progress,
            device,
            answers,
            sensitivity,
            specificity,
            hidden,
            make_probe if part == "test" else None,
        )


def _evaluate_locked(
    record: Run,
    part: PartName,
    tta: bool,
    resamples: int,
    progress: Progress | None,
    device: str | None,
    answers: Sequence[Path | str] = (),
    sensitivity: Sequence[str] = (),
    specificity: Sequence[str] = (),
    hidden: bool = True,
    make_probe: MakeProbe | None = None,
) -> Evaluation:
    """Evaluate a run; see `evaluate`. The caller holds the lock of the run's results."""
    plan = Plan.read(record.folder)
    cohort = Cohort.read(find_run_cohort_folder(record, plan))
    ensure_cohort(plan, cohort)
    chosen = select_part_subjects(record, cohort, part)
    predictor = Predictor.load(record.folder, device=device)
    # Tables are read before anything is predicted: a bad cell must not be found after an hour of work.
    other_answers = read_other_answers(answers, predictor.tasks, cohort)
    strata = read_subject_strata(cohort, chosen.subjects)
    if sensitivity or specificity:
        choose_operating_points(
            record, predictor.tasks, sensitivity, specificity, tta, resamples, progress, device
        )
        predictor = Predictor.load(record.folder, device=device)
    # Noted before the prediction, so that a killed evaluation counts as a use of the test part as well.
    if part == "test":
        log_test_use(record, len(chosen.subjects))
    probe = make_probe(predictor) if make_probe else None
    ours = replace(predict_part(predictor, cohort, chosen, tta, progress, probe), strata=strata)
    evaluation = evaluate_answers(predictor.tasks, ours, record.record, part, resamples, progress)
    fold = int(record.record["fold"])
    baselines = read_or_fit_baselines(
        record.folder,
        str(record.record["plan"]),
        cohort,
        predictor.tasks,
        plan.folds[fold],
        list_train_subjects(record),
        record.work / "store",
    )
    evaluation = add_secondary_results(
        evaluation, predictor.tasks, ours, cohort, predictor.decisions, [baselines], other_answers, progress
    )
    hidden_results = (
        measure_hidden_inputs(predictor, cohort, chosen.subjects, tta, progress)
        if hidden and part == "held_out"
        else HiddenInputResults()
    )
    settings: dict[str, Any] = {
        "test_touched": count_test_uses(record.work),
        "tta": tta,
        "weights": hash_weights(record),
        "hidden": hidden_results.metrics,
        "needed": hidden_results.needed,
        "promises": probe.judge(ours) if probe else {},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdicts": (
            *explain_untested_tasks(evaluation.counts, plan.folds[fold].untrained, ours.sites),
            *check_learning(record, predictor.tasks, ours, evaluation.skill).list_verdicts(),
            *evaluation.verdicts,
        ),
    }
    result = Evaluation(**{**vars(evaluation), **settings})
    write_cases(predictor.tasks, ours, chosen.folder / "cases.csv")
    ours.write(chosen.folder / ANSWERS)
    write_other_results(result.answers, chosen.folder)
    # Written last: in a new folder it is there only when all other files are complete.
    result.write(chosen.folder / EVALUATION_FILE)
    return result


def list_train_subjects(record: Run) -> tuple[str, ...]:
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
    requested = [ask for text in sensitivity for ask in parse_requested_points(text, "sensitivity", tasks)]
    requested += [ask for text in specificity for ask in parse_requested_points(text, "specificity", tasks)]
    place = locate_results(record.folder, "tune")
    is_evaluated = (place / EVALUATION_FILE).exists() and (place / ANSWERS).exists()
    # Answers of other weights, or with another averaging over mirror images, have other probabilities: thresholds
    # chosen on them would not fit.
    previous = Evaluation.read(place / EVALUATION_FILE) if is_evaluated else None
    if previous is None or previous.weights != hash_weights(record) or previous.tta != tta:
        _evaluate_locked(record, "tune", tta, resamples, progress, device)
    before = read_decisions(record.folder)
    write_decisions(
        record.folder, choose_point_thresholds(requested, tasks, PartAnswers.read(place / ANSWERS), before)
    )


def predict_part(
    predictor: Predictor,
    cohort: Cohort,
    chosen: EvaluatedPart,
    tta: bool = False,
    progress: Progress | None = None,
    probe: PromiseProbe | None = None,
) -> PartAnswers:
    """Predict the subjects of a part into its folder, and judge each case as soon as it is predicted."""
    samples = cohort.samples(chosen.subjects)
    collector = AnswerCollector(cohort, predictor.tasks)
    total, done = sum(len(s.cases) for s in samples), 0

    def collect_answer(answer: CaseAnswer) -> None:
        nonlocal done
        collector(answer)
        if probe:
            probe(answer)
        done += answer.case is not None
        if progress:
            progress(min(done, total), total, answer.subject)

    write_predictions(predictor, cohort, chosen.folder, samples, tta=tta, on_answer=collect_answer)
    return collector.answers(samples)


def evaluate_answers(
    tasks: Mapping[str, Task],
    answers: PartAnswers,
    record: Mapping[str, Any],
    part: PartName,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Evaluation:
    """Build the evaluation of these answers: all estimates with their intervals. Nothing is read or written."""
    if resamples < 1:
        raise PolytaskError(f"resamples is {resamples}; expected 1 or more (1000 for intervals to quote)")
    if progress:
        progress(0, 1, "intervals")
    # The counts below use all answers; only the mean distances leave out one-sided cases.
    shown = leave_out_missed_distances(tasks, answers)
    statistic = PartStatistic(tasks, shown, list(answers.sites))
    metrics, skill, mean = estimate_metrics(statistic, resamples)
    site_effects = find_site_effects(statistic, answers.sites)
    sites = estimate_metrics_by_site(tasks, shown, metrics, resamples, progress)
    strata = estimate_metrics_by_stratum(tasks, shown, resamples, progress)
    return Evaluation(
        run=str(record["name"]),
        fold=int(record["fold"]),
        seed=int(record["seed"]),
        sharing=str(record["sharing"]),
        part=part,
        subjects=tuple(answers.sites),
        tasks={n: describe_task(t) for n, t in tasks.items()},
        metrics=metrics,
        sites=sites,
        skill=skill,
        mean_skill=mean,
        counts={n: count_evidence(t, answers, tasks) for n, t in tasks.items()},
        resamples=resamples,
        verdicts=explain_site_effects(site_effects),
        site_effects={n: e.as_dict() for n, e in site_effects.items()},
        strata=strata,
        subgroups=compare_subgroups(tasks, shown, sites, strata, resamples, progress),
    )
