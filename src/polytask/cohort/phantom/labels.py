"""The label cells of the table, computed from the same numbers that draw the image."""

from __future__ import annotations

import math

from polytask.cohort.phantom.blocks import FINDINGS, GRADES, RESPONSE
from polytask.cohort.phantom.design import Subject
from polytask.cohort.phantom.shapes import FIELD

ORDER = ("G1", "G2", "G3")
PATTERNS = ("solid", "hollow")


def cells(subject: Subject, visit: int, visits: int) -> dict[str, str]:
    """Return all cells of one row that are not files, as if everything were known."""
    radius = subject.radius_at(visit, visits)
    shown = dict(zip(FINDINGS, (subject.effusion, subject.stone, subject.nodes >= 2), strict=True))
    return {
        "age": f"{subject.age:.0f}",
        "sex": subject.sex,
        "marker": f"{math.exp(0.5 + 14 * radius + 0.25 * subject.luck):.2f}",
        "grade": ORDER[sum(radius > edge for edge in GRADES)],
        "pattern": PATTERNS[subject.hollow],
        **{f"findings.{name}": str(int(value)) for name, value in shown.items()},
        "diameter": f"{2 * radius * FIELD:.2f}",
        "os_time": f"{subject.time:.0f}",
        "os_event": str(int(subject.event)),
        "response": "yes" if subject.ratio < RESPONSE else "no",
    }


def latent(subject: Subject) -> dict[str, str]:
    """Return the cells that only `truth.csv` has: hidden causes of the labels."""
    return {"nodes": str(subject.nodes), "ratio": f"{subject.ratio:.4f}", "hazard": f"{subject.hazard:.4f}"}
