"""The benchmark on few studies: bounds are wide, but a variance that is wrong by half would be seen."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("calibration")


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("_calibration_metrics")


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("_calibration_worlds")


@pytest.mark.parametrize("world", ["subjects", "mixed", "seeds", "retraining"])
def test_rates_of_two_hundred_studies(calibration: ModuleType, world: str) -> None:
    found = calibration.measure_rates("mean", world, (20, 20, 20), 3, 200, 400, 0)
    assert 0.5 <= found.said <= 9
    assert 91 <= found.coverage <= 99.5
    assert found.too_few == 0
    assert found.power >= 45
    assert found.power_t >= found.power - 3


def test_skew_is_followed(calibration: ModuleType) -> None:
    """Student's t says better too often; this method does not."""
    found = calibration.measure_rates("mean", "skewed", (20, 20, 20), 3, 400, 400, 0)
    assert found.t > 5
    assert found.said <= 4.5
    assert found.better <= 3.5
    assert 5 < found.too_few < 50


def test_rates_of_areas(calibration: ModuleType) -> None:
    found = calibration.measure_rates("auc", "subjects", (16, 16), 2, 60, 300, 0)
    assert found.studies == 60
    assert found.said <= 12
    assert np.isnan(found.power)


@pytest.mark.parametrize(
    "name", ["skewed", "mirrored", "lognormal", "missed lesions", "rare failures", "one arm collapses"]
)
def test_arms_are_alike_in_every_world(worlds: ModuleType, name: str) -> None:
    x = worlds.WORLDS[name].draw(np.random.default_rng(0), (2000, 3, 50), 0)
    by_study = x.mean((1, 2))
    assert abs(by_study.mean()) < 3.5 * by_study.std() / np.sqrt(2000)


def test_a_rate_outside_its_bound_is_a_miss(calibration: ModuleType) -> None:
    good = {"said": 5.0, "better": 2.5, "worse": 2.5, "coverage": 95.0, "p": 5.0}
    assert calibration.find_problems(good, 4000, False) == []
    bad = {"said": 7.0, "better": 6.0, "worse": 1.0, "coverage": 91.0, "p": 1.0}
    assert calibration.find_problems(bad, 4000, False) == ["said", "better", "coverage", "p below 3"]
    assert calibration.find_problems(bad, 4000, True) == ["said", "better", "coverage"]


@pytest.mark.parametrize("metric", ["auc", "auc-rare", "c", "c-rare", "kappa", "r2"])
def test_sums_are_the_package_s_metric_of_repeated_subjects(metrics: ModuleType, metric: str) -> None:
    rng = np.random.default_rng(3)
    n = 24
    seen = metrics.simulate_subjects(metric, rng, n, 1.6)
    scores = 1.3 * seen.sense + rng.normal(size=(2, n))
    counts = np.ones((1, n))
    assert seen.resample(scores, counts)[:, 0] == pytest.approx([seen.judge(s)[0] for s in scores])
    without = 1.0 - np.eye(n)
    found = seen.resample(scores, without)
    for s, drawn in zip(scores, found, strict=True):
        whole, shares = seen.judge(s)
        gaps = (whole - drawn) * np.sqrt((n - 1) / n)
        wanted = shares
        if metric.startswith("auc"):  # DeLong's shares are the jackknife's within each class
            size = np.where(seen.sense > 0, seen.sense.sum(), n - seen.sense.sum())
            wanted = shares * np.sqrt(size / (size - 1)) * np.sqrt((n - 1) / n)
        np.testing.assert_allclose(gaps, wanted, atol=1e-9)
