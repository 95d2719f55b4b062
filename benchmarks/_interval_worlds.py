"""Worlds for `intervals.py`: one run, or two on the same subjects, whose true metric is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.measured_metric import MeasuredMetric, average_metrics
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metrics_by_kind import measure_multilabel, measure_r2
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task

Rng = np.random.Generator
Data = Mapping[str, Any]
LABELS = ("a", "b", "c")
MULTILABEL = make_task("m", {"kind": "multilabel", "level": "visit", "labels": LABELS})


@dataclass(frozen=True)
class World:
    """Answers of a run on subjects.

    Args:
        metric: the metric, a key of `MEASURE`.
        name: the world in words.
        draw: (generator, subjects) → truth and answers.
        second: the same for another run; it also gets the data of the first run, so that both have the same subjects.
    """

    metric: str
    name: str
    draw: Callable[[Rng, int], Data]
    second: Callable[[Rng, Data], Data]


def make_dice_world(rate: float, mean: float, size: float) -> World:
    """Make a world of beta-distributed Dice with a share of missed lesions; the second run misses other lesions and is
    as good otherwise."""

    def draw(rng: Rng, n: int) -> Data:
        hard = rng.normal(size=n)
        return {"hard": hard, "values": _draw_dice(rng, hard, rate, mean, size)}

    def second(rng: Rng, data: Data) -> Data:
        return {"values": _draw_dice(rng, data["hard"], rate, mean, size)}

    return World("Dice", f"{rate:.0%} missed, others {mean:g}", draw, second)


def _draw_dice(rng: Rng, hard: Floats, rate: float, mean: float, size: float) -> Floats:
    own = 1 / (1 + np.exp(-(np.log(mean / (1 - mean)) - 0.5 * hard)))
    return np.where(rng.random(hard.size) < rate, 0.0, rng.beta(own * size, (1 - own) * size))


def make_accuracy_world(share: float, second_share: float) -> World:
    """Make a world in which subjects are right or wrong; the second run differs from the first in a few subjects."""

    def draw(rng: Rng, n: int) -> Data:
        hard = rng.normal(size=n)
        return {"hard": hard, "values": _draw_right_answers(rng, hard, share)}

    def second(rng: Rng, data: Data) -> Data:
        return {"values": _draw_right_answers(rng, data["hard"], second_share)}

    return World("accuracy", f"{share:g} and {second_share:g}", draw, second)


def _draw_right_answers(rng: Rng, hard: Floats, share: float) -> Floats:
    seen = 0.95 * hard + np.sqrt(1 - 0.95**2) * rng.normal(size=hard.size)
    return np.asarray(seen > _find_normal_quantile(share), np.float64)


def make_error_world(name: str, spread: float, blow: float) -> World:
    """Make a world of log-normal absolute errors (of a dose or a number); a share of them is five times as large."""

    def draw(rng: Rng, n: int) -> Data:
        hard = rng.normal(size=n)
        return {"hard": hard, "values": _draw_absolute_errors(rng, hard, spread, blow)}

    return World(
        "MAE",
        name,
        draw,
        lambda rng, data: {"values": _draw_absolute_errors(rng, data["hard"], spread, blow)},
    )


def _draw_absolute_errors(rng: Rng, hard: Floats, spread: float, blow: float) -> Floats:
    values = np.exp(spread * (0.7 * hard + 0.7 * rng.normal(size=hard.size)))
    return np.where(rng.random(hard.size) < blow, 5 * values, values)


def make_auc_world(name: str, gap: float, width: float, hidden: float, positives: float = 0.5) -> World:
    """Make a world of binormal scores, in which a share of the positives looks like negatives."""

    def draw(rng: Rng, n: int) -> Data:
        truth = np.arange(n) < round(n * positives)
        seen = truth & (rng.random(n) >= hidden)
        signal = np.where(seen, gap, 0.0)
        return {"truth": truth, "signal": signal, "scores": _draw_binormal_scores(rng, signal, seen, width)}

    def second(rng: Rng, data: Data) -> Data:
        seen = data["signal"] > 0
        mixed = 0.6 * (data["scores"] - data["signal"]) + data["signal"]
        return {"truth": data["truth"], "scores": mixed + 0.8 * rng.normal(size=seen.size)}

    return World("AUC", name, draw, second)


def _draw_binormal_scores(rng: Rng, signal: Floats, seen: np.ndarray[Any, Any], width: float) -> Floats:
    return signal + np.where(seen, width, 1.0) * rng.normal(size=seen.size)


def make_class_world(name: str, gap: float) -> World:
    """Make a world of three classes, each against the others, with a score per class that is higher by `gap` for the
    true class."""

    def draw(rng: Rng, n: int) -> Data:
        truth = np.arange(n) % 3
        return {"truth": truth, "noise": rng.normal(size=(n, 3))} | {"gap": gap}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "noise": 0.6 * data["noise"] + 0.8 * rng.normal(size=data["noise"].shape)}

    return World("macro AUC", name, draw, second)


def make_label_world(name: str, gap: float, share: float) -> World:
    """Make a world of three findings that are correlated over subjects, as are their scores."""

    def draw(rng: Rng, n: int) -> Data:
        value = (0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, 3))) > _find_normal_quantile(share)
        noise = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, 3))
        return {"value": value, "noise": noise, "gap": gap}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "noise": 0.6 * data["noise"] + 0.8 * rng.normal(size=data["noise"].shape)}

    return World("multilabel AUC", name, draw, second)


def make_grade_world(name: str, noise: float, shares: tuple[float, ...], blow: float = 0.0) -> World:
    """Make a world of grades that are cut from a latent number and answered with noise, a share of them at random."""

    def draw(rng: Rng, n: int) -> Data:
        latent = rng.normal(size=n)
        return {"latent": latent, "answer": _draw_noisy_grade(rng, latent, noise, blow), "shares": shares}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "answer": _draw_noisy_grade(rng, data["latent"], noise, blow)}

    return World("κ", name, draw, second)


def make_number_world(name: str, noise: float, heavy: bool) -> World:
    """Make a world of a number whose answer is the best linear estimate from a noisy measurement.

    The noise is normal, or has a t distribution with three degrees of freedom.
    """

    def draw(rng: Rng, n: int) -> Data:
        latent = rng.normal(size=n)
        return {"latent": latent, "answer": _draw_noisy_number(rng, latent, noise, heavy)}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "answer": _draw_noisy_number(rng, data["latent"], noise, heavy)}

    return World("R²", name, draw, second)


def _draw_noisy_number(rng: Rng, latent: Floats, noise: float, heavy: bool) -> Floats:
    drawn = rng.standard_t(3, latent.size) / np.sqrt(3) if heavy else rng.normal(size=latent.size)
    return (latent + noise * drawn) / (1 + noise**2)


def _draw_noisy_grade(rng: Rng, latent: Floats, noise: float, blow: float) -> Floats:
    seen = latent + noise * rng.normal(size=latent.size)
    return np.where(rng.random(latent.size) < blow, rng.normal(size=latent.size), seen)


def make_survival_world(name: str, slope: float, censored: float, hidden: float = 0.0) -> World:
    """Make a world of exponential times with log rate slope · x, answered by x, and independent censoring; a share is
    answered wrongly."""

    def draw(rng: Rng, n: int) -> Data:
        x = rng.normal(size=n)
        times, end = rng.exponential(np.exp(-slope * x)), rng.exponential(censored, n)
        risk = np.where(rng.random(n) < hidden, -3 - x, x)
        return {"x": x, "risk": risk, "times": np.minimum(times, end), "events": times <= end}

    def second(rng: Rng, data: Data) -> Data:
        return {**data, "risk": data["risk"] + 0.7 * rng.normal(size=data["x"].size)}

    return World("C", name, draw, second)


def _find_normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - share)


def measure_world(world: World, data: Data, resamples: int) -> MeasuredMetric:
    """Measure the metric in the same way as the package."""
    n = len(next(iter(data.values())))
    of = MetricCalculator(n, np.arange(n), resamples)
    metric: MeasuredMetric = MEASURE[world.metric](data, of)
    return metric


def _measure_macro_auc(data: Data, of: MetricCalculator) -> MeasuredMetric:
    each = [
        of.area(data["noise"][:, k] + data["gap"] * (data["truth"] == k), data["truth"] == k)
        for k in range(3)
    ]
    return average_metrics(each, of.subjects)


def _measure_label_auc(data: Data, of: MetricCalculator) -> MeasuredMetric:
    value = np.asarray(data["value"], np.float64)
    scores = 1 / (1 + np.exp(-(data["noise"] + data["gap"] * value)))
    items = PooledAnswers((), {"p": scores}, value, np.ones(value.shape, bool))
    metric: MeasuredMetric = measure_multilabel(MULTILABEL, items, of)["auc"]
    return metric


def _measure_kappa(data: Data, of: MetricCalculator) -> MeasuredMetric:
    edges = [_find_normal_quantile(1 - c) for c in np.cumsum(data["shares"])[:-1]]
    truth, answer = (np.digitize(data[k], edges) for k in ("latent", "answer"))
    return of.kappa(truth, answer, len(data["shares"]))


MEASURE: dict[str, Callable[[Data, MetricCalculator], MeasuredMetric]] = {
    "accuracy": lambda data, of: of.share(data["values"]),
    "Dice": lambda data, of: of.bounded_mean(data["values"]),
    "MAE": lambda data, of: of.error(data["values"]),
    "AUC": lambda data, of: of.area(data["scores"], data["truth"]),
    "macro AUC": _measure_macro_auc,
    "multilabel AUC": _measure_label_auc,
    "κ": _measure_kappa,
    "R²": lambda data, of: measure_r2(data["latent"], data["answer"], of),
    "C": lambda data, of: of.concordance(data["risk"], data["times"], data["events"]),
}
WORLDS = (
    make_accuracy_world(0.6, 0.5),
    make_accuracy_world(0.9, 0.85),
    make_accuracy_world(0.97, 0.95),
    make_dice_world(0.0, 0.85, 20),
    make_dice_world(0.03, 0.85, 20),
    make_dice_world(0.06, 0.85, 20),
    make_dice_world(0.15, 0.85, 20),
    make_dice_world(0.0, 0.6, 8),
    make_error_world("mild skew", 0.4, 0.0),
    make_error_world("strong skew", 0.9, 0.0),
    make_error_world("6 % five times as large", 0.4, 0.06),
    make_auc_world("0.75", 0.954, 1.0, 0.0),
    make_auc_world("0.93", 2.087, 1.0, 0.0),
    make_auc_world("0.98", 2.9, 1.0, 0.0),
    make_auc_world("0.99", 3.3, 1.0, 0.0),
    make_auc_world("8 % of positives hidden", 3.0, 1.0, 0.08),
    make_auc_world("one positive in five", 1.466, 1.0, 0.0, 0.2),
    make_class_world("0.76", 1.0),
    make_class_world("0.92", 2.0),
    make_label_world("0.76", 1.0, 0.4),
    make_label_world("0.92", 2.0, 0.4),
    make_grade_world("noisy", 0.8, (0.34, 0.33, 0.33)),
    make_grade_world("good", 0.25, (0.34, 0.33, 0.33)),
    make_grade_world("rare top grade", 0.3, (0.8, 0.15, 0.05)),
    make_grade_world("6 % at random", 0.3, (0.2, 0.2, 0.2, 0.2, 0.2), 0.06),
    make_number_world("noisy", 1.0, heavy=False),
    make_number_world("good", 0.4, heavy=False),
    make_number_world("heavy tails", 0.6, heavy=True),
    make_survival_world("0.63", 0.5, 2.0),
    make_survival_world("0.73", 1.0, 2.0),
    make_survival_world("0.84", 2.0, 2.0),
    make_survival_world("three in four censored", 1.0, 0.25),
    make_survival_world("8 % answered wrongly", 3.0, 1.0, 0.08),
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
