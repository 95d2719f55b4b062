"""A model that hands its mask down a chain beats one that does not, where a label is a property of a region."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.lesion_cohort import write_lesion_cohort
from tests.journeys.outcome_runs import (
    compare_on_task,
    is_clearly_better,
    plan_and_prepare,
    train_and_evaluate,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LEARNING, TUNING, HELD_OUT, STEPS = 160, 40, 200, 300


def test_a_mask_as_gate_beats_no_mask(tmp_path: Path) -> None:
    """The same trunk, steps and subjects; only the chain differs. What is asked is a mean within the mask."""
    write_lesion_cohort(tmp_path / "cohort", LEARNING + TUNING + HELD_OUT)
    work = plan_and_prepare(tmp_path / "cohort", tmp_path / "work", LEARNING, TUNING)
    beside = train_and_evaluate(work, "parallel", STEPS, preset="parallel")
    chained = train_and_evaluate(work, "gate", STEPS, preset="parallel", after={"kind": ["lesion"]})
    assert min(found.metrics["lesion"]["dice.lesion"].low for found in (beside, chained)) > 0.9
    assert beside.primary("kind").low > 0.6  # it does learn: the arm it is held against is no straw man
    gained = compare_on_task(work, "gate", "parallel", "kind")
    assert is_clearly_better(gained), gained
