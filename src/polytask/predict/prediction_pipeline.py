"""`predict_cases`: predicts the cases of an input and writes a folder with the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.predict.applicable_answers import describe_conditions
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.image_checks import refuse_unfamiliar_images
from polytask.predict.input_preflight import ensure_inputs_readable
from polytask.predict.missing_inputs import MissingInput, count_missing_inputs, format_missing_inputs
from polytask.predict.output_folder import check_output_folder, lock_output_folder
from polytask.predict.prediction_inputs import read_inputs
from polytask.predict.prediction_notes import (
    SubjectVisit,
    describe_missing_inputs,
    describe_undefined_horizons,
)
from polytask.predict.uncertainty_columns import (
    AdjustMember,
    UncertaintyColumns,
    join_cells,
    join_volumes,
    repeat_heads,
)
from polytask.predict.write_outputs import MakeVolumes, ReviseRows, write_predictions

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor

Progress = Callable[[int, int, str], None]
"""Called with (cases done, number of cases, what is done with them)."""


@dataclass(frozen=True)
class PredictionSummary:
    """What was written, and what a person must know about it.

    Args:
        out: the folder.
        cases: how many were predicted.
        inputs_missing: input or channel → the number of cases in which nothing of it is known.
        notes: sentences about the model and its inputs.
        not_finite: task, subject and visit of the answers that are no finite numbers; their cells are empty.
    """

    out: Path
    cases: int
    inputs_missing: dict[str, int]
    notes: tuple[str, ...]
    not_finite: tuple[str, ...]


def predict_cases(
    predictor: Predictor,
    source: Path | str,
    out: Path | str,
    *,
    tta: bool = False,
    probabilities: bool = False,
    overlap: float = 0.5,
    overwrite: bool = False,
    strict: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    make_cells: Callable[[CaseAnswer], Mapping[str, str]] | None = None,
    make_volumes: MakeVolumes | None = None,
    revise_rows: ReviseRows | None = None,
    passes: int = 0,
    adjust_member: AdjustMember | None = None,
) -> PredictionSummary:
    """Predict a cohort folder, a table or a plain folder of images into `out`.

    Everything that can be refused is refused before the first file is written.

    Args:
        tta, probabilities, overlap: see `Predictor.answers`.
        overwrite: replace an earlier prediction in `out`.
        strict: refuse cases of which an input, a channel or a column is unknown.
        force: accept images whatever their values are.
        progress: called with the cases done, their number and what is done.
        make_cells, make_volumes, revise_rows: see `write_predictions`.
        passes: above 0 also say how unsure the answers are, with so many passes of the heads; see `UncertaintyColumns`.
        adjust_member: calibrates what a member says before that.
    """
    out = Path(out)
    cohort = read_inputs(Path(source), predictor.header)
    check_output_folder(out, overwrite)
    ensure_inputs_readable(cohort, predictor.plan)
    # Cheap checks come first; the check of image values below reads every voxel and may take minutes.
    rows = find_missing_inputs(predictor, cohort)
    if strict:
        refuse_missing_inputs(cohort, {**rows["case"], **rows["subject"]})
    total, done = len(cohort.cases), 0
    warnings = refuse_unfamiliar_images(
        cohort,
        predictor.plan,
        predictor.members[0].plan,
        force,
        lambda read, files: progress(read, files, "check images") if progress else None,
    )
    not_finite: list[str] = []
    told = UncertaintyColumns(predictor, adjust_member) if passes else None

    def note_answer(answer: CaseAnswer) -> None:
        nonlocal done
        # Answers about a whole subject have no case and are not counted as one.
        done += answer.case is not None
        who = f"subject {answer.subject}" + (f", visit {answer.visit}" if answer.visit else "")
        not_finite.extend(f"{task} of {who}" for task in answer.not_finite)
        if progress:
            progress(min(done, total), total, "predict")

    with lock_output_folder(out), repeat_heads(predictor, passes):
        write_predictions(
            predictor,
            cohort,
            out,
            tta=tta,
            probabilities=probabilities,
            overlap=overlap,
            on_answer=note_answer,
            make_cells=join_cells(make_cells, told.make_cells if told else None),
            make_volumes=join_volumes(make_volumes, told.make_volumes if told else None),
            revise_rows=revise_rows,
        )
    notes = [
        line for what, missing in rows.items() for line in describe_missing_inputs(predictor, missing, what)
    ]
    notes += [*describe_undefined_horizons(predictor), *describe_conditions(predictor.tasks)]
    return PredictionSummary(
        out,
        total,
        count_missing_inputs(rows["case"] or rows["subject"]),
        (*predictor.notices, *warnings, *notes),
        tuple(not_finite),
    )


def find_missing_inputs(
    predictor: Predictor, cohort: Cohort
) -> dict[str, dict[SubjectVisit, list[MissingInput]]]:
    """Find what is unknown: `case` and `subject` → who → missing ones among the inputs that tasks of that level read.

    Where every subject has one case, the tasks about subjects are counted with the cases.
    """
    levels = {name: task.level for name, task in predictor.tasks.items()}
    about_cases = [n for n, level in levels.items() if level != "subject"]
    about_subjects = [n for n, level in levels.items() if level == "subject"]
    single = len(cohort.subjects) == len(cohort.cases)
    missing_by_level: dict[str, dict[SubjectVisit, list[MissingInput]]] = {"case": {}, "subject": {}}
    if about_cases or single:
        tasks = [*about_cases, *(about_subjects if single else [])]
        for case in cohort.cases:
            missing_by_level["case"][case.subject, case.visit] = predictor.model_inputs.missing(
                cohort, (case,), tasks
            )
    if about_subjects and not single:
        for sample in cohort.samples():
            missing = predictor.model_inputs.find_missing_in_sample(cohort, sample, None, about_subjects)
            missing_by_level["subject"][sample.subject, ""] = missing
    return missing_by_level


def refuse_missing_inputs(cohort: Cohort, rows: dict[SubjectVisit, list[MissingInput]]) -> None:
    """Refuse, for `--strict`, the first case of which something is unknown, in one line."""
    lacking = {who: missing for who, missing in rows.items() if missing}
    if lacking:
        (subject, visit), missing = next(iter(lacking.items()))
        who = f"subject {subject}" + (f", visit {visit}" if visit else "")
        more = f" ({len(lacking)} of {len(rows)} lack something)" if len(lacking) > 1 else ""
        raise PolytaskError(
            f"{cohort.table}, {who}: {format_missing_inputs(missing)} unknown; expected every input{more}; fill "
            "the cells, or predict "
            "without --strict"
        )
