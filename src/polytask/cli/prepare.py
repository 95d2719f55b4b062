"""`polytask prepare`: bring the cohort into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare(
    work: Annotated[
        Path, typer.Argument(help="Work folder with plan.yaml; arrays are written to WORK/store.")
    ],
    jobs: Annotated[
        int, typer.Option(help="Number of cases prepared at the same time; 0: one for each processor.", min=0)
    ] = 0,
    masks: Annotated[
        str | None,
        typer.Option(
            help="How masks are stored: runs (small, the same tensors) or dense; default: as they are, else dense."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as one JSON document.")] = False,
) -> None:
    """Resample every case onto the plan's grid, once. Run it again at any time: finished cases are kept."""
    import os
    import signal

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.prepare.mask_runs import parse_mask_form
    from polytask.prepare.store_builder import prepare as prepare_store

    form = None if masks is None else parse_mask_form(masks)
    bar = make_transient_bar(
        TextColumn("prepare"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with bar:
        line = bar.add_task(f"into {work / 'store'}", total=None)

        def progress(done: int, total: int, key: str) -> None:
            bar.update(line, completed=done, total=total, description=key)

        try:
            done = prepare_store(work, jobs or os.cpu_count() or 1, progress, masks=form)
        except KeyboardInterrupt:
            typer.echo("interrupted; finished cases are kept. Go on with:", err=True)
            typer.echo(f"  polytask prepare {work}", err=True)
            # A shell expects 128 + the number of the signal from a program that a signal ended.
            raise typer.Exit(128 + signal.SIGINT) from None
    if json:
        print_json(done.as_dict())
    else:
        print(
            f"{done.cases} cases in {done.store.folder}: {done.made} made, {done.cases - done.made} kept, "
            f"{done.bytes / 1e6:.1f} MB"
        )
        print(f"next: polytask train {work}")
