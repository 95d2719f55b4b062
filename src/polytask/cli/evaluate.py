"""`polytask evaluate`: metrics with intervals on the held-out part, or on another hospital's cohort."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PartChoice(StrEnum):
    """The parts of a fold that can be judged, and the test part of the cohort."""

    held_out = "held_out"
    tune = "tune"
    test = "test"


def evaluate(
    run: Annotated[Path, typer.Argument(help="WORK/runs/NAME; with --on also an exported MODEL.")],
    part: Annotated[
        PartChoice,
        typer.Option(
            help="Which subjects of the run's fold; every use of `test` is logged in WORK/test_log.jsonl."
        ),
    ] = PartChoice.held_out,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            help="Table of answers of another reader or model, with columns as in predictions.csv; may be repeated."
        ),
    ] = None,
    sensitivity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=SHARE", help="Choose a threshold on the tune part that reaches this sensitivity."
        ),
    ] = None,
    specificity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=SHARE", help="Choose a threshold on the tune part that reaches this specificity."
        ),
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option("--on", help="Evaluate on another labeled cohort, e.g. of another hospital."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="With --on: YAML file that maps names in that cohort to names of the model."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", "--output", help="With --on: new folder for the results.")
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Test-time augmentation: average over mirrored images as well.")
    ] = False,
    resamples: Annotated[
        int, typer.Option(help="Number of resamples for bootstrap intervals.", min=1)
    ] = 1000,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; default: the fastest available.")
    ] = None,
    hidden: Annotated[
        bool, typer.Option(help="On the held-out part, also evaluate with some inputs hidden.")
    ] = True,
    every: Annotated[
        bool, typer.Option("--all", help="Show all metrics, also per site and stratum.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the content of evaluation.json.")] = False,
) -> None:
    """Predict a part of the cohort (with --on: all of another cohort) and compute metrics with 95 % intervals and n,
    in total, per site and per stratum."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from polytask.cli import print_json
    from polytask.cli.evaluation_extras import describe_extra_results, make_extra_tables
    from polytask.cli.evaluation_table import (
        list_evaluation_remarks,
        make_metrics_table,
        make_strata_table,
    )
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.cli.subgroup_table import describe_worst_groups, make_subgroups_table
    from polytask.errors import PolytaskError
    from polytask.evaluation.evaluate_run import evaluate as evaluate_run
    from polytask.evaluation.evaluated_part import locate_results
    from polytask.evaluation.external.evaluate_on import evaluate_on
    from polytask.report.external_report import write_external_report
    from polytask.trust.promise_check import make_promise_check

    refuse_conflicting_options(run, part, on, mapping, out)
    # A threshold chosen on the other cohort would be judged on the data that chose it.
    if on is not None and (sensitivity or specificity):
        raise PolytaskError(
            "operating points are chosen on the run's own tune part: evaluate the run with --sensitivity or "
            "--specificity first; its thresholds are then also evaluated with --on"
        )
    bar = make_transient_bar(
        TextColumn("evaluate"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with bar:
        line = bar.add_task(str(run), total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(line, completed=done, total=total, description=what)

        if on is not None and out is not None:
            elsewhere = evaluate_on(
                run,
                on,
                out,
                mapping=mapping,
                tta=tta,
                resamples=resamples,
                progress=progress,
                device=device,
                answers=answers or (),
                make_probe=make_promise_check,
            )
            evaluation = elsewhere.evaluation
            # The bar would stand still at its end while the pictures of the page are drawn.
            progress(0, 1, "report")
            write_external_report(elsewhere)
        else:
            evaluation = evaluate_run(
                run,
                part.value,
                tta=tta,
                resamples=resamples,
                progress=progress,
                device=device,
                answers=answers or (),
                sensitivity=sensitivity or (),
                specificity=specificity or (),
                hidden=hidden,
                make_probe=make_promise_check,
            )
    if as_json:
        print_json(evaluation.as_dict())
        return
    console = Console()
    for verdict in evaluation.verdicts:
        console.print(verdict, style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(make_metrics_table(evaluation, every))
    if every:
        for site, metrics in evaluation.sites.items():
            console.print(make_metrics_table(evaluation, True, metrics, f"site {site}"))
        for column, strata in evaluation.strata.items():
            for stratum, result in strata.items():
                console.print(make_metrics_table(evaluation, True, result.metrics, f"{column} {stratum}"))
    for column in evaluation.strata:
        console.print(make_strata_table(evaluation, column))
    if evaluation.subgroups and (every or evaluation.strata):
        console.print(make_subgroups_table(evaluation))
    for shown in make_extra_tables(evaluation):
        console.print(shown)
    for text in [
        *list_evaluation_remarks(evaluation),
        *describe_worst_groups(evaluation),
        *describe_extra_results(evaluation),
    ]:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if on is not None:
        print(f"{out}: evaluation.json, cases.csv, predictions.csv, report.html")
        if evaluation.external["draft"]:
            print(
                f"next: correct {out}/{evaluation.external['draft']}, then run the same command with --mapping and "
                "another -o"
            )
        return
    print(f"{locate_results(run, evaluation.part)}: evaluation.json, cases.csv, predictions.csv")
    print(f"next: polytask report {run}")


def refuse_conflicting_options(
    run: Path, part: PartChoice, on: Path | None, mapping: Path | None, out: Path | None
) -> None:
    """Refuse options that do not go together: most of them hold either with `--on` or without it."""
    from polytask.errors import PolytaskError

    if on is None:
        if mapping is not None or out is not None:
            raise PolytaskError(
                f"{'--mapping' if mapping else '-o'} goes with --on COHORT; without --on, results are written into "
                "the run"
            )
        if (run / "model.json").exists() and not (run / "run.yaml").exists():
            raise PolytaskError(
                f"{run}: an exported model has no cohort of its own; name one: polytask evaluate {run} --on COHORT "
                "-o OUT"
            )
    elif out is None:
        raise PolytaskError("--on needs -o OUT, a new folder for the results")
    elif part is not PartChoice.held_out:
        raise PolytaskError(f"--part {part.value} is a part of the run's own cohort; leave it out with --on")
