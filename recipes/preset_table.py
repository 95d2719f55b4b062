"""What each run learned, as a Markdown table: a row for each run and task.

    python recipes/preset_table.py RUN...

RUN is a trained run. The metric is the primary one of `evaluation.json` with its 95 % interval; the loss is the mean of
the first and of the last tenth of the logged lines. A loss that was not finite, and a run without an evaluation, are
said. `steps` are those of all networks of the run.
"""

from __future__ import annotations

import json
import sys
from math import isfinite
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import EVALUATION_FILE, Estimate, Evaluation

HEAD = ["run", "task", "metric", "estimate", "n", "loss first → last", "steps"]


def rows_of(run: Path) -> list[list[str]]:
    """The table's rows of one run."""
    try:
        found = Evaluation.read(run / EVALUATION_FILE)
    except PolytaskError as error:
        return [[run.name, "", "", str(error), "", "", ""]]
    losses, steps = losses_of(run)
    rows = [
        [
            run.name,
            t,
            str(found.tasks[t]["primary"]),
            words(e),
            str(e.n),
            moved(losses.get(t, [])),
            str(steps),
        ]
        for t, e in ((t, found.primary(t)) for t in found.tasks)
    ]
    mean = found.mean_skill
    return [*rows, [run.name, "all", "mean skill", words(mean), str(mean.n), "", str(steps)]]


def losses_of(run: Path) -> tuple[dict[str, list[float]], int]:
    """Task → its logged losses in order, and the steps of all networks together."""
    losses: dict[str, list[float]] = {}
    steps: dict[str, int] = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        steps[entry.get("network", "")] = entry["step"]
        for task, value in entry.get("loss", {}).items():
            losses.setdefault(task, []).append(float("nan") if value is None else float(value))
    return losses, sum(steps.values())


def moved(losses: list[float]) -> str:
    """First and last tenth, or that a loss was not finite."""
    if not losses:
        return "none"
    if not all(map(isfinite, losses)):
        return f"not finite in {sum(not isfinite(v) for v in losses)} of {len(losses)}"
    part = max(1, len(losses) // 10)
    return f"{sum(losses[:part]) / part:.3f} → {sum(losses[-part:]) / part:.3f}"


def words(e: Estimate) -> str:
    """Estimate and interval."""
    if not isfinite(e.estimate):
        return "not defined"
    return f"{e.estimate:.3f}" + (f" ({e.low:.3f} to {e.high:.3f})" if isfinite(e.low) else "")


def main(runs: list[Path]) -> None:
    """Write the table to standard output."""
    rows = [HEAD, ["---"] * len(HEAD), *(row for run in runs for row in rows_of(run))]
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in rows))


if __name__ == "__main__":
    main([Path(p) for p in sys.argv[1:]])
