"""The benchmark on few studies: bounds are wide, but a variance that is wrong by half would be seen."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("calibration")


@pytest.mark.parametrize("layout", ["crossed", "nested"])
@pytest.mark.parametrize("world", ["subjects", "mixed", "seeds", "retraining"])
def test_rates_of_two_hundred_studies(calibration: ModuleType, world: str, layout: str) -> None:
    design = calibration.Design(world, "mean", (20, 20, 20), 3, layout, 200)
    (wrong, alike, apart), _ = calibration.rates(design, 200, 0)
    assert 0.01 <= wrong.value <= 0.095
    assert wrong.value == pytest.approx(1 - alike.value)
    assert 0.905 <= apart.value <= 0.99


def test_rates_of_areas(calibration: ModuleType) -> None:
    design = calibration.Design("mixed", "auc", (20, 20, 20), 3, "crossed", 150)
    (wrong, _, apart), _ = calibration.rates(design, 200, 0)
    assert 0.01 <= wrong.value <= 0.095
    assert 0.905 <= apart.value <= 0.99


def test_a_rate_outside_its_bound_is_a_miss(calibration: ModuleType) -> None:
    rate = calibration.Rate("x", 0.061, 5000, 0.04, 0.06)
    assert rate.missed
    assert str(rate).endswith("4 to 6 %: MISSED")
    assert not calibration.Rate("x", 0.06, 5000, 0.04, 0.06).missed
