"""`polytask export`: a self-contained model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    runs: Annotated[list[Path], typer.Argument(help="One run, or several of one plan: an ensemble.")],
    out: Annotated[Path, typer.Option("-o", "--out", "--output", help="The model's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write weights, description and README of a model that predicts without the cohort it came from."""
    from polytask.cli import say_json
    from polytask.predict.bundle import export as write

    folder = write(runs, out)
    files = {p.name: p.stat().st_size for p in sorted(folder.iterdir())}
    if as_json:
        say_json({"model": str(folder), "members": len(runs), "files": files})
    else:
        typer.echo(f"{folder}: {', '.join(f'{n} ({s / 1e6:.1f} MB)' for n, s in files.items())}")
        typer.echo(f"next: polytask predict {folder} NEW_CASES -o OUT")
