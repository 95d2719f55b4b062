"""The benchmark on few studies: bounds are wide, but a variance that is wrong by half would be seen."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from polytask.statistics.draws import Floats, draw
from polytask.statistics.spread import covariance
from polytask.tasks.confusion import confusion, quadratic_kappa
from polytask.tasks.regression import Regression
from polytask.tasks.survival_metrics import concordance

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("calibration")


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("_calibration_metrics")


def of_package(metric: str, answer: Floats, truth: tuple[Floats, ...]) -> float:
    if metric == "c":
        return concordance(answer, truth[0], truth[1])
    if metric == "kappa":
        return quadratic_kappa(confusion(truth[0], answer, 4))
    known = np.ones(len(answer), np.bool_)
    return Regression("age", "subject").metrics({"value": answer}, truth[0], known)["r2"]


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


@pytest.mark.parametrize("metric", ["c", "kappa", "r2"])
def test_rates_of_other_metrics(calibration: ModuleType, metric: str) -> None:
    design = calibration.Design("mixed", metric, (20, 20, 20), 3, "nested", 150)
    (wrong, alike, apart), _ = calibration.rates(design, 200, 0)
    assert 0.01 <= wrong.value <= 0.095
    assert wrong.value == pytest.approx(1 - alike.value)
    assert 0.9 <= apart.value <= 0.99


@pytest.mark.parametrize("block", [2**23, 40])
@pytest.mark.parametrize("metric", ["c", "kappa", "r2"])
def test_sums_are_the_package_s_metric_of_repeated_subjects(
    sums: ModuleType, monkeypatch: pytest.MonkeyPatch, metric: str, block: int
) -> None:
    monkeypatch.setattr(sums, "BLOCK", block)
    rng = np.random.default_rng(3)
    studies, seeds, n = 3, 2, 12
    weights = np.vstack([np.ones(n), rng.integers(0, 4, (30, n)), np.eye(n)[0] * 3]).astype(np.float64)
    if metric == "c":  # few different times and risks: all kinds of ties
        truth = (rng.integers(1, 6, (studies, n)) * 1.0, rng.integers(0, 2, (studies, n)) * 1.0)
        answer = rng.integers(0, 5, (studies, seeds, n)) * 1.0
    elif metric == "kappa":
        truth = (rng.integers(0, 4, (studies, n)) * 1.0,)
        answer = rng.integers(0, 4, (studies, seeds, n)) * 1.0
    else:
        truth = (50 + rng.normal(size=(studies, n)),)
        answer = 50 + rng.normal(size=(studies, seeds, n))
    found = sums.METRICS[metric].values(answer, truth, weights)
    assert found.shape == (studies, seeds, len(weights))
    assert np.isnan(found[..., -1]).all()
    for k, s, b in np.ndindex(*found.shape):
        again = np.repeat(np.arange(n), weights[b].astype(int))
        wanted = of_package(metric, answer[k, s, again], tuple(x[k, again] for x in truth))
        assert found[k, s, b] == pytest.approx(wanted, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", ["c", "kappa", "r2"])
def test_population_is_what_many_subjects_give(sums: ModuleType, metric: str) -> None:
    chosen, slope, noise = sums.METRICS[metric], 1.5, 1.1
    rng = np.random.default_rng(5)
    z = rng.normal(size=(30, 2000))
    truth = chosen.observe(rng, z)
    answer = chosen.answer(slope * z + np.sqrt(noise) * rng.normal(size=z.shape), 1.3, noise)
    values = [of_package(metric, answer[k], tuple(x[k] for x in truth)) for k in range(len(z))]
    wanted = chosen.population(np.array([slope]), 1.3, noise)[0]
    error = np.std(values, ddof=1) / len(z) ** 0.5
    assert 0 < error < 0.004
    assert abs(np.mean(values) - wanted) < 3 * error


def test_population_of_c_is_what_a_million_pairs_give(sums: ModuleType) -> None:
    """Sharper than many subjects: C changes by 0.004 only when twice as many are censored."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=(1_000_000, 2))
    truth = sums.METRICS["c"].observe(rng, z)
    assert 1 - truth[1].mean() == pytest.approx(0.40, abs=0.01)
    score = 1.5 * z + np.sqrt(1.1) * rng.normal(size=z.shape)
    pairs = sums.c_values(score[:, None], truth, np.ones((1, 2)))
    wanted = sums.METRICS["c"].population(np.array([1.5]), 1.3, 1.1)[0]
    assert np.nanmean(pairs) == pytest.approx(wanted, abs=3 * 0.5 / 600_000**0.5)


def test_expected_averages_over_trainings(sums: ModuleType) -> None:
    shrink, noise, deviation = 1.3 / (1.3**2 + 1.1), 1.1, 0.4
    by_hand = 1 - (1 - shrink * 1.5) ** 2 - shrink**2 * (deviation**2 + noise)
    assert sums.expected(sums.METRICS["r2"], 1.5, deviation, 1.3, noise) == pytest.approx(by_hand, abs=1e-12)


def test_a_study_with_undefined_resamples_does_not_cost_others(calibration: ModuleType) -> None:
    rng = np.random.default_rng(0)
    weights = draw(8, 100, 0).weights
    drawn = rng.normal(size=(3, 2, 100))
    drawn[1, :, 4] = np.nan
    found = calibration.covariances(drawn, weights)
    for k in range(3):
        assert np.allclose(found[k], covariance(drawn[k], weights), rtol=1e-12, atol=0)


def test_a_rate_outside_its_bound_is_a_miss(calibration: ModuleType) -> None:
    rate = calibration.Rate("x", 0.061, 5000, 0.04, 0.06)
    assert rate.missed
    assert str(rate).endswith("4 to 6 %: MISSED")
    assert not calibration.Rate("x", 0.06, 5000, 0.04, 0.06).missed
