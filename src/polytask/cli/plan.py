"""`polytask plan`: decide every number, with reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def plan(
    folder: Annotated[Path, typer.Argument(help="A cohort: cohort.yaml and cases.csv.")],
    work: Annotated[
        Path,
        typer.Option(
            "-o", "--out", "--output", help="Work folder for fingerprint.json, splits.json, plan.yaml."
        ),
    ],
    folds: Annotated[int, typer.Option(help="Number of folds.", min=2)] = 5,
    split_by: Annotated[
        str,
        typer.Option(help="How folds are made: subject (at random), or site (leave one site out at a time)."),
    ] = "subject",
    splits: Annotated[
        Path | None, typer.Option(help="Folds to use: a splits.json, or nnU-Net's splits_final.json.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the folds.", min=0)] = 0,
    memory: Annotated[
        float | None, typer.Option(help="Memory budget in GB; default: what this machine has.", min=0.5)
    ] = None,
    machine: Annotated[
        Path | None,
        typer.Option(
            help="Plan for another machine: the machine.json of a work folder that was planned there.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set one value yourself, e.g. training.epochs=4; may be repeated."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Number of threads that read images; 0: one for each core.", min=0)
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Choose all settings from the data and this machine; plan.yaml holds each with its reason."""
    from dataclasses import asdict

    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.cohort.header_file import HEADER_FILE, read_header
    from polytask.errors import PolytaskError
    from polytask.plan.machine import count_usable_cores
    from polytask.plan.plan_summary import dump_summary
    from polytask.plan.preset_costs import compare_presets, format_preset_costs
    from polytask.plan.work_folder import plan_into

    if split_by not in ("subject", "site"):
        raise PolytaskError(f"--split-by {split_by}: expected subject or site")
    # The last default column is the time left; here it comes after the count.
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with make_transient_bar(*columns, TextColumn("{task.fields[key]}")) as bar:
        line = bar.add_task(f"measuring {folder}", total=None, key="")
        by: Literal["subject", "site"] = "site" if split_by == "site" else "subject"
        done = plan_into(
            folder,
            work,
            folds,
            by,
            splits,
            seed,
            machine,
            memory,
            settings or [],
            jobs=jobs or count_usable_cores(),
            progress=lambda n, total, key: bar.update(line, completed=n, total=total, key=key),
        )
    costs = compare_presets(done.plan, read_header(folder / HEADER_FILE))
    if as_json:
        document = {"work": str(work), **dump_summary(done.plan, done.splits)}
        print_json(document | {"costs_beside_hard": {name: asdict(cost) for name, cost in costs.items()}})
        return
    print_plan_summary(done.plan, done.splits)
    print("".join(f"{words}\n" for words in format_preset_costs(costs)), end="")
    if done.kept_old:
        print(f"the earlier plan is now in {work / 'plan.yaml.old'}")
    measured = "" if machine else ", machine.json"
    print(f"written: {work / 'plan.yaml'}, splits.json, fingerprint.json{measured}")
    print(f"next: polytask prepare {work}")


def print_plan_summary(made: object, splits: object) -> None:
    """Print the summary of a plan: as tables on a terminal, as plain text in a pipe or a file."""
    import sys

    from rich.console import Console
    from rich.table import Table

    from polytask.cohort.splits import Splits
    from polytask.plan.plan_schema import Plan
    from polytask.plan.plan_summary import describe_folds, list_summary_rows, list_task_rows, render_summary

    assert isinstance(made, Plan)
    assert isinstance(splits, Splits)
    if not sys.stdout.isatty():
        print(render_summary(made, splits))
        return
    console = Console()
    console.print(describe_folds(made, splits), markup=False)
    decided = Table("decided", "value", "because", box=None, pad_edge=False, header_style="bold")
    for row in list_summary_rows(made):
        decided.add_row(row.what, row.value, row.why)
    console.print(decided)
    tasks = Table(
        "task", "kind", "level", "primary metric", "fold 0", box=None, pad_edge=False, header_style="bold"
    )
    for cells in list_task_rows(made):
        tasks.add_row(*cells)
    console.print(tasks)
