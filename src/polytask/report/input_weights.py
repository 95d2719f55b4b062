"""The weight of each input in the answers, by task."""

from __future__ import annotations

import numpy as np

from polytask.report.metric_tables import DASH, ReportTable, TableCell
from polytask.report.report_material import ReportMaterial

INPUT_WEIGHT_PREFIX = "source."


def build_input_weight_table(material: ReportMaterial) -> ReportTable | None:
    """Build the table of the mean weight of every input and its middle 80 %; None if the fusion has no weights."""
    cells_by_task: dict[str, dict[str, TableCell]] = {}
    for task, items in material.answers.pooled.items():
        for key, values in items.prediction.items():
            if key.startswith(INPUT_WEIGHT_PREFIX) and len(values):
                low, high = np.quantile(values, (0.1, 0.9))
                cell = TableCell(f"{np.mean(values):.2f}", f"{low:.2f} to {high:.2f}", f"n {len(values)}")
                cells_by_task.setdefault(task, {})[key.removeprefix(INPUT_WEIGHT_PREFIX)] = cell
    if not cells_by_task:
        return None
    columns = list(dict.fromkeys(name for cells in cells_by_task.values() for name in cells))
    lacks = TableCell(DASH, why="does not read it")
    rows = [
        (material.names.task(task), [cells.get(c, lacks) for c in columns])
        for task, cells in cells_by_task.items()
    ]
    return ReportTable("", ["task", *columns], rows)
