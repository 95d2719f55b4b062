from __future__ import annotations

import time

import numpy as np
import pytest

from polytask.evaluation.intervals import bootstrap, draw_items
from polytask.tasks.ranking import auc

R = np.random.default_rng(0)


def test_interval_of_a_mean_is_that_of_normal_theory() -> None:
    x = R.normal(10, 3, 400)
    found = bootstrap(lambda i: {"mean": x[i].mean()}, [str(i) for i in range(400)], 2000)["mean"]
    half = 1.96 * x.std() / 20
    assert found.estimate == x.mean()
    assert found.low == pytest.approx(x.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(x.mean() + half, abs=0.15 * half)
    assert (found.n, found.dropped) == (400, 0)


def test_items_of_a_subject_stay_together() -> None:
    """Ten copies of every value are no more evidence than one."""
    x = np.repeat(R.normal(size=60), 10)
    people = [f"p{i}" for i in np.repeat(np.arange(60), 10)]
    grouped = bootstrap(lambda i: {"mean": x[i].mean()}, people)["mean"]
    single = bootstrap(lambda i: {"mean": x[::10][i].mean()}, [f"p{i}" for i in range(60)])["mean"]
    assert grouped.n == 60
    assert grouped[:3] == pytest.approx(single[:3])
    alone = bootstrap(lambda i: {"mean": x[i].mean()}, [str(i) for i in range(600)])["mean"]
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    for draw in draw_items(["a", "b", "a", "c"], 50, 0):
        assert (draw == 0).sum() == (draw == 2).sum()
        assert len(draw) == 3 + (draw == 0).sum()


def test_same_seed_same_interval() -> None:
    x, people = R.normal(size=30), [str(i) for i in range(30)]
    one, two, three = (bootstrap(lambda i: {"m": np.median(x[i])}, people, 200, s) for s in (1, 1, 2))
    assert one == two != three


def test_undefined_resamples_are_dropped_and_counted() -> None:
    truth, scores = np.zeros(40, bool), R.normal(size=40)
    truth[:2] = True
    people = [str(i) for i in range(40)]
    found = bootstrap(lambda i: {"auc": auc(scores[i], truth[i]), "never": float("nan")}, people, 500)
    assert 0 < found["auc"].dropped < 200
    assert found["auc"].low <= found["auc"].estimate <= found["auc"].high
    assert found["never"].dropped == 500
    assert np.isnan(found["never"][:3]).all()


def test_no_interval_when_most_resamples_are_undefined() -> None:
    x, people = np.arange(10.0), [str(i) for i in range(10)]

    def rare(i: np.ndarray) -> dict[str, float]:
        return {"m": float(x[i].mean()) if len(set(i)) == 10 or len(set(i)) > 8 else float("nan")}

    found = bootstrap(rare, people, 300)["m"]
    assert found.estimate == 4.5
    assert found.dropped > 150
    assert np.isnan([found.low, found.high]).all()
    assert bootstrap(rare, [], 300) == {}


def test_a_thousand_areas_take_moments() -> None:
    truth, scores = R.random(200) < 0.3, R.normal(size=200)
    start = time.perf_counter()
    bootstrap(lambda i: {"auc": auc(scores[i], truth[i])}, [str(i) for i in range(200)], 1000)
    assert time.perf_counter() - start < 3


def test_resamples_are_not_kept() -> None:
    """Ten thousand items in 300 resamples are 24 MB; one at a time is 80 kB."""
    import tracemalloc

    x, people = R.normal(size=10_000), [str(i) for i in range(10_000)]
    tracemalloc.start()
    bootstrap(lambda i: {"mean": x[i].mean()}, people, 300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
