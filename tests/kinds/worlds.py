"""For each kind with answers in the table: what a header says, the cells of some items, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from polytask.kinds.plan_reasons import PlannedValue

Cells = dict[str, str]


@dataclass(frozen=True)
class TableWorld:
    """A task called `t`.

    Args:
        says: its keys in `cohort.yaml` beside `kind`.
        items: cells of an item → the answer they give; an empty dict is an unknown answer.
        odd: cells of a column that no header knows.
    """

    says: dict[str, Any] = field(default_factory=dict)
    items: tuple[tuple[Cells, Any], ...] = ()
    odd: tuple[tuple[str, str], ...] = ()


TABLE_WORLDS: dict[str, TableWorld] = {
    "classification": TableWorld(
        {"classes": ["a", "2", "c"], "merge": {"d": "c"}, "unknown": ["x"]},
        (
            ({"t": "a"}, 0),
            ({"t": "2.0"}, 1),
            ({"t": "c"}, 2),
            ({"t": "d"}, 2),
            ({"t": "x"}, None),
            ({}, None),
        ),
        (("t", "b"),),
    ),
    "ordinal": TableWorld(
        {"order": ["G1", "G2", "G3"]},
        (({"t": "G1"}, 0), ({"t": "G3"}, 2), ({"t": "G2"}, 1), ({}, None)),
        (("t", "G4"),),
    ),
    "multilabel": TableWorld(
        {"labels": ["u", "v"]},
        (
            ({"t.u": "1", "t.v": "0"}, (1, 0)),
            ({"t.u": "0"}, (0, None)),
            ({"t.v": "1.0"}, (None, 1)),
            ({}, None),
        ),
        (("t.u", "yes"),),
    ),
    "regression": TableWorld(
        {"bounds": True},
        (({"t": "1.5"}, 1.5), ({"t": ">7"}, 7.0), ({"t": "-3"}, -3.0), ({}, None)),
        (("t", "3,5"), ("t", "1e30")),
    ),
    "survival": TableWorld(
        {"unit": "days"},
        (
            ({"t_time": "100", "t_event": "1"}, (100.0, 1.0)),
            ({"t_time": "250.5", "t_event": "0"}, (250.5, 0.0)),
            ({"t_time": "30", "t_event": "1.0"}, (30.0, 1.0)),
            ({}, None),
        ),
        (("t_time", "-1"), ("t_event", "2")),
    ),
    "count": TableWorld(
        {"unit": "lesions"},
        (({"t": "0"}, 0.0), ({"t": "3"}, 3.0), ({"t": "12.0"}, 12.0), ({}, None)),
        (("t", "-1"), ("t", "2.5"), ("t", "many")),
    ),
}


class ValuesByHand:
    """Stands in for `plan/fixed_values.py`: path → the value that was set by hand."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.reasons: dict[str, str] = {}
        self.warnings: list[str] = []

    def has_value(self, path: str) -> bool:
        return path in self.values

    def quote_settings(self, path: str) -> str:
        return f"{path}={self.values[path]}"

    def replace_value(self, path: str, planned: PlannedValue) -> PlannedValue:
        if path not in self.values:
            return planned
        self.reasons[path] = "set by hand"
        value: PlannedValue = self.values[path]
        return value
