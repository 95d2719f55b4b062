"""The report of a model on the cohort of another hospital; the same page as that of a run."""

from __future__ import annotations

from pathlib import Path

from polytask.array_types import NAN
from polytask.evaluation.external.evaluate_on import ExternalEvaluation
from polytask.evaluation.run_costs import RunCosts, measure_run_costs, read_network_logs
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import render_run_page
from polytask.report.run_report import write_page


def write_external_report(result: ExternalEvaluation) -> Path:
    """Write `report.html` beside the results and return its path."""
    path = result.folder / "report.html"
    write_page(path, render_run_page(gather_external(result)))
    return path


def gather_external(result: ExternalEvaluation) -> ReportMaterial:
    """Gather everything the page shows. An exported model has no log of its training."""
    model, run = result.model, result.model.run
    if run is not None:
        spent, log, record = measure_run_costs(run), read_network_logs(run.folder), run.record
    else:
        networks = [n for m in model.predictor.members for n in m.networks]
        spent = RunCosts(sum(p.numel() for n in networks for p in n.parameters()), 0, NAN, NAN)
        log, record = {}, model.record
    return ReportMaterial(
        folder=result.folder,
        record=record,
        plan=model.predictor.plan,
        cohort=result.cohort,
        tasks=result.tasks,
        evaluation=result.evaluation,
        answers=result.answers,
        log=log,
        costs=spent,
    )
