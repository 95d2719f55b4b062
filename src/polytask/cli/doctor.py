"""`polytask doctor`: finds what is wrong with a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polytask.evaluation.doctor import DoctorChart


def doctor(
    run: Annotated[Path, typer.Argument(help="WORK/runs/NAME.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Read the log of a run and print each problem with its numbers and a remedy. The exit code is 0.

    `polytask list doctor` names the problems it looks for. A log that is too short gives no finding.
    """
    from polytask.cli import print_json
    from polytask.evaluation.doctor import DoctorChart, diagnose_run

    chart = DoctorChart.read(run)
    findings = diagnose_run(chart)
    if as_json:
        seen = {"looks": chart.looks, "epochs": chart.epochs, "enough": not chart.longer_log_advice}
        print_json({"run": str(run), **seen, "findings": [f.as_dict() for f in findings]})
        return
    for finding in findings:
        print(f"{finding.name}: {', '.join(finding.tasks)}\n  {finding.says}\n  → {finding.remedy}")
    if not findings:
        print(describe_no_findings(chart))


def describe_no_findings(chart: DoctorChart) -> str:
    """Make the line for a run without findings; it says so where the log is too short to tell much."""
    seen = f"{chart.looks} gradient records, {chart.epochs} epochs"
    return f"nothing found ({seen})" + (
        f"; too short to say much: {chart.longer_log_advice}" if chart.longer_log_advice else ""
    )
