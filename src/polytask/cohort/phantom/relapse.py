"""The relapse of a phantom subject: its risk shows in the course of the disease and hardly at the first visit."""

from __future__ import annotations

import numpy as np

from polytask.cohort.phantom.subject_blocks import RESPONSE_RATIO
from polytask.cohort.phantom.subjects import PhantomSubject

RELAPSE_TASK = "relapse"
TYPICAL_RELAPSE_DAYS = 800.0
"""Mean time to relapse at a log hazard of 0."""
FOLLOW_UP_DAYS = (200.0, 900.0)
"""Days after the first visit between which a subject is lost to follow-up."""


def draw_relapse_cells(subject: PhantomSubject, seed: int) -> dict[str, str]:
    """Draw the days from the first visit to relapse or to the end of follow-up, and which of the two it is.

    The hazard of a lesion that does not shrink is e^3.4 ≈ 30 times that of one that does; its size adds a little. So
    the first visit says little, and each later visit more: size alone does not tell a large lesion that shrinks from
    a small one that does not.
    """
    rng = np.random.default_rng([seed, 10, subject.index])
    log_hazard = (1.7 if subject.ratio >= RESPONSE_RATIO else -1.7) + 0.3 * (subject.radius - 0.117) / 0.03
    time = TYPICAL_RELAPSE_DAYS * np.exp(-log_hazard) * rng.exponential()
    end = rng.uniform(*FOLLOW_UP_DAYS)
    return {
        f"{RELAPSE_TASK}_time": f"{max(1.0, min(time, end)):.0f}",
        f"{RELAPSE_TASK}_event": str(int(time <= end)),
    }
