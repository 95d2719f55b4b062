"""`evaluate_on`: judges a run or an exported model on a cohort that it was not planned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.subject_strata import read_subject_strata
from polytask.errors import PolytaskError
from polytask.evaluation.cases_csv import write_cases
from polytask.evaluation.evaluate_run import evaluate_answers, predict_part
from polytask.evaluation.evaluated_part import TEST_LOG_FILE, EvaluatedPart, append_log_line
from polytask.evaluation.evaluation_result import EVALUATION_FILE, Evaluation
from polytask.evaluation.external.cohort_match import CohortMatch, list_draft_gaps, match_cohort
from polytask.evaluation.external.judged_model import JudgedModel, open_model
from polytask.evaluation.external.mapping_draft import MAPPING_FILE as MAPPING
from polytask.evaluation.external.mapping_draft import write_mapping_draft
from polytask.evaluation.external.performance_drop import find_performance_drops
from polytask.evaluation.external.reader_notes import write_reader_notes
from polytask.evaluation.external.subject_filter import (
    ensure_mask_files_exist,
    find_unreadable_subjects,
    leave_out_subjects,
)
from polytask.evaluation.external.training_overlap import TrainingOverlap, find_training_overlap
from polytask.evaluation.external.translate_cohort import translate_cohort
from polytask.evaluation.external.word_gaps import convert_gaps_to_dict
from polytask.evaluation.external.word_map import WordMap, read_word_map
from polytask.evaluation.metric_estimates import Progress
from polytask.evaluation.other_answers.judge_other_answers import read_other_answers, write_other_results
from polytask.evaluation.part_answers import ANSWERS_FILE as ANSWERS
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.promise_probe import MakeProbe
from polytask.evaluation.secondary_results import add_secondary_results
from polytask.predict.input_preflight import ensure_inputs_readable
from polytask.tasks.task import Task

EVALUATION_LOG_FILE = "evaluation_log.jsonl"


@dataclass(frozen=True)
class ExternalEvaluation:
    """The results on another cohort, with everything that a page about them is made of.

    Args:
        evaluation: the content of `evaluation.json`. answers: answers to every task of the model.
        cohort: the judged subjects, read through the model's header. tasks: tasks that model and cohort share.
        model: the model that was judged. folder: folder of the results.
    """

    evaluation: Evaluation
    answers: PartAnswers
    cohort: Cohort
    tasks: dict[str, Task]
    model: JudgedModel
    folder: Path


def evaluate_on(
    model: Path | str,
    on: Path | str,
    out: Path | str,
    *,
    mapping: Path | str | None = None,
    tta: bool = False,
    resamples: int = 1000,
    progress: Progress | None = None,
    device: str | None = None,
    answers: Sequence[Path | str] = (),
    make_probe: MakeProbe | None = None,
) -> ExternalEvaluation:
    """Judge a model on another labeled cohort, joined by task name and by the words of a mapping file.

    Writes into `out` what `evaluate` writes for a part, a line about it into `evaluation_log.jsonl` (for a run also
    into `WORK/test_log.jsonl`), and where words differ and no mapping is given the draft `mapping.yaml`. Nothing of the
    run itself is changed.

    Args:
        model: folder of a run or of an exported model.
        on: the other cohort, with its own `cohort.yaml`.
        out: new or empty folder (a `mapping.yaml` may lie there).
        mapping: file with the words of the cohort that differ from the model's, see `word_map`.
        tta, resamples, progress, device, answers, make_probe: see `evaluate`. Tables of answers name this cohort's
            subjects, and tasks and classes as the model does.
    """
    folder, source = Path(out), Path(model)
    ensure_output_free(folder)
    word_map = WordMap() if mapping is None else read_word_map(Path(mapping))
    own = Cohort.read(on)
    strata = read_subject_strata(own)
    judged = open_model(source, device, progress)
    predictor = judged.predictor
    header, model_tasks = predictor.header, list(predictor.tasks)
    matched = match_cohort(header, model_tasks, judged.categories, own, word_map)
    drafted = None
    if mapping is None:
        drafted = write_mapping_draft(list_draft_gaps(header, model_tasks, judged.categories, own), folder)
    ensure_common_task(matched, own, model_tasks, drafted)
    # The plan may read a crop box or the places of findings from a column. Such a column is no input, so it must be
    # carried along separately.
    images = predictor.plan.shared.images.values()
    boxes = [i.crop.column for i in images if i.crop.rule == "box"]
    boxes += [i.roi.column for i in images if i.roi]
    translated = translate_cohort(matched, [b for b in boxes if b])
    whole = translated.cohort
    if not whole.cases:
        raise PolytaskError(
            f"{own.table}: no row is at a visit the model knows ({', '.join(header.visits or ['one visit'])}); map "
            f"them under `visits`{_mention_draft(drafted)}"
        )
    unreadable = find_unreadable_subjects(whole, predictor.plan)
    readable = leave_out_subjects(whole, unreadable)
    if not readable.cases:
        who, why = next(iter(unreadable.items()))
        raise PolytaskError(
            f"{own.table}: the model cannot read any subject ({who}: {why}); map it under `inputs` or `channels`, or "
            f"add such images{_mention_draft(drafted)}"
        )
    ensure_inputs_readable(readable, predictor.plan)
    ensure_mask_files_exist(readable)
    tasks = {n: t for n, t in predictor.tasks.items() if n in matched.tasks}
    other_answers = read_other_answers(answers, tasks, whole)
    # Recognized by content and not by id: other hospitals may use the same ids for other people.
    overlap = (
        TrainingOverlap() if judged.seen is None else find_training_overlap(readable, judged.seen, progress)
    )
    cohort = leave_out_subjects(readable, overlap.trained)
    if not cohort.cases:
        raise PolytaskError(
            f"{own.table}: all {len(overlap.trained)} subjects were in the training of {source}; nobody is left to "
            "judge; choose a cohort of other people"
        )
    subjects = tuple(cohort.subjects)
    _log_external_use(judged, own.header.name, len(subjects), folder)
    probe = make_probe(predictor) if make_probe else None
    ours = predict_part(predictor, cohort, EvaluatedPart("external", subjects, folder), tta, progress, probe)
    ours = replace(ours, strata={c: {s: by[s] for s in subjects} for c, by in strata.items()})
    evaluation = evaluate_answers(tasks, ours, judged.record, "external", resamples, progress)
    baselines = [m.baselines for m in predictor.members]
    evaluation = add_secondary_results(
        evaluation, tasks, ours, cohort, predictor.decisions, baselines, other_answers, progress
    )
    external: dict[str, Any] = {
        "cohort": own.header.name,
        "model": judged.record["name"],
        "trained_on": judged.trained_on,
        "members": len(predictor.members),
        "tasks": {n: t.theirs for n, t in matched.tasks.items()},
        "mapping": word_map.as_dict(),
        "draft": None if drafted is None else drafted.name,
        **convert_gaps_to_dict(matched.gaps),
        "left_out": {
            "seen in training": list(overlap.trained),
            "cannot be read": unreadable,
            "rows at unknown visits": translated.visits_left_out,
        },
        "seen_at_held_out": list(overlap.held_out),
        "same_id": sorted(judged.ids & set(subjects)),
        "drop": [
            d.as_dict()
            for d in find_performance_drops(
                evaluation.tasks,
                evaluation.metrics,
                judged.held_out,
                evaluation.counts,
                matched.gaps,
                own.header.name,
            )
        ],
    }
    external["notes"] = write_reader_notes(external, matched.gaps, judged, overlap, drafted, cohort)
    result = replace(
        evaluation,
        external=external,
        promises=probe.judge(ours) if probe else {},
        tta=tta,
        weights=judged.weights,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_cases(predictor.tasks, ours, folder / "cases.csv")
    ours.write(folder / ANSWERS)
    write_other_results(result.answers, folder)
    # Written last, see `ensure_output_free`.
    result.write(folder / EVALUATION_FILE)
    return ExternalEvaluation(result, ours, cohort, tasks, judged, folder)


def ensure_output_free(folder: Path) -> None:
    """Refuse a folder that holds more than a mapping file, so that no results are overwritten. A folder that an
    unfinished evaluation left behind may be used again."""
    if folder.exists() and not folder.is_dir():
        raise PolytaskError(f"{folder}: is a file; expected a new or empty folder; choose another -o")
    # The log is written first and the evaluation last, so a log alone means that the evaluation did not finish.
    if (folder / EVALUATION_LOG_FILE).exists() and not (folder / EVALUATION_FILE).exists():
        return
    if folder.is_dir() and (there := sorted(p.name for p in folder.iterdir() if p.name != MAPPING)):
        raise PolytaskError(
            f"{folder}: not empty (it holds {there[0]}); expected a new or empty folder; choose another -o"
        )


def ensure_common_task(
    matched: CohortMatch, other_cohort: Cohort, model_tasks: Sequence[str], draft_path: Path | None
) -> None:
    """Refuse a cohort that shares no task with the model."""
    if not matched.tasks:
        raise PolytaskError(
            f"{other_cohort.table.parent}: no task in common: the cohort knows "
            f"{', '.join(other_cohort.header.tasks) or 'none'}, the "
            f"model answers {', '.join(model_tasks)}; where only words or units differ, map them under `tasks`, "
            f"`inputs`, `classes`, `labels` or `units`{_mention_draft(draft_path)}"
        )


def _mention_draft(draft_path: Path | None) -> str:
    return f" (a draft lies in {draft_path}: correct it and give it with --mapping)" if draft_path else ""


def _log_external_use(model: JudgedModel, place: str, subjects: int, folder: Path) -> None:
    """Log the evaluation before the first subject is predicted: in the folder of results, and for a run in its work
    folder too."""
    line: Mapping[str, Any] = {
        "part": "external",
        "run" if model.run else "model": model.record["name"],
        "cohort": place,
        "subjects": subjects,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PolytaskError(
            f"{folder}: cannot write here ({error.strerror}); choose another folder"
        ) from None
    append_log_line(folder / EVALUATION_LOG_FILE, line)
    if model.run is not None:
        append_log_line(model.run.work / TEST_LOG_FILE, line)
