"""Shows how good the answers on the held-out part are when some of the inputs are hidden."""

from __future__ import annotations

from polytask.evaluation.evaluation_result import Evaluation
from polytask.predict.held_out import split_combination
from polytask.report.metric_tables import ReportTable, TableCell, format_metric_title, format_number


def build_hidden_inputs_table(evaluation: Evaluation) -> ReportTable | None:
    """Build a table with a row per task and a column per combination of hidden inputs; None if nothing was hidden."""
    if not evaluation.hidden:
        return None
    rows = []
    for name, task in evaluation.tasks.items():
        if not any(name in tasks for tasks in evaluation.hidden.values()):
            continue
        plain = evaluation.primary(name)
        cells = [TableCell(format_number(plain.estimate), "", f"n {plain.n}")]
        for tasks in evaluation.hidden.values():
            if name not in tasks:
                cells.append(TableCell("not read"))
            elif not tasks[name].n:
                cells.append(TableCell("not predicted" if plain.n else "not defined"))
            else:
                cells.append(TableCell(format_number(tasks[name].estimate), "", f"n {tasks[name].n}"))
        rows.append((f"{name}: {format_metric_title(str(task['primary']), task)}", cells))
    columns = [
        "task",
        "with all inputs",
        *(f"without {' and '.join(split_combination(key))}" for key in evaluation.hidden),
    ]
    return ReportTable("", columns, rows)


def describe_needed_inputs(evaluation: Evaluation) -> str:
    """Describe in one sentence which inputs cannot be hidden; "" where there are none."""
    if not evaluation.needed:
        return ""
    return (
        "Nothing can be predicted without "
        f"{'; without '.join(' and '.join(split_combination(k)) for k in evaluation.needed)}."
    )
