"""`polytask export`: a self-contained model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    runs: Annotated[
        list[Path], typer.Argument(help="One run, or several runs of one plan, which become an ensemble.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", "--output", help="The model's folder.")],
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=SHARE",
            help="Shift the model's calibrated probabilities to this prevalence, as for predict; may be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write weights, description and README of a model that predicts without the cohort it came from."""
    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.predict.bundle import DESCRIPTION_FILE
    from polytask.predict.bundle import export as export_model
    from polytask.predict.seal import read_description
    from polytask.trust.prevalence_request import store_prevalence

    with make_transient_bar() as bar:
        line = bar.add_task("export", total=None)
        folder = export_model(
            runs,
            out,
            lambda done, total, what: bar.update(line, completed=done, total=total),
            (lambda tasks, promises: store_prevalence(tasks, promises, prevalence)) if prevalence else None,
        )
    seen = read_description(folder / DESCRIPTION_FILE)[0]["seen"]
    files = {p.name: p.stat().st_size for p in sorted(folder.iterdir())}
    if as_json:
        known = None if seen is None else seen["subjects"]
        print_json({"model": str(folder), "members": len(runs), "files": files, "seen_subjects": known})
    else:
        typer.echo(f"{folder}: {', '.join(f'{n} ({s / 1e6:.1f} MB)' for n, s in files.items())}")
        if seen is None:
            typer.echo(
                "note: store and cohort have changed since training, so `evaluate --on` cannot recognize subjects "
                "of the training"
            )
        typer.echo(f"next: polytask predict {folder} NEW_CASES -o OUT")
