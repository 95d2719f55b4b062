"""`polytask report`: one page about a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polytask.cli.evaluate import PartChoice

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.run_comparison import RunComparison


def report(
    run: Annotated[Path, typer.Argument(help="WORK/runs/NAME.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="Another run of the same fold to compare with; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", "--output", help="File; RUN/report.html by default.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw a summary picture into this PNG.")] = None,
    part: Annotated[
        PartChoice, typer.Option(help="Which part of the cohort the report is about.")
    ] = PartChoice.held_out,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            help="Give PPV and NPV at a prevalence, e.g. response=0.08 or TASK.LABEL=0.1; may be repeated."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print file and comparisons as JSON.")] = False,
) -> None:
    """Write one self-contained HTML page: training curves, metrics with intervals, figures for each kind of
    task, comparison.

    A run that was not evaluated yet (or whose weights changed since) is evaluated first; never on the test part.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from polytask.cli import print_json
    from polytask.report.comparison_tables import ONE_TRAINING_WARNING, warn_unequal_training
    from polytask.report.run_report import make_report
    from polytask.report.summary_picture import save_picture

    bar = Progress(
        TextColumn("report"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        line = bar.add_task(str(run), total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(line, completed=done, total=total, description=what)

        path, material = make_report(run, against or (), out, part.value, progress, prevalence or ())
        if picture:
            save_picture(material, picture)
    if as_json:
        print_json({"report": str(path), "comparisons": [c.as_dict() for c in material.comparisons]})
        return
    console = Console()
    for comparison in material.comparisons:
        console.print(make_comparison_table(comparison))
        for words in describe_run_costs(comparison):
            console.print(words, markup=False, highlight=False)
        if warning := warn_unequal_training(comparison):
            console.print(warning, markup=False)
    if material.comparisons:
        console.print(ONE_TRAINING_WARNING, markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {path.resolve()}", markup=False, soft_wrap=True)


def make_comparison_table(comparison: RunComparison) -> Table:
    """Make a table of the values of both runs and their paired difference, with interval and n."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from polytask.report.metric_tables import METRIC_TITLES, TableCell, build_estimate_cell, format_number

    def bold(cell: TableCell) -> list[Text]:
        style = "bold" if cell.strong else ""
        return [Text(cell.value, style), Text(cell.interval, style), Text(cell.n.removeprefix("n "))]

    part = comparison.part.replace("_", " ")
    title = Text(
        f"{comparison.run} against {comparison.other}: {comparison.subjects} {part} subjects, paired"
    )
    shown = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    columns = ("task", "metric", comparison.run, comparison.other, "difference", "95 % interval", "n")
    for k, column in enumerate(columns):
        shown.add_column(Text(column), justify="left" if k < 2 else "right", no_wrap=True)
    for name, task in comparison.tasks.items():
        values = [Text(format_number(v)) for v in task.values]
        metric = METRIC_TITLES.get(task.metric, task.metric)
        shown.add_row(
            Text(name), Text(metric), *values, *bold(build_estimate_cell(task.difference, difference=True))
        )
    shown.add_row(
        "mean skill", "", "", "", *bold(build_estimate_cell(comparison.mean_skill, difference=True))
    )
    return shown


def describe_run_costs(comparison: RunComparison) -> Iterator[str]:
    """Yield one line for each of the two runs: its parameters, its steps and the time they took."""
    from polytask.report.run_facts import format_step_time, format_training_time

    for name, cost in zip((comparison.run, comparison.other), comparison.costs, strict=True):
        parameters = f"{cost.parameters / 1e6:.1f} M parameters"
        yield (
            f"{name}: {parameters}, {cost.steps} steps of {format_step_time(cost.seconds_per_step)}, "
            f"{format_training_time(cost.minutes)}"
        )
