"""`polytask report`: one page about a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polytask.cli.evaluate import Part

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.comparison import Comparison


def report(
    run: Annotated[Path, typer.Argument(help="WORK/runs/NAME.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="Another run of the same fold to compare with; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", "--output", help="File; RUN/report.html by default.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw a summary picture into this PNG.")] = None,
    part: Annotated[Part, typer.Option(help="Which part was judged.")] = Part.held_out,
    as_json: Annotated[bool, typer.Option("--json", help="Print file and comparisons as JSON.")] = False,
) -> None:
    """Write one self-contained HTML page: curves, metrics with intervals, pictures by kind of task, comparison.

    A run that was not evaluated yet (or whose weights changed since) is evaluated first; never on the test part.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from polytask.cli import say_json
    from polytask.report.against import ONE_TRAINING, unequal
    from polytask.report.make import make_report
    from polytask.report.picture import save

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

        path, material = make_report(run, against or (), out, part.value, progress)
        if picture:
            save(material, picture)
    if as_json:
        say_json({"report": str(path), "comparisons": [c.as_dict() for c in material.comparisons]})
        return
    console = Console()
    for comparison in material.comparisons:
        console.print(table(comparison))
        for words in spent(comparison):
            console.print(words, markup=False, highlight=False)
        if warning := unequal(comparison):
            console.print(warning, markup=False)
    if material.comparisons:
        console.print(ONE_TRAINING, markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {path.resolve()}", markup=False, soft_wrap=True)


def table(found: Comparison) -> Table:
    """Make a table of the values of both runs and their paired difference, with interval and n."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from polytask.report.tables import NAMES, Cell, cell, number

    def bold(cell: Cell) -> list[Text]:
        style = "bold" if cell.strong else ""
        return [Text(cell.value, style), Text(cell.interval, style), Text(cell.n.removeprefix("n "))]

    part = found.part.replace("_", " ")
    title = Text(f"{found.run} against {found.other}: {found.subjects} {part} subjects, paired")
    shown = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    columns = ("task", "metric", found.run, found.other, "difference", "95 % interval", "n")
    for k, column in enumerate(columns):
        shown.add_column(Text(column), justify="left" if k < 2 else "right", no_wrap=True)
    for name, task in found.tasks.items():
        values = [Text(number(v)) for v in task.values]
        metric = NAMES.get(task.metric, task.metric)
        shown.add_row(Text(name), Text(metric), *values, *bold(cell(task.difference, difference=True)))
    shown.add_row("mean skill", "", "", "", *bold(cell(found.mean_skill, difference=True)))
    return shown


def spent(found: Comparison) -> Iterator[str]:
    """Yield one line for each of the two runs: its parameters, its steps and the time they took."""
    from polytask.report.facts import minutes, seconds

    for name, cost in zip((found.run, found.other), found.costs, strict=True):
        parameters = f"{cost.parameters / 1e6:.1f} M parameters"
        yield f"{name}: {parameters}, {cost.steps} steps of {seconds(cost.seconds_per_step)}, {minutes(cost.minutes)}"
