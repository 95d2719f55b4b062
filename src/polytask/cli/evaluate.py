"""`polytask evaluate`: metrics with intervals on the held-out part."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.result import Estimate, Evaluation


class Part(StrEnum):
    """Parts of a fold, and the test part."""

    held_out = "held_out"
    tune = "tune"
    test = "test"


def evaluate(
    run: Annotated[Path, typer.Argument(help="WORK/runs/NAME.")],
    part: Annotated[
        Part, typer.Option(help="Of the run's fold; `test` is noted in WORK/test_log.jsonl.")
    ] = Part.held_out,
    tta: Annotated[bool, typer.Option("--tta", help="Average over mirror images as well.")] = False,
    resamples: Annotated[int, typer.Option(help="Of the bootstrap over subjects.", min=1)] = 1000,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; default the best there is.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all metrics, per site too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print evaluation.json.")] = False,
) -> None:
    """Predict a part of the cohort and judge it: metrics with 95 % intervals, n beside each, per site."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from polytask.cli import say_json
    from polytask.cli.bars import passing_bar
    from polytask.evaluation.make import evaluate as judge
    from polytask.evaluation.part import folder_of

    bar = passing_bar(
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

        found = judge(run, part.value, tta=tta, resamples=resamples, progress=progress, device=device)
    if as_json:
        say_json(found.as_dict())
        return
    console = Console()
    for verdict in found.verdicts:
        console.print(verdict, style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(table(found, every))
    if every:
        for site in found.sites:
            console.print(table(found, True, site))
    for text in remarks(found):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    print(f"{folder_of(run, found.part)}: evaluation.json, cases.csv, predictions.csv")
    print(f"next: polytask report {run}")


def table(found: Evaluation, every: bool = False, site: str | None = None) -> Table:
    """Task, metric, estimate, interval, n; the primary metric of each task first."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    metrics = found.metrics if site is None else found.sites[site]
    where = "" if site is None else f", site {site}"
    shown = Table(
        title=Text(f"{found.run}, {found.part.replace('_', ' ')}{where}: {len(found.subjects)} subjects"),
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("task", "metric"):
        shown.add_column(column)
    for column in ("estimate", "95 % interval", "n"):
        shown.add_column(column, justify="right")
    for name, task in found.tasks.items():
        first = str(task["primary"])
        plain = [m for m in metrics[name] if m != first and (every or "." not in m)]
        for k, metric in enumerate([first, *plain]):
            shown.add_row(
                Text(name if k == 0 else ""),
                Text(metric, style="bold" if k == 0 else ""),
                *cells(metrics[name][metric]),
                end_section=k == len(plain),
            )
    if site is None:
        shown.add_row("all", Text("mean skill", style="bold"), *cells(found.mean_skill))
    return shown


def cells(e: Estimate) -> tuple[str, str, str]:
    """Estimate, interval, n."""
    from math import isfinite

    if not isfinite(e.estimate):
        return "not defined", "", "0"
    interval = f"{number(e.low)} to {number(e.high)}" if isfinite(e.low) else "too few"
    return number(e.estimate), interval, str(e.n)


def number(value: float) -> str:
    """Three decimals, fewer for large numbers."""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def remarks(found: Evaluation) -> list[str]:
    """What a reader should know besides."""
    texts = ["Skill: chance 0, perfect 1. Intervals: bootstrap over subjects. Research use only."]
    for name, count in found.counts.items():
        if count["unanswered"]:
            texts.append(f"{name}: {count['unanswered']} known truths without a prediction")
        for key, what in (("empty_truth", "truth"), ("empty_answer", "prediction")):
            empty = {s: n for s, n in count.get(key, {}).items() if n}
            if empty:
                texts.append(f"{name}: empty {what} in " + ", ".join(f"{n} ({s})" for s, n in empty.items()))
    for name, effect in found.site_effects.items():
        texts += [
            f"{name}: site {site} (n {at_site['n']}) does not count: {at_site['why']}"
            for site, at_site in effect["sites"].items()
            if at_site["why"]
        ]
    if found.test_touched:
        times = "once" if found.test_touched == 1 else f"{found.test_touched} times"
        texts.append(f"The test part was touched {times} so far.")
    return texts
