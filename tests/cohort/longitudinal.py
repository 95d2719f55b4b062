"""A cohort without images: a few subjects with three visits, and an event that is judged at each of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

VISITS = ("start", "second", "third")
ROWS = (
    ("a", "start", "10", "1.0", "100", "1"),
    ("a", "second", "40", "2.0", "", ""),
    ("a", "third", "75", "3.0", "", ""),
    ("b", "start", "0", "1.5", "30", "0"),
    ("b", "second", "30", "", "30", "0"),
    ("c", "start", "0", "0.5", "", ""),
    ("c", "third", "70", "0.7", "", ""),
    ("d", "start", "0", "1.0", "200", "0"),
    ("d", "second", "33", "1.0", "", ""),
    ("d", "third", "66", "1.0", "", ""),
)
"""Subject, visit, day, marker, time and event: in `a` counted from day 10, in `b` censored on its second visit."""


def describe_course(**task: Any) -> dict[str, Any]:
    """The header; `task` changes the entry of the task `relapse`."""
    relapse = {
        "kind": "survival",
        "level": "visit",
        "unit": "days",
        "origin": "start",
        "landmarks": list(VISITS),
        "horizons": [50],
        **task,
    }
    return {
        "polytask": 1,
        "name": "course",
        "visits": list(VISITS),
        "inputs": {"labs": {"kind": "table", "columns": {"marker": {"type": "number"}}}},
        "tasks": {"relapse": {k: v for k, v in relapse.items() if v is not None}},
    }


def write_course(
    folder: Path, rows: Sequence[Sequence[str]] = ROWS, header: Mapping[str, Any] | None = None
) -> Path:
    """Write the cohort into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = describe_course() if header is None else header
    (folder / "cohort.yaml").write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["subject", "visit", "day", "marker", "relapse_time", "relapse_event"])
        table.writerows(rows)
    return folder
