"""`polytask pick`: the recommended model of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pick(
    study: Annotated[Path, typer.Argument(help="Folder of a study.")],
    out: Annotated[Path, typer.Option("-o", "--out", "--output", help="The model's folder.")],
    arm: Annotated[str | None, typer.Option(help="This arm instead of the recommended one.")] = None,
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble", help="Export one model per fold as an ensemble instead of the single best run."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was taken as JSON.")] = False,
) -> None:
    """Export the arm that the study recommends as a self-contained model folder.

    That is the arm with the best results on the tune part, if held-out subjects show that nothing is lost; else
    one network per task.
    """
    from polytask.cli import print_json
    from polytask.study.picked_model import export_picked_model

    picked = export_picked_model(study, out, arm, ensemble)
    if as_json:
        print_json(
            {"arm": picked.arm, "why": picked.why, "runs": list(picked.runs), "model": str(picked.model)}
        )
        return
    typer.echo(f"{picked.arm}: {picked.why}" if arm else picked.why)
    typer.echo(f"{picked.model}: {', '.join(picked.runs)}")
    typer.echo(f"next: polytask predict {picked.model} NEW_CASES -o OUT")
