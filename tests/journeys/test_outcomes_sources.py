"""Attention over sources finds out which of them tells something; a source of noise loses its weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.cohort.phantom import make_phantom
from tests.journeys.outcome_runs import (
    plan_and_prepare,
    read_prediction_columns,
    rewrite_cohort,
    train_and_evaluate,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NOISE_COLUMNS = [f"n{k}" for k in range(4)]


def add_noise_table(header: dict[str, Any]) -> None:
    """A second table that tells nothing."""
    header["inputs"]["noise"] = {
        "kind": "table",
        "columns": {name: {"type": "number"} for name in NOISE_COLUMNS},
    }


def test_a_source_of_noise_gets_less_weight_than_what_decides(tmp_path: Path) -> None:
    """`pattern` is in the image alone; `grade` is in the image and, quicker to find, in the table's marker."""
    rng = np.random.default_rng(0)
    cohort = make_phantom(tmp_path / "cohort", 240, 32, 0, 2, 1, ["pattern", "grade"], 1)
    rewrite_cohort(
        cohort,
        add_noise_table,
        lambda row: row | {"split": "train"} | {name: f"{rng.normal():.3f}" for name in NOISE_COLUMNS},
    )
    work = plan_and_prepare(cohort, tmp_path / "work", 120, 24)
    found = train_and_evaluate(work, "run", 300, preset="parallel", input_fusion="attention")
    assert found.primary("pattern").low > 0.8
    for task, decides in (("pattern", "scan"), ("grade", "clinic")):
        weights = read_prediction_columns(work, "run", f"{task}.source.")
        assert set(weights) == {"scan", "clinic", "noise"}
        np.testing.assert_allclose(sum(weights.values()), 1, atol=2e-3)  # as printed
        assert weights["noise"].mean() < weights[decides].mean(), (task, weights)
