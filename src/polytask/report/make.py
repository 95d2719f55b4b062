"""`make_report`: writes the report of a run, and evaluates the run first if that is missing or out of date."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.evaluation.answers import FILE as ANSWERS
from polytask.evaluation.make import evaluate
from polytask.evaluation.measure import Progress
from polytask.evaluation.part import folder_of, weights_of
from polytask.evaluation.result import FILE, Evaluation, Part
from polytask.report.material import Material, gather
from polytask.report.page import page
from polytask.training.folder import Run


def make_report(
    run: Path | str,
    against: Sequence[Path | str] = (),
    out: Path | str | None = None,
    part: Part = "held_out",
    progress: Progress | None = None,
) -> tuple[Path, Material]:
    """Write the page of a run, with a comparison to each run of `against`.

    Args:
        run: folder WORK/runs/NAME. against: other runs of the same fold.
        out: file to write; `report.html` beside the results by default.
        part: the evaluated part. A report never evaluates the test part: run `evaluate --part test` yourself.
        progress: called with (done, total, what) while something is evaluated.

    Returns:
        the file that was written, and the material it was made of.
    """
    folders = [Path(run), *map(Path, against)]
    for folder in folders:
        ensure_evaluated(folder, part, progress)
    path = Path(out) if out else folder_of(folders[0], part) / "report.html"
    material = gather(folders[0], folders[1:], part)
    text = page(material)
    write_text(path, text)
    return path, material


def ensure_evaluated(folder: Path, part: Part, progress: Progress | None = None) -> None:
    """Evaluate a run on a part unless that was done with its present weights."""
    run, place = Run.read(folder), folder_of(folder, part)
    there = (place / FILE).exists() and (place / ANSWERS).exists()
    # A run that was trained further has other weights, so its old evaluation does not describe it.
    if there and Evaluation.read(place / FILE).weights == weights_of(run):
        return
    # Every look at the test part is counted, so it must be asked for explicitly.
    if part == "test":
        raise PolytaskError(
            f"{folder}: not evaluated on the test part with its present weights; a report does not touch it; "
            f"run `polytask evaluate {folder} --part test` first"
        )
    evaluate(folder, part, progress=progress)


def write_text(path: Path, text: str) -> None:
    """Write the text of a page completely or not at all."""
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); choose another file with -o"
        ) from None
