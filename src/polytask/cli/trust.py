"""`polytask trust`: how sure answers are, and with what promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.trust.fit_runs import RunsTrust
    from polytask.trust.fit_task import TaskTrust


def trust(
    runs: Annotated[
        list[Path], typer.Argument(help="WORK/runs/NAME, evaluated; several are folds and seeds of one plan.")
    ],
    level: Annotated[
        float, typer.Option(help="Share of the sets that shall hold the truth.", min=0.0, max=1.0)
    ] = 0.9,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", "--output", help="Folder for trust.json; default: RUN, of several runs WORK/trust."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the content of trust.json.")] = False,
) -> None:
    """Fit calibration and sets with a promise on held-out answers, check both on subjects that fitted nothing, and
    write `trust.json`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.predict.promises import locate_trust_file
    from polytask.training.folder import Run
    from polytask.trust.fit_runs import fit_runs
    from polytask.trust.trust_file import describe_trust, write_trust

    bar = make_transient_bar(
        TextColumn("trust"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)
    )
    with bar:
        line = bar.add_task("", total=None)
        fitted = fit_runs(
            runs,
            level,
            progress=lambda done, total, task: bar.update(
                line, completed=done, total=total, description=task
            ),
        )
    folder = out or locate_trust_file([Run.read(run) for run in runs]).parent
    folder.mkdir(parents=True, exist_ok=True)
    path = write_trust(fitted, folder)
    if as_json:
        print_json(describe_trust(fitted))
        return
    console = Console()
    console.print(make_trust_table(fitted))
    for text in list_trust_remarks(fitted):
        print(text)
    print(path)


def make_trust_table(fitted: RunsTrust) -> Table:
    """Make a table of task, known answers, coverage and size of the sets, and calibration error before and after."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(f"sets that shall hold the truth in {fitted.level:.0%}"), box=SIMPLE, padding=(0, 1, 0, 0)
    )
    shown.add_column("task")
    for column in ("n", "held", "size", "calibration error"):
        shown.add_column(column, justify="right")
    for name, members in fitted.tasks.items():
        checks = [own.check for own in members if own.check is not None]
        held = fitted.average_coverage(name)
        shown.add_row(
            Text(name),
            " + ".join(map(str, fitted.count_known(name))),
            f"{held.mean:.0%} ± {held.sd:.0%}" if held else "not checked",
            " · ".join(f"{c.size.mean:.3g}" for c in checks),
            " · ".join(describe_errors(own) for own in members),
        )
    return shown


def describe_errors(own: TaskTrust) -> str:
    """Describe the calibration error of a member before and after, or that calibrating was refused."""
    if own.check is None or own.check.errors is None:
        return "–"
    (before, _), (after, _) = own.check.errors
    return f"{before:.3f}, raw" if own.calibrator is None else f"{before:.3f} → {after:.3f}"


def list_trust_remarks(fitted: RunsTrust) -> list[str]:
    """List what a reader needs to understand the table."""
    remarks = [
        "held: share of the sets with the truth among subjects that fitted nothing (mean ± standard deviation over 50 "
        "halves)"
    ]
    for name, members in fitted.tasks.items():
        needed = members[0].needed
        for stratum in sorted({s for own in members for s in own.scores}):
            count = sum(len(own.scores.get(stratum, ())) for own in members)
            if count < needed:
                what = f"{name}, {describe_stratum(stratum, fitted.words[name])}" if stratum else name
                remarks.append(
                    f"{what}: {count} known answers, the level needs {needed}: it says nothing there"
                )
        for own in members:
            if own.refused:
                remarks.append(f"{name}: not calibrated: {own.refused}")
        if len(members) > 1:
            remarks.append(
                f"{name}: for {len(members)} folds together at least {fitted.find_worst_case(name):.0%} is proved; "
                "the column shows single members"
            )
    return remarks + [f"{name}: {why}" for name, why in fitted.without.items()]


def describe_stratum(stratum: str, words: tuple[str, ...]) -> str:
    """Describe a stratum by the word of its class or label."""
    place, sign, answer = stratum.partition("=")
    return f"{words[int(place)]}{sign}{answer}"
