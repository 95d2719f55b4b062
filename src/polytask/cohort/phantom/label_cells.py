"""The label cells of the table, computed from the same numbers that draw the image."""

from __future__ import annotations

import math

from polytask.cohort.phantom.ellipsoids import FIELD_OF_VIEW_MM
from polytask.cohort.phantom.subject_blocks import FINDING_NAMES, GRADE_RADIUS_LIMITS, RESPONSE_RATIO
from polytask.cohort.phantom.subjects import PhantomSubject

GRADE_NAMES = ("G1", "G2", "G3")
PATTERN_NAMES = ("solid", "hollow")


def make_label_cells(subject: PhantomSubject, visit: int, visits: int) -> dict[str, str]:
    """Return all cells of one row that are not files, as if everything were known."""
    radius = subject.radius_at(visit, visits)
    shown = dict(zip(FINDING_NAMES, (subject.effusion, subject.stone, subject.nodes >= 2), strict=True))
    return {
        "age": f"{subject.age:.0f}",
        "sex": subject.sex,
        "marker": f"{math.exp(0.5 + 14 * radius + 0.25 * subject.luck):.2f}",
        "grade": GRADE_NAMES[sum(radius > edge for edge in GRADE_RADIUS_LIMITS)],
        "pattern": PATTERN_NAMES[subject.hollow],
        **{f"findings.{name}": str(int(value)) for name, value in shown.items()},
        "diameter": f"{2 * radius * FIELD_OF_VIEW_MM:.2f}",
        "os_time": f"{subject.time:.0f}",
        "os_event": str(int(subject.event)),
        "response": "yes" if subject.ratio < RESPONSE_RATIO else "no",
    }


def make_latent_cells(subject: PhantomSubject) -> dict[str, str]:
    """Return the cells that only `truth.csv` has: hidden causes of the labels."""
    return {"nodes": str(subject.nodes), "ratio": f"{subject.ratio:.4f}", "hazard": f"{subject.hazard:.4f}"}
