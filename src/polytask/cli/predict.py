"""`polytask predict`: outputs for new cases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor
    from polytask.predict.write_outputs import RowsByCase
    from polytask.trust.apply_trust import TrustedColumns
    from polytask.trust.shifted_columns import ShiftedColumns


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="RUN [RUN …] or MODEL, then the input: a cohort, a table, or a folder of images."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", "--output", help="Folder for predictions.csv and predictions/.")
    ],
    tta: Annotated[
        bool, typer.Option("--tta", help="Test-time augmentation: average over mirrored images as well.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of every voxel.")
    ] = False,
    overlap: Annotated[
        float, typer.Option(help="Overlap of sliding windows, 0 to 0.9.", min=0.0, max=0.9)
    ] = 0.5,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier prediction in that folder.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse cases with a missing input, channel or column.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Predict even if image values are not like those in training.")
    ] = False,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Leave out what `polytask trust` fitted: calibration, sets, intervals."),
    ] = False,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=SHARE",
            help="Shift calibrated probabilities to this prevalence: of the last of two classes, TASK=CLASS:SHARE,… "
            "of more, TASK.LABEL=SHARE, or TASK=estimate from 100 new cases or more; may be repeated.",
        ),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty", help="Also say how unsure each answer is: columns TASK.u, maps CASE.u."
        ),
    ] = False,
    passes: Annotated[
        int | None,
        typer.Option(
            help="With --uncertainty: passes of the heads with features left out; default 20.",
            min=1,
            max=1000,
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; default: the fastest available.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Predict new cases with one model, or with an ensemble of runs (folds, seeds).

    Masks and doses have the grid, orientation and spacing of the input files. Exit code 1 when an answer is not a
    finite number: its cell is left empty.
    """
    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.errors import PolytaskError
    from polytask.predict.decision_columns import describe_decisions
    from polytask.predict.prediction_pipeline import predict_cases
    from polytask.predict.predictor import Predictor
    from polytask.predict.uncertainty_columns import DEFAULT_PASSES

    if len(sources) < 2:
        raise PolytaskError(
            "predict needs a run or model and an input: polytask predict RUN|MODEL INPUT -o OUT"
        )
    if passes is not None and not uncertainty:
        raise PolytaskError("--passes goes with --uncertainty")
    *models, source = sources
    predictor = Predictor.load(*models, device=device)
    trusted, shifted = load_trusted_columns(predictor, models[0], source, raw, prevalence or ())
    columns = shifted or trusted
    adjust_member = None
    if trusted:
        from polytask.trust.calibrate_members import calibrate_member

        adjust_member = partial(calibrate_member, trusted)
    with make_transient_bar() as bar:
        line = bar.add_task("predict", total=None)
        summary = predict_cases(
            predictor,
            source,
            out,
            tta=tta,
            probabilities=probabilities,
            overlap=overlap,
            overwrite=overwrite,
            strict=strict,
            force=force,
            progress=lambda done, total, what: bar.update(
                line, completed=done, total=total, description=what
            ),
            make_cells=columns.make_cells if columns else None,
            passes=(passes or DEFAULT_PASSES) if uncertainty else 0,
            adjust_member=adjust_member,
            make_volumes=trusted.voxels.make_volumes if trusted else None,
            revise_rows=(lambda rows: shift_table(shifted, rows, out)) if shifted else None,
        )
    notes = list(summary.notes)
    if shifted:
        from polytask.trust.shifted_columns import describe_shift

        notes += [describe_shift(question, own) for question, own in shifted.applied.items()]
    if trusted and trusted.trust.tta != tta:
        fitted = "with" if trusted.trust.tta else "without"
        notes.append(
            f"calibration and sets were fitted on answers {fitted} --tta: predict alike, or give --raw"
        )
    done = {
        "out": str(out),
        "table": str(out / "predictions.csv"),
        "cases": summary.cases,
        "members": len(predictor.members),
        "inputs_missing": summary.inputs_missing,
        "notes": notes,
        "prevalence": {question: vars(own) for question, own in shifted.applied.items()} if shifted else {},
        "not_finite": list(summary.not_finite),
    }
    decisions = describe_decisions(predictor.decisions)
    if as_json:
        print_json(done)
    else:
        cases = f"{summary.cases} case{'s' * (summary.cases != 1)}"
        for text in decisions:
            typer.echo(text)
        typer.echo(f"{cases} → {done['table']} (research use only, not a medical device)")
        for note in notes:
            typer.echo(note)
        for what in summary.not_finite:
            typer.echo(f"{what} is not a finite number: left empty", err=True)
    raise typer.Exit(1 if summary.not_finite else 0)


def load_trusted_columns(
    predictor: Predictor, model: Path, source: Path, raw: bool, prevalence: Sequence[str]
) -> tuple[TrustedColumns | None, ShiftedColumns | None]:
    """Load what makes the columns of `polytask trust`, and what shifts them to the prevalence that was asked for or
    that the model was exported for."""
    from polytask.errors import PolytaskError
    from polytask.trust.prevalence_request import parse_prevalences, read_stored_prevalence

    asked = parse_prevalences(prevalence, predictor.tasks)
    if raw or predictor.promises is None:
        if asked:
            what = "leave out --raw" if predictor.promises is not None else "run `polytask trust RUN` first"
            raise PolytaskError(f"--prevalence needs calibrated probabilities: {what}")
        return None, None
    from polytask.predict.prediction_inputs import read_inputs
    from polytask.trust.apply_trust import TrustedColumns
    from polytask.trust.shifted_columns import ShiftedColumns, merge_requests

    trusted = TrustedColumns(predictor, predictor.promises, model)
    requests = merge_requests(read_stored_prevalence(predictor.promises), asked)
    if not requests:
        return trusted, None
    shifted = ShiftedColumns(trusted, requests, model)
    if any(request.shares is None for request in requests):
        cohort = read_inputs(source, predictor.header)
        shifted.refuse_too_few(len(cohort.cases), len(cohort.subjects))
    return trusted, shifted


def shift_table(shifted: ShiftedColumns, rows: RowsByCase, out: Path) -> None:
    """Shift the probabilities of all rows, and leave a record beside the table."""
    shifted.revise_rows(rows)
    shifted.write_record(out)
