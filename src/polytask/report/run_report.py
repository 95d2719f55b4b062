"""`make_report`: writes the report of a run, and evaluates the run first if that is missing or out of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from polytask.atomic_files import write_text_atomically
from polytask.errors import PolytaskError
from polytask.evaluation.evaluate_run import evaluate
from polytask.evaluation.evaluated_part import hash_weights, locate_results
from polytask.evaluation.evaluation_result import EVALUATION_FILE, Evaluation, PartName
from polytask.evaluation.metric_estimates import Progress
from polytask.evaluation.part_answers import ANSWERS_FILE as ANSWERS
from polytask.report.predictive_value_tables import parse_stated_prevalences
from polytask.report.report_material import ReportMaterial, gather_report_material
from polytask.report.run_page import render_run_page
from polytask.training.folder import Run


def make_report(
    run: Path | str,
    against: Sequence[Path | str] = (),
    out: Path | str | None = None,
    part: PartName = "held_out",
    progress: Progress | None = None,
    prevalences: Sequence[str] = (),
) -> tuple[Path, ReportMaterial]:
    """Write the page of a run, with a comparison to each run of `against`.

    Args:
        run: folder WORK/runs/NAME. against: other runs of the same fold.
        out: file to write; `report.html` beside the results by default.
        part: the evaluated part. A report never evaluates the test part: run `evaluate --part test` yourself.
        progress: called with (done, total, what) while something is evaluated.
        prevalences: `TASK=0.08`, at which PPV and NPV are given.

    Returns:
        the file that was written, and the material it was made of.
    """
    folders = [Path(run), *map(Path, against)]
    for folder in folders:
        ensure_evaluated(folder, part, progress)
    path = Path(out) if out else locate_results(folders[0], part) / "report.html"
    material = gather_report_material(folders[0], folders[1:], part)
    material = replace(material, prevalences=parse_stated_prevalences(prevalences, material.tasks))
    text = render_run_page(material)
    write_page(path, text)
    return path, material


def ensure_evaluated(folder: Path, part: PartName, progress: Progress | None = None) -> None:
    """Evaluate a run on a part unless that was done with its present weights."""
    run, results = Run.read(folder), locate_results(folder, part)
    is_evaluated = (results / EVALUATION_FILE).exists() and (results / ANSWERS).exists()
    # A run that was trained further has other weights, so its old evaluation does not describe it.
    if is_evaluated and Evaluation.read(results / EVALUATION_FILE).weights == hash_weights(run):
        return
    # Every look at the test part is counted, so it must be asked for explicitly.
    if part == "test":
        raise PolytaskError(
            f"{folder}: not evaluated on the test part with its present weights, and a report never does that; run "
            f"`polytask evaluate {folder} --part test` first"
        )
    evaluate(folder, part, progress=progress)


def write_page(path: Path, text: str) -> None:
    """Write the text of a page completely or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text)
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); choose another file with -o"
        ) from None
