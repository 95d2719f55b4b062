"""Worlds for `intervals.py`: one run, or two on the same subjects, whose true metric is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.evaluation.answers import Items
from polytask.evaluation.by_kind import measure_multilabel, measure_r2
from polytask.evaluation.measured import Measured, average
from polytask.evaluation.measures import Measures
from polytask.statistics.draws import Floats
from polytask.tasks import make_task

Rng = np.random.Generator
Data = Mapping[str, Any]
LABELS = ("a", "b", "c")
MULTILABEL = make_task("m", {"kind": "multilabel", "level": "visit", "labels": LABELS})


@dataclass(frozen=True)
class World:
    """Answers of a run on subjects.

    Args:
        metric: how it is measured, a key of `MEASURE`.
        name: in words.
        draw: (generator, subjects) → what was true and answered.
        second: the same for another run; it gets the first one's data too, so that both are about the same subjects.
    """

    metric: str
    name: str
    draw: Callable[[Rng, int], Data]
    second: Callable[[Rng, Data], Data]


def dice(rate: float, mean: float, size: float) -> World:
    """Beta-distributed Dice, a share of lesions missed; the second run misses others and is as good otherwise."""

    def draw(rng: Rng, n: int) -> Data:
        hard = rng.normal(size=n)
        return {"hard": hard, "values": _beta(rng, hard, rate, mean, size)}

    def second(rng: Rng, data: Data) -> Data:
        return {"values": _beta(rng, data["hard"], rate, mean, size)}

    return World("Dice", f"{rate:.0%} missed, others {mean:g}", draw, second)


def _beta(rng: Rng, hard: Floats, rate: float, mean: float, size: float) -> Floats:
    own = 1 / (1 + np.exp(-(np.log(mean / (1 - mean)) - 0.5 * hard)))
    return np.where(rng.random(hard.size) < rate, 0.0, rng.beta(own * size, (1 - own) * size))


def right(share: float, second_share: float) -> World:
    """Subjects that are right or wrong; the second run is right where the first is, but for a few."""

    def draw(rng: Rng, n: int) -> Data:
        hard = rng.normal(size=n)
        return {"hard": hard, "values": _right(rng, hard, share)}

    def second(rng: Rng, data: Data) -> Data:
        return {"values": _right(rng, data["hard"], second_share)}

    return World("accuracy", f"{share:g} and {second_share:g}", draw, second)


def _right(rng: Rng, hard: Floats, share: float) -> Floats:
    seen = 0.95 * hard + np.sqrt(1 - 0.95**2) * rng.normal(size=hard.size)
    return np.asarray(seen > _cut(share), np.float64)


def error(name: str, spread: float, blow: float) -> World:
    """Log-normal absolute errors (of a dose, of a number), a share of them five times as large."""

    def draw(rng: Rng, n: int) -> Data:
        hard = rng.normal(size=n)
        return {"hard": hard, "values": _errors(rng, hard, spread, blow)}

    return World("MAE", name, draw, lambda rng, data: {"values": _errors(rng, data["hard"], spread, blow)})


def _errors(rng: Rng, hard: Floats, spread: float, blow: float) -> Floats:
    values = np.exp(spread * (0.7 * hard + 0.7 * rng.normal(size=hard.size)))
    return np.where(rng.random(hard.size) < blow, 5 * values, values)


def area(name: str, gap: float, width: float, hidden: float, positives: float = 0.5) -> World:
    """Binormal scores; a share of the positives looks like negatives."""

    def draw(rng: Rng, n: int) -> Data:
        truth = np.arange(n) < round(n * positives)
        seen = truth & (rng.random(n) >= hidden)
        signal = np.where(seen, gap, 0.0)
        return {"truth": truth, "signal": signal, "scores": _scores(rng, signal, seen, width)}

    def second(rng: Rng, data: Data) -> Data:
        seen = data["signal"] > 0
        mixed = 0.6 * (data["scores"] - data["signal"]) + data["signal"]
        return {"truth": data["truth"], "scores": mixed + 0.8 * rng.normal(size=seen.size)}

    return World("AUC", name, draw, second)


def _scores(rng: Rng, signal: Floats, seen: np.ndarray[Any, Any], width: float) -> Floats:
    return signal + np.where(seen, width, 1.0) * rng.normal(size=seen.size)


def classes(name: str, gap: float) -> World:
    """Three classes, one against the rest: a score each, higher by `gap` for the true class."""

    def draw(rng: Rng, n: int) -> Data:
        truth = np.arange(n) % 3
        return {"truth": truth, "noise": rng.normal(size=(n, 3))} | {"gap": gap}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "noise": 0.6 * data["noise"] + 0.8 * rng.normal(size=data["noise"].shape)}

    return World("macro AUC", name, draw, second)


def labels(name: str, gap: float, share: float) -> World:
    """Three findings that go together over subjects, and whose scores do too."""

    def draw(rng: Rng, n: int) -> Data:
        value = (0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, 3))) > _cut(share)
        noise = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, 3))
        return {"value": value, "noise": noise, "gap": gap}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "noise": 0.6 * data["noise"] + 0.8 * rng.normal(size=data["noise"].shape)}

    return World("multilabel AUC", name, draw, second)


def grades(name: str, noise: float, shares: tuple[float, ...], blow: float = 0.0) -> World:
    """Grades cut from a latent number, answered with noise, a share at random."""

    def draw(rng: Rng, n: int) -> Data:
        latent = rng.normal(size=n)
        return {"latent": latent, "answer": _answer(rng, latent, noise, blow), "shares": shares}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "answer": _answer(rng, data["latent"], noise, blow)}

    return World("κ", name, draw, second)


def number(name: str, noise: float, heavy: bool) -> World:
    """A number and its answer, the best linear one of a noisy look; noise is normal or has three degrees of freedom."""

    def draw(rng: Rng, n: int) -> Data:
        latent = rng.normal(size=n)
        return {"latent": latent, "answer": _look(rng, latent, noise, heavy)}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "answer": _look(rng, data["latent"], noise, heavy)}

    return World("R²", name, draw, second)


def _look(rng: Rng, latent: Floats, noise: float, heavy: bool) -> Floats:
    drawn = rng.standard_t(3, latent.size) / np.sqrt(3) if heavy else rng.normal(size=latent.size)
    return (latent + noise * drawn) / (1 + noise**2)


def _answer(rng: Rng, latent: Floats, noise: float, blow: float) -> Floats:
    seen = latent + noise * rng.normal(size=latent.size)
    return np.where(rng.random(latent.size) < blow, rng.normal(size=latent.size), seen)


def survival(name: str, slope: float, censored: float, hidden: float = 0.0) -> World:
    """Exponential times with log rate slope · x, answered by x; censoring of its own rate; a share answered wrongly."""

    def draw(rng: Rng, n: int) -> Data:
        x = rng.normal(size=n)
        times, end = rng.exponential(np.exp(-slope * x)), rng.exponential(censored, n)
        risk = np.where(rng.random(n) < hidden, -3 - x, x)
        return {"x": x, "risk": risk, "times": np.minimum(times, end), "events": times <= end}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "risk": data["risk"] + 0.7 * rng.normal(size=data["x"].size)}

    return World("C", name, draw, second)


def _cut(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - share)


def measure(world: World, data: Data, resamples: int) -> Measured:
    """Measure the metric as the package does it."""
    n = len(next(iter(data.values())))
    of = Measures(n, np.arange(n), resamples)
    found: Measured = MEASURE[world.metric](data, of)
    return found


def _macro(data: Data, of: Measures) -> Measured:
    each = [
        of.area(data["noise"][:, k] + data["gap"] * (data["truth"] == k), data["truth"] == k)
        for k in range(3)
    ]
    return average(each, of.subjects)


def _labels(data: Data, of: Measures) -> Measured:
    value = np.asarray(data["value"], np.float64)
    scores = 1 / (1 + np.exp(-(data["noise"] + data["gap"] * value)))
    items = Items((), {"p": scores}, value, np.ones(value.shape, bool))
    found: Measured = measure_multilabel(MULTILABEL, items, of)["auc"]
    return found


def _kappa(data: Data, of: Measures) -> Measured:
    edges = [_cut(1 - c) for c in np.cumsum(data["shares"])[:-1]]
    truth, answer = (np.digitize(data[k], edges) for k in ("latent", "answer"))
    return of.kappa(truth, answer, len(data["shares"]))


MEASURE: dict[str, Callable[[Data, Measures], Measured]] = {
    "accuracy": lambda data, of: of.share(data["values"]),
    "Dice": lambda data, of: of.bounded_mean(data["values"]),
    "MAE": lambda data, of: of.error(data["values"]),
    "AUC": lambda data, of: of.area(data["scores"], data["truth"]),
    "macro AUC": _macro,
    "multilabel AUC": _labels,
    "κ": _kappa,
    "R²": lambda data, of: measure_r2(data["latent"], data["answer"], of),
    "C": lambda data, of: of.concordance(data["risk"], data["times"], data["events"]),
}
WORLDS = (
    right(0.6, 0.5),
    right(0.9, 0.85),
    right(0.97, 0.95),
    dice(0.0, 0.85, 20),
    dice(0.03, 0.85, 20),
    dice(0.06, 0.85, 20),
    dice(0.15, 0.85, 20),
    dice(0.0, 0.6, 8),
    error("mild skew", 0.4, 0.0),
    error("strong skew", 0.9, 0.0),
    error("6 % five times as large", 0.4, 0.06),
    area("0.75", 0.954, 1.0, 0.0),
    area("0.93", 2.087, 1.0, 0.0),
    area("0.98", 2.9, 1.0, 0.0),
    area("0.99", 3.3, 1.0, 0.0),
    area("8 % of positives hidden", 3.0, 1.0, 0.08),
    area("one positive in five", 1.466, 1.0, 0.0, 0.2),
    classes("0.76", 1.0),
    classes("0.92", 2.0),
    labels("0.76", 1.0, 0.4),
    labels("0.92", 2.0, 0.4),
    grades("noisy", 0.8, (0.34, 0.33, 0.33)),
    grades("good", 0.25, (0.34, 0.33, 0.33)),
    grades("rare top grade", 0.3, (0.8, 0.15, 0.05)),
    grades("6 % at random", 0.3, (0.2, 0.2, 0.2, 0.2, 0.2), 0.06),
    number("noisy", 1.0, heavy=False),
    number("good", 0.4, heavy=False),
    number("heavy tails", 0.6, heavy=True),
    survival("0.63", 0.5, 2.0),
    survival("0.73", 1.0, 2.0),
    survival("0.84", 2.0, 2.0),
    survival("three in four censored", 1.0, 0.25),
    survival("8 % answered wrongly", 3.0, 1.0, 0.08),
)
SIZES = {
    "accuracy": (20, 30, 60, 100),
    "Dice": (20, 30, 40, 60, 100),
    "MAE": (20, 30, 40, 60, 100),
    "AUC": (30, 60, 100, 200),
    "macro AUC": (45, 90, 150),
    "multilabel AUC": (50, 100, 200),
    "κ": (30, 40, 60, 100),
    "R²": (20, 30, 40, 60, 100),
    "C": (30, 60, 120),
}
