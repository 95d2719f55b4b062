"""Shows how good the answers on the held-out part are when some of the inputs are hidden."""

from __future__ import annotations

from polytask.evaluation.result import Evaluation
from polytask.predict.held_out import split
from polytask.report.tables import Cell, Table, number, title


def without_inputs(found: Evaluation) -> Table | None:
    """Build a table with a row per task and a column per combination of hidden inputs; None if nothing was hidden."""
    if not found.hidden:
        return None
    rows = []
    for name, task in found.tasks.items():
        if not any(name in tasks for tasks in found.hidden.values()):
            continue
        plain = found.primary(name)
        cells = [Cell(number(plain.estimate), "", f"n {plain.n}")]
        for tasks in found.hidden.values():
            if name not in tasks:
                cells.append(Cell("not read"))
            elif not tasks[name].n:
                cells.append(Cell("not predicted" if plain.n else "not defined"))
            else:
                cells.append(Cell(number(tasks[name].estimate), "", f"n {tasks[name].n}"))
        rows.append((f"{name}: {title(str(task['primary']), task)}", cells))
    columns = ["task", "with all inputs", *(f"without {' and '.join(split(key))}" for key in found.hidden)]
    return Table("", columns, rows)


def needed_inputs(found: Evaluation) -> str:
    """Describe in one sentence which inputs cannot be hidden; "" where there are none."""
    if not found.needed:
        return ""
    return (
        f"Nothing can be predicted without {'; without '.join(' and '.join(split(k)) for k in found.needed)}."
    )
