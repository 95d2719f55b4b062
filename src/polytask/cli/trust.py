"""`polytask trust`: how sure answers are, and with what promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.trust.fit_runs import RunsTrust


def trust(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN…|MODEL",
            help="WORK/runs/NAME, evaluated; several are folds and seeds of one plan. Or one exported model, or a "
            "trust.json: prints what it holds.",
        ),
    ],
    level: Annotated[
        float | None,
        typer.Option(
            help="Share of the sets that shall hold the truth; default 0.9.",
            min=0.0,
            max=1.0,
            show_default=False,
        ),
    ] = None,
    refer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TASK=]ERROR",
            help="Find from which confidence on to answer, so that at most this share of the answered is wrong (of "
            "numbers: TASK=mean absolute error); the rest is referred to people. May be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            "--output",
            help="Folder for trust.json; default: RUN, of several runs WORK/trust/NAME.",
        ),
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            help="Share of ordinary cases that may be flagged as strange inputs; default 0.05.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the content of trust.json.")] = False,
) -> None:
    """Fit calibration and sets with a promise on held-out answers, check both on subjects that fitted nothing, and
    write `trust.json`; or print what a model promises."""
    from polytask.errors import PolytaskError
    from polytask.trust.stored_promises import locate_stored_promises

    stored = locate_stored_promises(sources[0])
    if stored is None or len(sources) > 1:
        show_fitted_runs(
            sources,
            0.9 if level is None else level,
            0.05 if false_alarms is None else false_alarms,
            refer or (),
            out,
            as_json,
        )
        return
    if level is not None or false_alarms is not None or out is not None or refer:
        raise PolytaskError(
            f"{sources[0]}: what a model promises is fixed; --level, --false-alarms, --refer and -o go with "
            "runs, which are fitted anew"
        )
    show_stored_promises(stored, as_json)


def show_stored_promises(place: Path, as_json: bool) -> None:
    """Print what a model or a `trust.json` promises."""
    from polytask.cli import print_json
    from polytask.trust.prevalence_request import read_stored_prevalence
    from polytask.trust.stored_promises import read_stored_promises
    from polytask.trust.trust_file import parse_trust

    content = read_stored_promises(place)
    if as_json:
        print_json(content)
    elif content is None:
        print(
            f"{place}: uncalibrated: nothing is promised; run `polytask trust RUN`, then export the runs again"
        )
    else:
        show_promises(parse_trust(content, place))
        for request in read_stored_prevalence(content):
            shares = ", ".join(f"{share:.3g}" for share in request.shares or ())
            print(
                f"{request.question}: probabilities are for the prevalence {shares} that the model was exported for"
            )


def show_fitted_runs(
    runs: Sequence[Path],
    level: float,
    false_alarms: float,
    refer: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    """Fit what runs promise, write it, and print it."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.errors import PolytaskError
    from polytask.predict.promises import locate_trust_file, point_to_run_set
    from polytask.training.folder import Run
    from polytask.trust.fit_runs import fit_runs
    from polytask.trust.inputs.fit_inputs import ensure_share, try_inputs
    from polytask.trust.trust_file import describe_trust, write_trust

    bar = make_transient_bar(
        TextColumn("trust"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)
    )
    ensure_share(false_alarms)
    with bar:
        line = bar.add_task("", total=None)
        fitted = fit_runs(
            runs,
            level,
            refer=refer,
            progress=lambda done, total, task: bar.update(
                line, completed=done, total=total, description=task
            ),
        )
        inputs, why = try_inputs(
            runs,
            false_alarms,
            progress=lambda done, total, what: bar.update(
                line, completed=done, total=total, description=what
            ),
        )
    without = fitted.without if inputs else {**fitted.without, "input": why}
    fitted = replace(fitted, inputs=inputs, without=without)
    together = [Run.read(run) for run in runs]
    folder = out or locate_trust_file(together).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = write_trust(fitted, folder)
        if len(together) > 1 and out is None:
            point_to_run_set(together)
    except OSError as error:
        raise PolytaskError(f"{folder}: cannot write here ({error.strerror}); choose another -o") from None
    if as_json:
        print_json(describe_trust(fitted))
        return
    show_promises(fitted)
    print(path)


def show_promises(fitted: RunsTrust) -> None:
    """Print the table of what is promised, and what a reader needs to understand it."""
    from rich.console import Console

    from polytask.cli.input_table import list_input_remarks, make_input_table
    from polytask.cli.voxel_promises import list_voxel_tables
    from polytask.trust.trust_remarks import list_trust_remarks

    console = Console()
    for table in [
        *([make_trust_table(fitted)] if fitted.tasks or fitted.survival else []),
        *list_voxel_tables(fitted),
    ]:
        console.print(table)
    if fitted.inputs is not None:
        console.print(make_input_table(fitted.inputs))
    for text in (*list_trust_remarks(fitted), *(list_input_remarks(fitted.inputs) if fitted.inputs else ())):
        print(text)


def make_trust_table(fitted: RunsTrust) -> Table:
    """Make a table of task, known answers, coverage and size of the sets, and calibration error before and after, and
    error of all answers with the area under its curve."""
    from math import isnan

    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from polytask.trust.survival.survival_remarks import list_survival_rows
    from polytask.trust.trust_remarks import describe_answering, describe_errors

    shown = Table(
        title=Text(f"sets that shall hold the truth in {fitted.level:.0%}"), box=SIMPLE, padding=(0, 1, 0, 0)
    )
    shown.add_column("task")
    for column in ("n", "held", "size", "calibration error", "error", "AUGRC"):
        shown.add_column(column, justify="right")
    for name, members in fitted.tasks.items():
        checks = [own.check for own in members if own.check is not None]
        held = fitted.average_coverage(name)
        shown.add_row(
            Text(name),
            " + ".join(map(str, fitted.count_known(name))),
            f"{held.mean:.0%} ± {held.sd:.0%}" if held else "not checked",
            " · ".join("endless" if isnan(c.size.mean) else f"{c.size.mean:.3g}" for c in checks),
            " · ".join(describe_errors(own) for own in members),
            *describe_answering(fitted.measures.get(name)),
        )
    for name, survival in fitted.survival.items():
        for first, *cells in list_survival_rows(name, survival):
            shown.add_row(Text(first), *cells)
    return shown
