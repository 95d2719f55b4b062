"""A phantom of two sites that ask for different things: only site A has survival, only site B has grades."""

from __future__ import annotations

import csv
from pathlib import Path

from polytask.cohort.phantom.generator import make_phantom


def write_cohort_of_separate_sites(folder: Path) -> Path:
    """Write the cohort, 2D, one visit; both sites have the masks of the task `lesion`."""
    make_phantom(folder, subjects=24, size=24, dims=2, visits=1, tasks=("lesion", "grade", "os"))
    with (folder / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["site"] == "A":
            row["grade"] = ""
        else:
            row["os_time"] = row["os_event"] = ""
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder
