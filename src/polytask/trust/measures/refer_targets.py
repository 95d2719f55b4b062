"""Reads what was asked for: the error that is allowed among the answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from polytask.errors import PolytaskError, suggest_word
from polytask.kinds.kind import AnswerForm
from polytask.trust.measures.questions import FIND_CONFIDENCE


def parse_refer_targets(asked: Sequence[str], forms: Mapping[str, AnswerForm]) -> dict[str, float]:
    """Parse `--refer SHARE` (every task with classes, grades or labels) and `--refer TASK=ERROR`.

    Args:
        forms: task → form of its answers.

    Returns:
        task → error that is allowed: a share of wrong answers, of numbers a mean absolute error in their unit.
    """
    every: dict[str, float] = {}
    single: dict[str, float] = {}
    for text in asked:
        task, sign, number = text.rpartition("=")
        if sign and task not in forms:
            raise PolytaskError(f"--refer {text}: no task {task!r}; {suggest_word(task, forms)}")
        if sign and forms[task] not in FIND_CONFIDENCE:
            raise PolytaskError(f"--refer {text}: {task} has no single answer that could be left to people")
        is_number = bool(sign) and forms[task] == "number"
        error = _parse_error(number)
        if error <= 0 or (not is_number and error >= 1):
            expected = "a mean absolute error above 0" if is_number else "a share between 0 and 1, e.g. 0.05"
            raise PolytaskError(f"--refer {text}: expected {expected}")
        if sign:
            single[task] = error
        else:
            every = {n: error for n, f in forms.items() if f in FIND_CONFIDENCE and f != "number"}
    return every | single


def _parse_error(text: str) -> float:
    try:
        error = float(text)
    except ValueError:
        return 0.0
    return error if isfinite(error) else 0.0
