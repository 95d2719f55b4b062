"""Answers of tasks that follow another: `not applicable` where the answer to the other task rules them out.

Only what is decided changes: the answer, the risk group, the answer at an operating point. Probabilities, risks, sets
and intervals stay; they hold given that the task applies, as they were learned and judged.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from polytask.kinds.applicability import NOT_APPLICABLE, describe_condition
from polytask.tasks.task import Task

DECIDED_COLUMNS = (".group", ".at_")
"""How the columns of a task begin, after its name, that hold what was decided."""


def mark_not_applicable(
    rows: Mapping[tuple[str, str], MutableMapping[str, str]], tasks: Mapping[str, Task]
) -> None:
    """Write `not applicable` into the rows of `predictions.csv` where a task does not apply.

    Args:
        rows: (subject, visit) → its cells; an answer about the subject stands in the row without a visit.
    """
    for (subject, visit), row in rows.items():
        whole = rows.get((subject, ""), row)
        for name, task in tasks.items():
            about = subject, "" if task.level == "subject" else visit
            if about == (subject, visit) and is_ruled_out(name, tasks, row, whole):
                decided = [c for c in row if c.startswith(tuple(f"{name}{d}" for d in DECIDED_COLUMNS))]
                if any(c == name or c.startswith(f"{name}.") for c in row):
                    row.update(dict.fromkeys([name, *decided], NOT_APPLICABLE))


def is_ruled_out(
    name: str, tasks: Mapping[str, Task], row: Mapping[str, str], whole: Mapping[str, str]
) -> bool:
    """Whether the answers of a row, or of its whole subject, say that a task does not apply; False where they are
    missing."""
    other, words = next(iter(getattr(tasks[name], "applies_when", {}).items()), ("", ()))
    if other not in tasks:
        return False
    if is_ruled_out(other, tasks, row, whole):
        return True
    answer = (whole if tasks[other].level == "subject" else row).get(other, "")
    return answer not in ("", *words)


def describe_conditions(tasks: Mapping[str, Task]) -> list[str]:
    """Write a sentence for each task that follows another."""
    return [
        f"{name}: {NOT_APPLICABLE} unless {describe_condition(conditions)}"
        for name, task in tasks.items()
        if (conditions := getattr(task, "applies_when", {}))
    ]
