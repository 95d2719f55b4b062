"""`polytask predict`: outputs for new cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="RUN [RUN …] or MODEL, then the input: a cohort, a table, or a folder of images."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", "--output", help="Folder for predictions.csv and predictions/.")
    ],
    tta: Annotated[bool, typer.Option("--tta", help="Average over mirror images as well.")] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write voxel probabilities.")
    ] = False,
    overlap: Annotated[float, typer.Option(help="Of sliding windows, 0 to 0.9.", min=0.0, max=0.9)] = 0.5,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; default the best there is.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Predict new cases with one model, or with an ensemble of runs (folds, seeds).

    Masks and doses come back on the grid, orientation and spacing of their sources.
    """
    from polytask.cli import say_json
    from polytask.cli.bars import passing_bar
    from polytask.errors import PolytaskError
    from polytask.predict.decided import describe_decisions
    from polytask.predict.inputs import read_inputs
    from polytask.predict.outputs import write
    from polytask.predict.predictor import Predictor
    from polytask.predict.ready import ensure_ready

    if len(sources) < 2:
        raise PolytaskError(
            "predict needs a run or model and an input: polytask predict RUN|MODEL INPUT -o OUT"
        )
    *models, given = sources
    predictor = Predictor.load(*models, device=device)
    cohort = read_inputs(given, predictor.header)
    ensure_ready(cohort, predictor.plan)
    with passing_bar() as bar:
        line = bar.add_task("predict", total=len(cohort.cases))
        write(
            predictor,
            cohort,
            out,
            tta=tta,
            probabilities=probabilities,
            overlap=overlap,
            seen=lambda answer: bar.advance(line, 1 if answer.case else 0),
        )
    done = {
        "out": str(out),
        "table": str(out / "predictions.csv"),
        "cases": len(cohort.cases),
        "members": len(predictor.members),
    }
    said = describe_decisions(predictor.decisions)
    if as_json:
        say_json(done)
    else:
        cases = f"{len(cohort.cases)} case{'s' * (len(cohort.cases) != 1)}"
        for text in said:
            typer.echo(text)
        typer.echo(f"{cases} → {done['table']} (research use only, not a medical device)")
