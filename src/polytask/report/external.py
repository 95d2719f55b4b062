"""The report of a model on the cohort of another hospital; the same page as that of a run."""

from __future__ import annotations

from pathlib import Path

from polytask.evaluation.costs import Costs, costs, read_log
from polytask.evaluation.external.judge import ExternalResult
from polytask.report.make import write_text
from polytask.report.material import Material
from polytask.report.page import page

NAN = float("nan")


def write_external_report(found: ExternalResult) -> Path:
    """Write `report.html` beside the results and return its path."""
    path = found.folder / "report.html"
    write_text(path, page(gather_external(found)))
    return path


def gather_external(found: ExternalResult) -> Material:
    """Gather everything the page shows. An exported model has no log of its training."""
    model, run = found.model, found.model.run
    if run is not None:
        spent, log, record = costs(run), read_log(run.folder), run.record
    else:
        networks = [n for m in model.predictor.members for n in m.networks]
        spent = Costs(sum(p.numel() for n in networks for p in n.parameters()), 0, NAN, NAN)
        log, record = {}, model.record
    return Material(
        folder=found.folder,
        record=record,
        plan=model.predictor.plan,
        cohort=found.cohort,
        tasks=found.tasks,
        evaluation=found.evaluation,
        answers=found.answers,
        log=log,
        costs=spent,
    )
