"""`polytask doctor`: what is wrong with a training, in words."""

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
    """Read a run's log and say what is wrong with it, each time with the numbers and a remedy; leaves with 0.

    Looks for what `polytask list doctor` names. A log too short to say is no finding.
    """
    from polytask.cli import print_json
    from polytask.evaluation.doctor import DoctorChart, diagnose

    chart = DoctorChart.read(run)
    findings = diagnose(chart)
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
    seen = f"{chart.looks} looks at the gradients, {chart.epochs} epochs"
    return f"nothing found ({seen})" + (
        f"; too little to say much: {chart.longer_log_advice}" if chart.longer_log_advice else ""
    )
