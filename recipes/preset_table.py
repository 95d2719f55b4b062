"""Print what each run learned as a Markdown table: a row for each run and task.

    python recipes/preset_table.py RUN...

RUN is a trained run. The metric is the primary one of `evaluation.json` with its 95 % interval; the loss is the mean
of the first and of the last tenth of the logged lines. The table also shows losses that were not finite and runs
without an evaluation. `steps` are those of all networks of the run.
"""

from __future__ import annotations

import json
import sys
from math import isfinite
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import EVALUATION_FILE, Estimate, Evaluation

HEAD = ["run", "task", "metric", "estimate", "n", "loss first → last", "steps"]


def make_table_rows(run: Path) -> list[list[str]]:
    """Make the table's rows of one run."""
    try:
        evaluation = Evaluation.read(run / EVALUATION_FILE)
    except PolytaskError as error:
        return [[run.name, "", "", str(error), "", "", ""]]
    losses, steps = read_losses(run)
    rows = [
        [
            run.name,
            t,
            str(evaluation.tasks[t]["primary"]),
            format_estimate(e),
            str(e.n),
            describe_loss_change(losses.get(t, [])),
            str(steps),
        ]
        for t, e in ((t, evaluation.primary(t)) for t in evaluation.tasks)
    ]
    mean = evaluation.mean_skill
    return [*rows, [run.name, "all", "mean skill", format_estimate(mean), str(mean.n), "", str(steps)]]


def read_losses(run: Path) -> tuple[dict[str, list[float]], int]:
    """Read the log of a run: (task → its logged losses in order, number of steps of all networks together)."""
    losses: dict[str, list[float]] = {}
    steps: dict[str, int] = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        steps[entry.get("network", "")] = entry["step"]
        for task, value in entry.get("loss", {}).items():
            losses.setdefault(task, []).append(float("nan") if value is None else float(value))
    return losses, sum(steps.values())


def describe_loss_change(losses: list[float]) -> str:
    """Describe a loss by the mean of its first and of its last tenth; say so if it was not finite."""
    if not losses:
        return "none"
    if not all(map(isfinite, losses)):
        return f"not finite in {sum(not isfinite(v) for v in losses)} of {len(losses)}"
    part = max(1, len(losses) // 10)
    return f"{sum(losses[:part]) / part:.3f} → {sum(losses[-part:]) / part:.3f}"


def format_estimate(e: Estimate) -> str:
    """Format an estimate with its interval."""
    if not isfinite(e.estimate):
        return "not defined"
    return f"{e.estimate:.3f}" + (f" ({e.low:.3f} to {e.high:.3f})" if isfinite(e.low) else "")


def main(runs: list[Path]) -> None:
    """Write the table to standard output."""
    rows = [HEAD, ["---"] * len(HEAD), *(row for run in runs for row in make_table_rows(run))]
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in rows))


if __name__ == "__main__":
    main([Path(p) for p in sys.argv[1:]])
