"""`polytask evaluate`: metrics with intervals on the held-out part, or on another hospital's cohort."""

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
    run: Annotated[Path, typer.Argument(help="WORK/runs/NAME; with --on also an exported MODEL.")],
    part: Annotated[
        Part, typer.Option(help="Of the run's fold; `test` is noted in WORK/test_log.jsonl.")
    ] = Part.held_out,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            help="A table of somebody else's answers, with columns as in predictions.csv; may be repeated."
        ),
    ] = None,
    sensitivity: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=SHARE", help="Choose a threshold on tune that holds this sensitivity."),
    ] = None,
    specificity: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=SHARE", help="Choose a threshold on tune that holds this specificity."),
    ] = None,
    on: Annotated[
        Path | None, typer.Option("--on", help="Another labeled cohort, e.g. of another hospital.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="With --on: YAML that says which of its words are which of the model's."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", "--output", help="With --on: new folder for the results.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over mirror images as well.")] = False,
    resamples: Annotated[
        int, typer.Option(help="Of the intervals found by resampling subjects.", min=1)
    ] = 1000,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; default the best there is.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all metrics, per site too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print evaluation.json.")] = False,
) -> None:
    """Predict a part of the cohort (or with --on all of another cohort) and judge it: metrics with 95 % intervals, n
    beside each, per site."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from polytask.cli import say_json
    from polytask.cli.bars import passing_bar
    from polytask.cli.evaluate_beside import remarks_beside, tables_beside
    from polytask.errors import PolytaskError
    from polytask.evaluation.external.judge import evaluate_on
    from polytask.evaluation.make import evaluate as judge
    from polytask.evaluation.part import folder_of
    from polytask.report.external import write_external_report

    ensure_options(run, part, on, mapping, out)
    if on is not None and (sensitivity or specificity):
        raise PolytaskError(
            "operating points are chosen on the run's own tune part: evaluate the run with --sensitivity or "
            "--specificity first; what it keeps is then judged with --on as well"
        )
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
            )
            found = elsewhere.evaluation
            progress(0, 1, "report")
            write_external_report(elsewhere)
        else:
            found = judge(
                run,
                part.value,
                tta=tta,
                resamples=resamples,
                progress=progress,
                device=device,
                answers=answers or (),
                sensitivity=sensitivity or (),
                specificity=specificity or (),
            )
    if as_json:
        say_json(found.as_dict())
        return
    console = Console()
    console.print(table(found, every))
    if every:
        for site in found.sites:
            console.print(table(found, True, site))
    for shown in tables_beside(found):
        console.print(shown)
    for text in [*remarks(found), *remarks_beside(found)]:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if on is not None:
        print(f"{out}: evaluation.json, cases.csv, predictions.csv, report.html")
        if found.external["draft"]:
            print(
                f"next: correct {out}/{found.external['draft']}, then the same with --mapping and another -o"
            )
        return
    print(f"{folder_of(run, found.part)}: evaluation.json, cases.csv, predictions.csv")
    print(f"next: polytask report {run}")


def ensure_options(run: Path, part: Part, on: Path | None, mapping: Path | None, out: Path | None) -> None:
    """Refuse options that do not go together."""
    from polytask.errors import PolytaskError

    if on is None:
        if mapping is not None or out is not None:
            raise PolytaskError(
                f"{'--mapping' if mapping else '-o'} goes with --on COHORT; results on the run's own cohort lie in "
                "the run"
            )
        if (run / "model.json").exists() and not (run / "run.yaml").exists():
            raise PolytaskError(
                f"{run}: an exported model has no cohort of its own; name one: polytask evaluate {run} --on COHORT "
                "-o OUT"
            )
    elif out is None:
        raise PolytaskError("--on needs -o OUT, a new folder for the results")
    elif part is not Part.held_out:
        raise PolytaskError(f"--part {part.value} is a part of the run's own cohort; leave it out with --on")


METHODS = "95 %, over subjects; shares by Wilson, others see docs/evaluation.md"


def table(found: Evaluation, every: bool = False, site: str | None = None) -> Table:
    """Task, metric, estimate, interval, n; the primary metric of each task first."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    metrics = found.metrics if site is None else found.sites[site]
    where = "" if site is None else f", site {site}"
    part = f"at {found.external['cohort']}" if found.external else found.part.replace("_", " ")
    shown = Table(
        title=Text(f"{found.run}, {part}{where}: {len(found.subjects)} subjects"),
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
    texts = [f"Skill: chance 0, perfect 1. Intervals: {METHODS}. Research use only."]
    for name in found.tasks:
        if reason := found.primary(name).reason:
            texts.append(f"{name}, {found.tasks[name]['primary']}: no interval, {reason}")
    for name, count in found.counts.items():
        if count["unanswered"]:
            texts.append(f"{name}: {count['unanswered']} known truths without a prediction")
        for key, what in (
            ("empty_truth", "empty truth"),
            ("empty_answer", "empty prediction"),
            ("missed", "missed (left out of HD95)"),
            ("only_predicted", "predicted where there is none (left out of HD95)"),
        ):
            some = {s: n for s, n in count.get(key, {}).items() if n}
            if some:
                texts.append(f"{name}: {what} in " + ", ".join(f"{n} ({s})" for s, n in some.items()))
    if found.test_touched:
        times = "once" if found.test_touched == 1 else f"{found.test_touched} times"
        texts.append(f"The test part was touched {times} so far.")
    return [*texts, *found.external.get("notes", ())]
